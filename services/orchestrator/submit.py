"""What is asked of a run before it is taken in: served here, by these models, over these corpora."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.kit.runlog import RunLog
from wideseek.contracts import CorpusInfo, Mode, Output, PromptProfile, RunRequest, Training
from wideseek.errors import InvalidRequest, ModelUnavailable, NotServedYet, RetrievalUnavailable, UpstreamError
from wideseek.events import RunCreated

T = TypeVar("T")

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_run_id() -> str:
    """`ws_` and 26 characters: milliseconds, then 80 random bits, so that ids sort by time (ULID)."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "ws_" + "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(26)))


def refuse_unserved(request: RunRequest) -> None:
    """Raise `NotServedYet` for what the schema knows and this release does not serve."""
    unserved = {
        "/output": request.output is not Output.TABLE,
        "/mode": request.mode is not Mode.MULTI_AGENT,
        "/subagent_model": request.subagent_model is not None,
        "/prompt_profile": request.prompt_profile is not PromptProfile.FULL,
        "/sources/urls": bool(request.sources.urls),
        **{f"/training/{name}": True for name in _changed(request.training)},
    }
    for pointer, asked in unserved.items():
        if asked:
            raise NotServedYet(f"{pointer[1:].replace('/', '.')}: not served yet; leave it out", field=pointer)


def _changed(training: Training) -> list[str]:
    default = Training()
    return [name for name in Training.model_fields if getattr(training, name) != getattr(default, name)]


def refuse_blank_columns(request: RunRequest) -> None:
    """Raise `InvalidRequest` for a heading of white space only."""
    for number, column in enumerate(request.columns or ()):
        if not column.name.strip():
            pointer = f"/columns/{number}/name"
            raise InvalidRequest("columns: a name must contain more than white space", field=pointer)
    for number, name in enumerate(request.primary_key or ()):
        if not name.strip():
            raise InvalidRequest("primary_key: a name must not be empty", field=f"/primary_key/{number}")


def check_corpora(wanted: Sequence[str], served: Sequence[CorpusInfo]) -> None:
    """Raise `InvalidRequest` for a corpus that is not served, `RetrievalUnavailable` for one still loading."""
    names = [corpus.name for corpus in served]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        message = f"unknown corpus {', '.join(unknown)}; served: {', '.join(names) or 'none'}"
        raise InvalidRequest(message, field="/sources/corpora")
    needed = [corpus for corpus in served if corpus.name in wanted or (corpus.default and not wanted)]
    loading = [corpus.name for corpus in needed or served if not (corpus.lexical or corpus.dense_ready)]
    if loading or not served:
        raise RetrievalUnavailable(f"corpus {', '.join(loading)} is loading" if loading else "no corpus is served yet")


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
class Submit:
    """Takes runs in: checks the request against what is served, then writes its first event."""

    log: RunLog
    upstreams: Upstreams
    default_model: str | None = None
    clock: Callable[[], float] = field(default=time.time)

    async def check(self, request: RunRequest) -> str:
        """The model the run will use.

        Raises `NotServedYet`, `InvalidRequest` naming the field, or the outage of what it needs.
        """
        refuse_unserved(request)
        refuse_blank_columns(request)
        models = await self.upstreams.models()
        check_corpora(request.sources.corpora, await self.upstreams.corpora())
        return self._model(request, models)

    def _model(self, request: RunRequest, served: Sequence[str]) -> str:
        if not served:
            raise ModelUnavailable("the endpoint serves no model")
        name = request.model or self.default_model or served[0]
        if name in served:
            return name
        if request.model is None:
            raise ModelUnavailable(f"the default model {name} is not served; served: {', '.join(served)}")
        raise InvalidRequest(f"unknown model {name}; served: {', '.join(served)}", field="/model")

    async def create(self, run_id: str, request: RunRequest, model: str) -> None:
        """Write `run.created` and queue the run. Raises `QueueUnavailable`."""
        deadline = self.clock() + request.limits.max_seconds
        await self.log.create(RunCreated(run_id=run_id, request=request, model=model, deadline=deadline))
