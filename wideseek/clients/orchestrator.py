"""The SDK for applications: ask broad queries, watch runs, read tables.

async with Orchestrator("http://127.0.0.1:8080") as orchestrator:
    run = await orchestrator.create(RunRequest(query="Capitals of the countries that border Mali?"))
    async for event in orchestrator.events(run.id):
        ...
    table = await orchestrator.table(run.id)
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Self, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from wideseek.clients._http import Http
from wideseek.clients.sse import SentEvent, read_events
from wideseek.contracts import Problem, Run, RunRequest
from wideseek.errors import (
    ContractViolation,
    InvalidRequest,
    KeyMissing,
    KeyRefused,
    RunNotFound,
    UpstreamError,
)
from wideseek.tables import Table
from wideseek.values import Frozen

Reply = TypeVar("Reply", bound=Frozen)

TERMINAL = frozenset({"run.completed", "run.incomplete", "run.failed", "run.cancelled"})
"""Types of the events that end a run."""

_KEY = {401: KeyMissing, 403: KeyRefused}
_TRIES = 5
_BACKOFF_S = 0.5
_ANSWER_S = 30


class OrchestratorUnavailable(UpstreamError):
    """The orchestrator does not answer, or says that a service it needs is down."""

    service = "orchestrator"


class WrongState(InvalidRequest):
    """The run is not in a state for this; `retryable` says whether it may come to be."""

    def __init__(self, message: str, *, code: str, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        """The problem's code, such as `no-table-yet` or `run-failed`."""
        self.retryable = retryable


class Orchestrator:
    """Runs over HTTP. Use as an async context manager, or close it.

    Methods raise `RunNotFound`, `InvalidRequest` naming the field, `KeyMissing` or
    `KeyRefused`, `WrongState`, and `OrchestratorUnavailable`. What was sent is repeated when a connection breaks: a
    run is made once all the same, because every request to make one carries an `Idempotency-Key`.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, admin_key: str | None = None) -> None:
        """`admin_key` is the deployment's, which requests that set a field of `training` need."""
        authorization = {"Authorization": f"Bearer {admin_key}"} if admin_key else {}
        self._http = Http(
            url, OrchestratorUnavailable, timeout_s=_ANSWER_S, headers={**(headers or {}), **authorization}
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def create(self, request: RunRequest, *, idempotency_key: str | None = None) -> Run:
        """Take a run in; with `request.wait`, it may have ended. Events are read with `events`."""
        return (await self.taken_in(request, idempotency_key or uuid4().hex))[0]

    async def taken_in(self, request: RunRequest, idempotency_key: str) -> tuple[Run, bool]:
        """The run of this key, and whether an earlier request had made it."""
        body = request.model_copy(update={"stream": False}).model_dump(mode="json", exclude_unset=True)
        headers = {"Idempotency-Key": idempotency_key}
        response = await self._sent("POST", "", wait=request.wait, json=body, headers=headers)
        return _read(Run, response), response.headers.get("Idempotent-Replayed") == "true"

    async def get(self, run_id: str, *, wait: float = 0) -> Run:
        """The run now, or once it has ended if that is within `wait` seconds."""
        return _read(Run, await self._sent("GET", f"/{run_id}", wait=wait, params={"wait": wait}))

    async def cancel(self, run_id: str) -> Run:
        """Have the run stopped; harmless when it is, or has ended."""
        return _read(Run, await self._sent("POST", f"/{run_id}/cancel"))

    async def table(self, run_id: str) -> Table:
        """The run's table, provisional while it works."""
        return _read(Table, await self._sent("GET", f"/{run_id}/table", params={"format": "json"}))

    async def rendered_table(self, run_id: str, format_: str) -> str:
        """The run's table as `md` or `csv` text."""
        response = await self._sent("GET", f"/{run_id}/table", params={"format": format_})
        return str(response.text)

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """The run's events numbered above `after`, to its last; broken connections are made again.

        Raises `OrchestratorUnavailable` when it does not come back within a few tries.
        """
        failures = 0
        while True:
            news = False
            try:
                async with aclosing(self._stream(run_id, after)) as stream:
                    async for event in stream:
                        after, news, failures = event["sequence_number"], True, 0
                        yield event
                        if event["type"] in TERMINAL:
                            return
                if not news and (await self.get(run_id)).status.terminal:
                    return
                failures = 0
            except OrchestratorUnavailable:
                failures += 1
                if failures == _TRIES:
                    raise
            await asyncio.sleep(_BACKOFF_S * (failures or 1))

    async def _stream(self, run_id: str, after: int) -> AsyncGenerator[dict[str, Any], None]:
        """The events of one connection."""
        headers = {"Last-Event-ID": str(after), "Accept": "text/event-stream"}
        async with self._http.stream("GET", f"/v1/widesearch/{run_id}/events", headers=headers) as response:
            if not response.is_success:
                await response.aread()
                raise _refusal(response)
            async for sent in read_events(response.aiter_lines()):
                if sent.event == "error":
                    raise OrchestratorUnavailable(sent.data)
                if sent.id is not None:
                    yield _fact(sent)

    async def _sent(self, method: str, path: str, *, wait: float = 0, **options: Any) -> Any:
        """The successful answer; broken connections are tried again."""
        for attempt in range(1, _TRIES + 1):
            try:
                response = await self._http.raw(method, f"/v1/widesearch{path}", timeout=_ANSWER_S + wait, **options)
                break
            except OrchestratorUnavailable:
                if attempt == _TRIES:
                    raise
            await asyncio.sleep(_BACKOFF_S * attempt)
        if not response.is_success:
            raise _refusal(response)
        return response


def _read(kind: type[Reply], response: Any) -> Reply:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise ContractViolation(f"the orchestrator's answer is no {kind.__name__}: {error}") from error


def _fact(sent: SentEvent) -> dict[str, Any]:
    """An event of the run's log, with its `type` and `sequence_number`."""
    try:
        return {**json.loads(sent.data), "type": sent.event, "sequence_number": int(sent.id or "")}
    except ValueError as error:
        raise ContractViolation(f"an event we cannot read: {error}") from error


def _refusal(response: Any) -> Exception:
    """The error behind a problem+json answer."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return OrchestratorUnavailable(f"answered {response.status_code}: {response.text[:500]}")
    field = problem.errors[0].get("pointer") if problem.errors else None
    if problem.code == "run-not-found":
        return RunNotFound(problem.detail)
    if problem.status in _KEY:
        return _KEY[problem.status](problem.detail, field=field)
    if problem.status in {404, 409}:
        return WrongState(problem.detail, code=problem.code, retryable=problem.retryable)
    if problem.status >= 500 or problem.status == 429:
        return OrchestratorUnavailable(problem.detail)
    return InvalidRequest(problem.detail, field=field)
