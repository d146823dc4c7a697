"""Asks the cluster: one run to its end, whatever happens to the connection, and never paid for twice.

What an outage ends is no answer. It is asked again a few times; then the caller is told, and nothing is scored.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from wideseek.contracts import Run, RunRequest, RunStatus
from wideseek.errors import InvalidRequest, RunNotFound, UpstreamError, WideseekError

T = TypeVar("T")

OUTAGES = frozenset({"tool_outage", "width_starved"})
"""Reasons of an incomplete run that the cluster is to blame for: retrieval was down, no worker had room."""

_CANCEL_S = 10.0
_PAUSE_S = 0.25


class RunLost(UpstreamError):
    """An outage ended the run, or somebody cancelled it."""

    service = "run"


class Interrupted(Exception):
    """What is being asked is no longer wanted."""


class Stop:
    """Set once, when the asking is to end before its time; whoever waits notices at once."""

    def __init__(self) -> None:
        self._set = asyncio.Event()
        self.why = ""

    @property
    def is_set(self) -> bool:
        """Whether the asking is being stopped."""
        return self._set.is_set()

    def set(self, why: str) -> None:
        """Stop; the first reason counts."""
        self.why = self.why or why
        self._set.set()

    async def or_done(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns. Raises `Interrupted`, and ends it, when the asking is stopped meanwhile."""
        doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._set.wait())
        try:
            await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if self.is_set:
                raise Interrupted(self.why)
            return doing.result()
        finally:
            for future in (doing, stopping):
                future.cancel()
            await asyncio.wait({doing, stopping})


@dataclass(frozen=True)
class Patience:
    """How an outage is sat out."""

    tries: int = 5
    backoff_s: float = 2.0
    """Pause after the first failure; each further one doubles it."""
    poll_s: float = 20.0
    """Seconds a request for a run's end is held open."""

    async def spend_on(self, work: Callable[[], Awaitable[T]], stop: Stop) -> T:
        """Do `work` until it succeeds. Raises its last `UpstreamError` when the tries are used up."""
        for failures in range(1, self.tries + 1):
            try:
                return await work()
            except UpstreamError:
                if failures == self.tries:
                    raise
            await stop.or_done(asyncio.sleep(self.backoff_s * 2 ** (failures - 1)))
        raise AssertionError("unreachable: the last try returns or raises")


class Runs(Protocol):
    """What is needed of the orchestrator's client. Raises `UpstreamError` and `InvalidRequest`."""

    async def taken_in(self, request: RunRequest, idempotency_key: str) -> tuple[Run, bool]:
        """The run of this key, and whether an earlier request had made it."""
        ...

    async def get(self, run_id: str, *, wait: float = 0) -> Run:
        """The run as it stands, or once it has ended."""
        ...

    async def cancel(self, run_id: str) -> Run:
        """Ask for the run's end."""
        ...

    def events(self, run_id: str, after: int = 0) -> Any:
        """The run's public events, as an asynchronous iterator."""
        ...


@dataclass(frozen=True)
class Answered:
    """A run that has ended as runs should, with all its events."""

    run: Run
    events: Sequence[Mapping[str, Any]]
    seconds: float
    """From submit to end, as the client saw it; by the cluster's clock when the run is older than this process."""


class Asking:
    """One task's way to an answer: the runs made for it, one after another, each under a key of its own.

    The keys follow from the request, so a process that takes up an evaluation again finds the run that
    an earlier one has made, and passes over those that ended without an answer.
    """

    def __init__(self, runs: Runs, request: RunRequest, patience: Patience, stop: Stop) -> None:
        self._runs = runs
        self._request = request
        self._patience = patience
        self._stop = stop
        self._number = 0
        self._began = time.monotonic()

    async def answer(self) -> Answered:
        """The run's end. Raises `InvalidRequest` when it is refused, `Interrupted`, or the last `UpstreamError`."""
        return await self._patience.spend_on(self._try, self._stop)

    async def _try(self) -> Answered:
        run, found = await self._submitted()
        while found and lost(run):
            self._next()
            run, found = await self._submitted()
        if not found:
            self._began = time.monotonic()
        run = await self._ended(run)
        why = lost(run)
        if why:
            self._next()
            raise RunLost(why)
        seconds = time.monotonic() - self._began
        if found and run.completed_at is not None:
            seconds = run.completed_at - run.created_at
        events = [event async for event in self._runs.events(run.id)]
        return Answered(run, events, round(max(0.0, seconds), 3))

    def _next(self) -> None:
        self._number += 1

    async def _submitted(self) -> tuple[Run, bool]:
        if self._stop.is_set:
            raise Interrupted(self._stop.why)
        try:
            return await self._runs.taken_in(self._request, run_key(self._request, self._number))
        except RunNotFound as error:
            self._next()
            raise RunLost(f"the run of this key is gone: {error}") from error
        except InvalidRequest as error:
            if getattr(error, "retryable", False):
                raise RunLost(str(error)) from error
            raise

    async def _ended(self, run: Run) -> Run:
        while not run.status.terminal:
            try:
                run = await self._stop.or_done(self._polled(run.id))
            except RunNotFound as error:
                self._next()
                raise RunLost(f"the run is gone: {error}") from error
            except Interrupted:
                await self._cancel(run.id)
                raise
        return run

    async def _polled(self, run_id: str) -> Run:
        """The run, once it has ended or the poll is over; a pause keeps one that is answered early from spinning."""
        run = await self._runs.get(run_id, wait=self._patience.poll_s)
        if not run.status.terminal:
            await asyncio.sleep(min(_PAUSE_S, self._patience.poll_s))
        return run

    async def _cancel(self, run_id: str) -> None:
        """Ask for the run's end; when nobody answers, it is found again by its key."""
        with suppress(WideseekError, TimeoutError):
            async with asyncio.timeout(_CANCEL_S):
                await self._runs.cancel(run_id)


def run_key(request: RunRequest, number: int) -> str:
    """The `Idempotency-Key` of the `number`-th run of a request, which names evaluation, task and trial."""
    return "eval-" + hashlib.sha256(f"{number} {request.model_dump_json()}".encode()).hexdigest()


def lost(run: Run) -> str:
    """Why an ended run is no answer, or nothing."""
    if run.status is RunStatus.FAILED:
        error = run.error
        return f"run {run.id} failed: {error.service or error.code}: {error.message}" if error else f"{run.id} failed"
    if run.status is RunStatus.CANCELLED:
        return f"run {run.id} was cancelled"
    if run.status is RunStatus.INCOMPLETE and run.incomplete_reason in OUTAGES:
        return f"run {run.id} is incomplete: {run.incomplete_reason}"
    return ""
