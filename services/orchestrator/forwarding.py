"""`/v1/admin/…`: the trainer's doors, passed on, so that researchers see one address.

A request goes to the trainer as it came, its answer comes back as it is; server-sent events are passed on piece by
piece. The key is checked here too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.kit.admin import AdminKey
from services.kit.logs import get_logger
from services.kit.sse import HEADERS
from services.orchestrator.streams import broken_frame
from wideseek.clients._http import Http
from wideseek.errors import TrainerUnavailable

_log = get_logger(__name__)

PREFIX = "/v1/admin/"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

_ASKED = ("authorization", "content-type", "accept", "last-event-id", "idempotency-key", "x-request-id", "if-match")
"""Headers of a request that the trainer reads."""
_ANSWERED = ("content-type", "location", "retry-after", "etag", "idempotent-replayed", "content-disposition")
"""Headers of an answer that the caller reads."""
_EVENTS = "text/event-stream"
_SILENCE_S = 120.0
"""Longest silence of an answer that is no event stream."""


@dataclass(frozen=True)
class Trainer:
    """The trainer service behind its address."""

    http: Http

    @classmethod
    def at(cls, url: str) -> "Trainer":
        """The trainer at an address; nothing is connected to."""
        return cls(Http(url, TrainerUnavailable))

    async def answer(self, request: Request) -> Response:
        """The trainer's answer. Raises `TrainerUnavailable` when there is none."""
        body = await request.body()
        path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").split("?")[0]
        streamed = _EVENTS in request.headers.get("accept", "") or path.endswith("/events")
        async with AsyncExitStack() as stack:
            answer = await stack.enter_async_context(
                self.http.passed_on(
                    request.method,
                    path,
                    query=request.url.query,
                    headers=_kept(request.headers, _ASKED),
                    body=body,
                    silence_s=None if streamed else _SILENCE_S,
                )
            )
            headers = _kept(answer.headers, _ANSWERED)
            if headers.get("content-type", "").startswith(_EVENTS):
                pieces = _pieces(answer.pieces())
                return _Relay(pieces, answer.status, {**HEADERS, **headers}, stack.pop_all().aclose)
            return Response(await answer.read(), answer.status, headers)
        raise AssertionError("unreachable: the answer is returned or raised")


class _Relay(StreamingResponse):
    """A stream that lets go of its origin however it ends."""

    def __init__(
        self, pieces: AsyncIterator[Any], status: int, headers: Mapping[str, str], close: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(pieces, status, headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._close()


def add_admin(app: FastAPI, key: AdminKey, trainer: Trainer) -> None:
    """Pass everything under `/v1/admin/` on to the trainer."""

    async def forward(request: Request) -> Response:
        key.check(request.headers.get("authorization"))
        if ".." in request.url.path.split("/"):
            raise HTTPException(404, "no such path")
        return await trainer.answer(request)

    app.add_api_route(PREFIX + "{path:path}", forward, methods=METHODS, include_in_schema=False, response_model=None)


async def _pieces(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes | str]:
    """The pieces of an event stream as they come; one that breaks says so as an event of its own."""
    try:
        async for piece in pieces:
            yield piece
    except TrainerUnavailable as outage:
        _log.warning("admin_stream_broken", error=str(outage))
        yield broken_frame(outage)


def _kept(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}
