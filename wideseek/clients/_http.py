"""HTTP for all clients: the one module that imports httpx, and where its errors become ours."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from wideseek.errors import ContractViolation, UpstreamError

Reply = TypeVar("Reply", bound=BaseModel)

RETRIES = 3
"""Tries in all for a request that may safely be repeated."""

_BACKOFF_S = 0.25
_BUSY = {429, 502, 503, 504}


@contextmanager
def upstream(unavailable: type[UpstreamError]) -> Iterator[None]:
    """Raise `unavailable` for what may pass, `ContractViolation` for what will not."""
    try:
        yield
    except httpx.TransportError as error:
        raise unavailable(f"{type(error).__name__}: {error}") from error
    except httpx.HTTPStatusError as error:
        response = error.response
        if response.is_server_error or response.status_code == 429:
            raise unavailable(f"answered {response.status_code}: {response.text[:500]}") from error
        raise ContractViolation(
            f"{error.request.url} refused us: {response.status_code} {response.text[:500]}"
        ) from error
    except (ValidationError, ValueError) as error:
        raise ContractViolation(f"an answer we cannot read: {error}") from error


class Http:
    """One upstream service. Use as an async context manager, or close it."""

    def __init__(
        self,
        base_url: str,
        unavailable: type[UpstreamError],
        *,
        timeout_s: float = 60,
        headers: Mapping[str, str] | None = None,
        max_connections: int = 512,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._unavailable = unavailable
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            timeout=httpx.Timeout(timeout_s, connect=5),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=64),
            headers=dict(headers or {}),
            transport=transport,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> "Http":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def post(self, path: str, body: Any, reply: type[Reply], *, timeout_s: float | None = None) -> Reply:
        """POST and read the answer as `reply`; retried when the service is briefly busy or gone."""
        with upstream(self._unavailable):
            response = await self._sent("POST", path, json=body, timeout_s=timeout_s)
            response.raise_for_status()
            return reply.model_validate_json(response.content)

    async def get(self, path: str, reply: type[Reply], *, timeout_s: float | None = None) -> Reply:
        """GET and read the answer as `reply`."""
        with upstream(self._unavailable):
            response = await self._sent("GET", path, timeout_s=timeout_s)
            response.raise_for_status()
            return reply.model_validate_json(response.content)

    async def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, answered whatever its status. Raises `unavailable` when nobody answers."""
        with upstream(self._unavailable):
            return await self._client.request(method, path, **options)

    async def alive(self, path: str, *, timeout_s: float = 2) -> bool:
        """Whether the service answers `path` with success."""
        try:
            response = await self._client.get(path, timeout=timeout_s)
        except httpx.TransportError:
            return False
        return response.is_success

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:
        """A streamed response."""
        with upstream(self._unavailable):
            async with self._client.stream(method, path, **options) as response:
                yield response

    @asynccontextmanager
    async def passed_on(
        self, method: str, path: str, *, query: str, headers: Mapping[str, str], body: bytes, silence_s: float | None
    ) -> AsyncIterator["PassedOn"]:
        """Somebody else's request, sent as it is, and its answer as it comes.

        `silence_s` bounds the time between two pieces of the answer; None waits for ever. Raises `unavailable`.
        """
        url = httpx.URL(self.base_url + path, query=query.encode() or None)
        timeout = httpx.Timeout(silence_s, connect=5)
        async with self.stream(method, str(url), content=body, headers=dict(headers), timeout=timeout) as response:
            yield PassedOn(response, self._unavailable)

    async def _sent(
        self, method: str, path: str, *, json: Any = None, timeout_s: float | None = None
    ) -> httpx.Response:
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s, connect=5)
        for attempt in range(1, RETRIES + 1):
            try:
                response = await self._client.request(method, path, json=json, timeout=timeout)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
                if attempt == RETRIES:
                    raise
            else:
                if response.status_code not in _BUSY or attempt == RETRIES:
                    return response
            await asyncio.sleep(_BACKOFF_S * 2 ** (attempt - 1))
        raise AssertionError("unreachable: the last attempt returns or raises")


class PassedOn:
    """An answer that is passed on: its status, its headers, its bytes."""

    def __init__(self, response: httpx.Response, unavailable: type[UpstreamError]) -> None:
        self._response = response
        self._unavailable = unavailable
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        """The whole body. Raises `unavailable` when it breaks off."""
        with upstream(self._unavailable):
            return await self._response.aread()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `unavailable` when it breaks off."""
        with upstream(self._unavailable):
            async for piece in self._response.aiter_bytes():
                yield piece


class Stopwatch:
    """Seconds since it was made, on a clock that never goes back."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def seconds(self) -> float:
        """Seconds so far, to the microsecond."""
        return round(time.perf_counter() - self._started, 6)
