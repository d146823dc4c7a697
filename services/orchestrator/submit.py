"""Taking runs in: what is asked is checked against what is served, and written down as the run's first event."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.kit.runlog import RunLog
from services.orchestrator.modes import needs_retrieval, with_turns
from services.orchestrator.requirements import check_corpora, check_request
from wideseek.contracts import CorpusInfo, RunRequest
from wideseek.errors import InvalidRequest, ModelUnavailable, UpstreamError
from wideseek.events import RunCreated

T = TypeVar("T")

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_run_id() -> str:
    """`ws_` and 26 characters: milliseconds, then 80 random bits, so that ids sort by time (ULID)."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "ws_" + "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(26)))


class Remembered(Generic[T]):
    """An answer, or an outage, trusted for `seconds`; several who ask at once share one question."""

    def __init__(self, ask: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._answer: T | UpstreamError

    async def __call__(self) -> T:
        """The answer. Raises the outage."""
        async with self._lock:
            if time.monotonic() - self._asked_at > self._seconds:
                try:
                    self._answer = await self._ask()
                except UpstreamError as outage:
                    self._answer = outage
                self._asked_at = time.monotonic()
            answer = self._answer
        if isinstance(answer, UpstreamError):
            raise type(answer)(*answer.args) from answer
        return answer


@dataclass(frozen=True)
class Upstreams:
    """What stands behind a run. Each raises the `UpstreamError` of its service when that is down."""

    models: Callable[[], Awaitable[Sequence[str]]]
    """Names the model endpoint serves, the default first."""
    corpora: Callable[[], Awaitable[Sequence[CorpusInfo]]]
    """The corpora served side by side."""

    def remembered(self, seconds: float) -> "Upstreams":
        """The same, each answer trusted for a while."""
        return Upstreams(models=Remembered(self.models, seconds), corpora=Remembered(self.corpora, seconds))


@dataclass(frozen=True)
class Terms:
    """What a run is taken in on: the request with its effective limits, and the models by their resolved names."""

    request: RunRequest
    model: str
    subagent_model: str | None = None
    """None: the subagents use `model`."""


@dataclass(frozen=True)
class Submit:
    """Takes runs in: checks the request against what is served, then writes its first event."""

    log: RunLog
    upstreams: Upstreams
    default_model: str | None = None
    clock: Callable[[], float] = field(default=time.time)

    async def check(self, request: RunRequest) -> Terms:
        """What the run will be worked on with.

        Raises `NotServedYet`, `InvalidRequest` naming the field, or the outage of what it needs: retrieval that is
        down does not refuse a run that never searches.
        """
        check_request(request)
        models = await self.upstreams.models()
        if needs_retrieval(request.mode):
            check_corpora(request.sources.corpora, await self.upstreams.corpora())
        model = self._model(request.model, models)
        if request.subagent_model is not None:
            _check_served(request.subagent_model, models, field="/subagent_model")
        return Terms(with_turns(request), model, request.subagent_model)

    def _model(self, asked: str | None, served: Sequence[str]) -> str:
        if not served:
            raise ModelUnavailable("the endpoint serves no model")
        if asked is not None:
            _check_served(asked, served, field="/model")
            return asked
        name = self.default_model or served[0]
        if name not in served:
            raise ModelUnavailable(f"the default model {name} is not served; served: {', '.join(served)}")
        return name

    async def create(self, run_id: str, terms: Terms) -> None:
        """Write `run.created` and queue the run. Raises `QueueUnavailable`."""
        created = RunCreated(
            run_id=run_id,
            request=terms.request,
            model=terms.model,
            subagent_model=terms.subagent_model,
            deadline=self.clock() + terms.request.limits.max_seconds,
        )
        await self.log.create(created)


def _check_served(name: str, served: Sequence[str], *, field: str) -> None:
    if name not in served:
        raise InvalidRequest(f"unknown model {name}; served: {', '.join(served)}", field=field)
