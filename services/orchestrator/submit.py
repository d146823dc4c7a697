"""Taking runs in: what is asked is checked against what is served, and written down as the run's first event."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from services.kit.runlog import RunLog
from services.orchestrator.models import PIN_GRACE_S, Named, NoPolicies, PolicyNames, check_served, resolve
from services.orchestrator.modes import needs_retrieval, with_own_limits
from services.orchestrator.provenance import CODE_VERSION, corpus_hash, weights_of
from services.orchestrator.requirements import check_corpora, check_request
from wideseek.contracts import CorpusInfo, PromptProfile, RunRequest
from wideseek.errors import UpstreamError, WideseekError
from wideseek.events import RunCreated, Weights

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


async def _nobody() -> Collection[str]:
    return ()


@dataclass(frozen=True)
class Upstreams:
    """What stands behind a run. Each raises the `UpstreamError` of its service when that is down."""

    models: Callable[[], Awaitable[Sequence[str]]]
    """Names the model endpoint serves, the default first."""
    corpora: Callable[[], Awaitable[Sequence[CorpusInfo]]]
    """The corpora served side by side."""
    demonstrators: Callable[[], Awaitable[Collection[str]]] = _nobody
    """Those models whose completions demonstrate: a rule speaks, no policy."""
    models_now: Callable[[], Awaitable[Sequence[str]]] | None = None
    """The models, asked anew each time; None: `models` always is."""

    def remembered(self, seconds: float) -> "Upstreams":
        """The same, each answer trusted for a while."""
        return Upstreams(
            models=Remembered(self.models, seconds),
            corpora=Remembered(self.corpora, seconds),
            demonstrators=self.demonstrators,
            models_now=self.models,
        )


@dataclass(frozen=True)
class Terms:
    """What a run is taken in on: the request with its effective limits, and the models by their resolved names."""

    request: RunRequest
    model: str
    subagent_model: str | None = None
    """None: the subagents use `model`."""
    weights: dict[str, Weights] = field(default_factory=dict)
    """Of both models, for a run that writes a rollout."""
    corpus_hash: str = ""


@dataclass(frozen=True)
class Submit:
    """Takes runs in: checks the request against what is served, then writes its first event."""

    log: RunLog
    upstreams: Upstreams
    default_model: str | None = None
    policies: PolicyNames = field(default_factory=NoPolicies)
    home: Path = Path(".wideseek")
    default_profile: PromptProfile = PromptProfile.FULL
    clock: Callable[[], float] = field(default=time.time)

    async def check(self, request: RunRequest, run_id: str) -> Terms:
        """What the run will be worked on with; the versions of policies in it are pinned for the run.

        Raises `InvalidRequest` naming the field, or the outage of what it needs: retrieval that is
        down does not refuse a run that never searches.
        """
        check_request(request)
        models = await self.upstreams.models()
        corpora: Sequence[CorpusInfo] = ()
        if needs_retrieval(request.mode):
            corpora = await self.upstreams.corpora()
            check_corpora(request.sources.corpora, corpora)
        named = await self._resolved(request, run_id, models)
        await self._pin(request, run_id, named, models)
        lead, subagents = named[0][0], named[1][0] if len(named) > 1 else None
        profile = request.prompt_profile or self.default_profile
        effective = with_own_limits(request.model_copy(update={"prompt_profile": profile}))
        terms = Terms(effective, lead.model, subagents.model if subagents else None)
        if not request.training.opt_in:
            return terms
        demonstrators = await self.upstreams.demonstrators()
        weights = {one.model: await weights_of(one, demonstrators, self.home) for one, _ in named}
        return replace(terms, weights=weights, corpus_hash=corpus_hash(request, corpora))

    async def _resolved(
        self, request: RunRequest, run_id: str, models: Sequence[str]
    ) -> list[tuple[Named, str | None]]:
        """The run's models, the lead's first, each with the field that named it."""
        asked = [(request.model, "/model" if request.model is not None else None)]
        if request.subagent_model is not None:
            asked.append((request.subagent_model, "/subagent_model"))
        return [
            (await resolve(self.policies, run_id, name, default=self.default_model, served=models), field)
            for name, field in asked
        ]

    async def _pin(
        self, request: RunRequest, run_id: str, named: Sequence[tuple[Named, str | None]], models: Sequence[str]
    ) -> None:
        """Hold on to the versions, then see that they are served: in the other order one could be unloaded between."""
        pins = [one.model for one, _ in named if one.pinnable]
        until = self.clock() + request.limits.max_seconds + PIN_GRACE_S
        for model in pins:
            await self.policies.pin(model, run_id, until)
        try:
            served = await (self.upstreams.models_now or self.upstreams.models)() if pins else models
            for one, field_ in named:
                check_served(one.model, served, field=field_)
        except WideseekError:
            for model in pins:
                await self.policies.unpin(model, run_id)
            raise

    async def create(self, run_id: str, terms: Terms) -> None:
        """Write `run.created` and queue the run. Raises `QueueUnavailable`."""
        created = RunCreated(
            run_id=run_id,
            request=terms.request,
            model=terms.model,
            subagent_model=terms.subagent_model,
            deadline=self.clock() + terms.request.limits.max_seconds,
            weights=terms.weights,
            corpus_hash=terms.corpus_hash,
            code_version=CODE_VERSION if terms.request.training.opt_in else "",
        )
        await self.log.create(created)
