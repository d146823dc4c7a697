"""Publishing: write, load on every replica, probe, then promote, start a canary, or hold.

    write adapter -> STABLE -> load on all replicas -> parity probe -> change the state -> mirror to Redis

Each stage may be repeated after a crash: a version that is written is not written again, one that is loaded is not
loaded again, and one that is served already is only mirrored. Until the state has changed the old version serves.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from services.kit.logs import get_logger
from services.trainer.config import PublishConfig
from services.trainer.policies.locks import policy_lock
from services.trainer.policies.probe import Alternative, Probe, Scorer, Subject
from services.trainer.policies.records import Candidate, Loaded, Outcome, PolicyRecord, State
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.report import ProbeReport, ReplicaReport
from services.trainer.policies.retire import retire, withdraw
from services.trainer.policies.states import States, pushed
from wideseek.errors import Conflict
from wideseek.values import Frozen

log = get_logger(__name__)


class PolicyRefused(Conflict):
    """A candidate did not pass; the version before it still serves."""

    def __init__(self, report: ProbeReport) -> None:
        super().__init__(f"{report.model} is refused, the old version still serves. " + "; ".join(report.reasons))
        self.report = report


class Published(Frozen):
    """A version that every replica serves."""

    record: PolicyRecord
    outcome: Outcome
    """`held`: it is served to those who name it, and nobody else."""
    why: str = ""
    """Why it is held although the rule says otherwise."""
    report: ProbeReport | None = None
    """None when the version was served already."""
    publish_s: float
    """`time/publish_s`."""

    @property
    def scalars(self) -> dict[str, float]:
        """The numbers by the names of `services.trainer.metrics.names`."""
        return {"time/publish_s": self.publish_s, **(self.report.scalars if self.report else {})}


class Publisher:
    """Publishes the candidates of one deployment."""

    def __init__(self, registry: Registry, states: States, fleet: Fleet) -> None:
        self._registry = registry
        self._states = states
        self._fleet = fleet
        self._probe = Probe(fleet, registry.folder)

    async def publish(
        self,
        candidate: Candidate,
        scorer: Scorer,
        rule: PublishConfig,
        *,
        precision: str,
        alternatives: Sequence[Alternative] = (),
    ) -> Published:
        """Serve a candidate as the rule says. `alternatives`: the parent and the base, as the trainer computes them.

        Raises `PolicyRefused` with the probe's report, `Conflict` when the version exists with other content or was
        trained on another base, and the outages of engine, trainer, Redis and disk. In every case the old version
        still serves, and the same call may be made again.
        """
        started = time.perf_counter()
        async with policy_lock(self._registry.folder, candidate.name):
            begun = await self._begun(candidate)
            record = await asyncio.to_thread(self._registry.write, candidate, precision)
            report = None
            if candidate.version not in begun.served:
                report = await self._served(record, begun, scorer, rule, alternatives)
            state = await self._states.change(
                candidate.name,
                "job",
                f"publish v{candidate.version}",
                lambda state: _published(state, record, rule, begun.hand_revision),
            )
            await retire(self._registry, self._states, self._fleet, candidate.name)
        outcome, why = _outcome(state, candidate.version, rule, begun.hand_revision)
        seconds = time.perf_counter() - started
        log.info("policy_published", model=record.model, outcome=outcome, seconds=round(seconds, 3))
        return Published(record=record, outcome=outcome, why=why, report=report, publish_s=seconds)

    async def _begun(self, candidate: Candidate) -> State:
        base = await self._fleet.require_base(candidate.base_sha256)
        state = await self._states.open(candidate.name, base_model=base.id, base_sha256=candidate.base_sha256)
        if state.base_sha256 != candidate.base_sha256:
            raise Conflict(
                f"policy {candidate.name} is of the base {state.base_sha256[:12]}, {candidate.model} of "
                f"{candidate.base_sha256[:12]}: publish it under another name (`policy` of the job)"
            )
        return state

    async def _served(
        self,
        record: PolicyRecord,
        state: State,
        scorer: Scorer,
        rule: PublishConfig,
        alternatives: Sequence[Alternative],
    ) -> ProbeReport:
        """Have every replica serve the version, or none: it is unloaded again, whatever stops it."""
        accepted = False
        try:
            report = await self._probed(record, state, scorer, rule, alternatives)
            accepted = report.accepted
        finally:
            if not accepted:
                await withdraw(self._registry, self._fleet, record, state)
        if not accepted:
            self._registry.refuse(record, report)
            log.error("policy_refused", model=record.model, reasons=report.reasons)
            raise PolicyRefused(report)
        self._registry.pardon(record)
        return report

    async def _probed(
        self,
        record: PolicyRecord,
        state: State,
        scorer: Scorer,
        rule: PublishConfig,
        alternatives: Sequence[Alternative],
    ) -> ProbeReport:
        folder = self._registry.path(record.name, record.version)
        whole = record.adaptation == "full"
        try:
            await asyncio.to_thread(self._registry.verify, record)
            seconds = await self._fleet.load(record, folder)
        except Conflict as error:
            refused = ReplicaReport(replica="load", reasons=(str(error),))
            return ProbeReport(model=record.model, precision=record.precision, replicas=(refused,))
        subject = Subject(
            model=state.base_model if whole else record.model,
            base_model=state.base_model,
            base_sha256=record.base_sha256,
            precision=record.precision,
            adapter=None if whole else folder,
        )
        report, data = await self._probe.run(subject, scorer, alternatives, rule)
        timed = tuple(one.model_copy(update={"load_s": seconds.get(one.replica, 0)}) for one in report.replicas)
        report = report.model_copy(update={"model": record.model, "replicas": timed})
        if report.accepted:
            self._registry.save_probe(record, data)
            for one in timed:
                loaded = Loaded(replica=one.replica, at=time.time(), mean_difference=one.mean, max_difference=one.max)
                self._registry.mark_loaded(record, loaded)
        return report


def _published(state: State, record: PolicyRecord, rule: PublishConfig, hand_at_start: int) -> dict[str, Any] | None:
    """What a publication changes; nothing when it has been made already."""
    version = record.version
    if version in state.served:
        return None
    if record.adaptation == "full":
        return {"served": (version,), "canary": None, "canary_share": 0.0, **pushed(state, version)}
    served: dict[str, Any] = {"served": tuple(sorted({*state.served, version})), "keep": rule.keep_versions}
    if _held(state, version, rule, hand_at_start):
        return served
    if rule.promote == "canary":
        return {**served, "canary": version, "canary_share": rule.canary_share}
    return {**served, "canary": None, "canary_share": 0.0, **pushed(state, version)}


def _held(state: State, version: int, rule: PublishConfig, hand_at_start: int) -> str:
    """Why a version is served without being promoted; empty when it may be."""
    if rule.promote == "hold":
        return "publish.promote is hold"
    if state.frozen:
        return "the policy was rolled back: promote a version by hand to have jobs promote theirs again"
    if state.hand_revision != hand_at_start:
        return "somebody changed the policy by hand while this version was being published"
    return f"version {state.current} is current already" if version < state.current else ""


def _outcome(state: State, version: int, rule: PublishConfig, hand_at_start: int) -> tuple[Outcome, str]:
    if state.current == version:
        return "promoted", ""
    if state.canary == version:
        return "canary", ""
    return "held", _held(state, version, rule, hand_at_start) or "another version has been promoted since"
