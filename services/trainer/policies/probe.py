"""The parity probe: what each replica samples as the candidate, held against what the trainer computes.

Fixed prompts are rendered by the engine, tokens sampled at temperature 1 on every replica, and their log-probabilities
computed by the trainer, with the candidate and with the versions it must not be mistaken for. `parity` judges.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.kit.policies import BASE
from services.trainer.config import PublishConfig
from services.trainer.folder import ScoreRow, write_model
from services.trainer.policies.parity import FACTOR, FLOAT32_LIMIT, OWN_FACTOR, Logprobs, judge, measure
from services.trainer.policies.prompts import probe_prompts
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.report import Calibration, ProbeData, ProbeReport, ProbeRow, ReplicaReport
from wideseek.clients.policies import EngineReplica, Sampled
from wideseek.concurrency import run_all
from wideseek.errors import Conflict, ContractViolation

CALIBRATION_PROMPTS = 20
"""Prompts a calibration takes at least."""


class Scorer(Protocol):
    """The trainer as the probe needs it."""

    async def score(self, rows: Sequence[ScoreRow], /) -> list[tuple[float, ...]]:
        """Natural-log probabilities of each row's tokens from its start on. Raises `TrainerUnavailable`."""
        ...


@dataclass(frozen=True)
class Alternative:
    """A version that a replica must not be serving in the candidate's place, and the trainer's view of it."""

    version: int
    """0 is the base; its scorer also calibrates the limit in bfloat16."""
    scorer: Scorer


@dataclass(frozen=True)
class Subject:
    """What is probed."""

    model: str
    """The name the engines serve it under."""
    base_model: str
    base_sha256: str
    precision: str
    adapter: Path | None
    """Folder the engines must say they have loaded it from; None where whole weights were replaced."""


@dataclass(frozen=True)
class Probe:
    """Probes a fleet; keeps calibrations in a folder."""

    fleet: Fleet
    folder: Path

    async def run(
        self, subject: Subject, scorer: Scorer, alternatives: Sequence[Alternative], rule: PublishConfig
    ) -> tuple[ProbeReport, ProbeData]:
        """Report and what was sampled. Raises `ModelUnavailable` and `TrainerUnavailable`: an outage is no verdict."""
        started = time.perf_counter()
        prompts = await self._rendered(subject.base_model, rule.probe_prompts)
        sampled = await self.fleet.each(lambda one: _samples(one, subject.model, prompts, rule.probe_tokens))
        rows = list(dict.fromkeys(_row(sample) for _, samples in sampled for sample in samples))
        candidate = await _scored(scorer, rows)
        others = {one.version: await _scored(one.scorer, rows) for one in alternatives}
        reports = []
        for replica, samples in sampled:
            limit, source = await self._limit(replica, subject, alternatives, rule)
            judged = _judged(replica, samples, candidate, others, limit=limit, limit_from=source)
            misplaced = await _misplaced(replica, subject)
            seconds = time.perf_counter() - started
            reports.append(judged.model_copy(update={"reasons": judged.reasons + misplaced, "probe_s": seconds}))
        report = ProbeReport(
            model=subject.model, precision=subject.precision, prompts=len(prompts), replicas=tuple(reports)
        )
        limit = max((one.limit or FLOAT32_LIMIT for one in reports), default=FLOAT32_LIMIT)
        kept = tuple(ProbeRow(**row.model_dump(), logprobs=values) for row, values in candidate.items())
        return report, ProbeData(precision=subject.precision, limit=limit, rows=kept)

    async def _rendered(self, model: str, number: int) -> list[tuple[int, ...]]:
        """The prompts' ids. Raises `Conflict` when replicas render them differently."""
        prompts = probe_prompts(number)

        async def rendered(replica: EngineReplica) -> list[tuple[int, ...]]:
            return await run_all(replica.tokenize(model, one.messages, one.tools) for one in prompts)

        by_replica = await self.fleet.each(rendered)
        first, ids = by_replica[0]
        for replica, others in by_replica[1:]:
            if others != ids:
                raise Conflict(f"{replica.url} and {first.url} render prompts differently: give them one chat template")
        return ids

    async def _limit(
        self, replica: EngineReplica, subject: Subject, alternatives: Sequence[Alternative], rule: PublishConfig
    ) -> tuple[float, str]:
        """Mean |difference| the replica may show, and where the number comes from."""
        if rule.max_mean_difference is not None:
            return rule.max_mean_difference, "publish.max_mean_difference"
        if subject.precision == "float32":
            return FLOAT32_LIMIT, "float32"
        base = next((one.scorer for one in alternatives if one.version == BASE), None)
        held = self._calibration(replica, subject)
        if held is None or (held.against == "engine" and base is not None):
            held = await self._calibrated(replica, subject, base, rule)
        factor = FACTOR if held.against == "trainer" else OWN_FACTOR
        return factor * held.mean, f"{factor:g} times the {held.mean:.3g} of {held.model} against the {held.against}"

    def _calibration(self, replica: EngineReplica, subject: Subject) -> Calibration | None:
        path = self._calibration_file(replica, subject)
        found = Calibration.model_validate_json(path.read_bytes()) if path.exists() else None
        return found if found is not None and found.base_sha256 == subject.base_sha256 else None

    def _calibration_file(self, replica: EngineReplica, subject: Subject) -> Path:
        return self.folder / "calibration" / f"{replica.label}.{subject.precision}.json"

    async def _calibrated(
        self, replica: EngineReplica, subject: Subject, base: Scorer | None, rule: PublishConfig
    ) -> Calibration:
        """Measure the base on a replica and keep the result."""
        prompts = await self._rendered(subject.base_model, max(CALIBRATION_PROMPTS, rule.probe_prompts))
        samples = await _samples(replica, subject.base_model, prompts, rule.probe_tokens)
        rows = list(dict.fromkeys(map(_row, samples)))
        scores = await (_read(replica, subject.base_model, rows) if base is None else _scored(base, rows))
        stated = [one.logprobs for one in samples]
        held = Calibration(
            model=subject.base_model,
            precision=subject.precision,
            base_sha256=subject.base_sha256,
            against="engine" if base is None else "trainer",
            mean=measure(replica.label, stated, [scores[_row(sample)] for sample in samples]).mean,
            prompts=len(prompts),
            at=time.time(),
        )
        write_model(self._calibration_file(replica, subject), held)
        return held


_KEPT_TOKENS = 4
"""Tokens of each kept sample that a restarted replica is asked again."""


async def holds(replica: EngineReplica, model: str, data: ProbeData) -> bool:
    """Whether a replica gives a version's kept samples the log-probabilities that the trainer gave them.

    Each token costs a request, so the first few of every sample have to do.
    """
    stated = await run_all(
        replica.score(model, row.token_ids, start=row.start, end=row.start + _KEPT_TOKENS) for row in data.rows
    )
    return measure(replica.label, stated, [row.logprobs[:_KEPT_TOKENS] for row in data.rows]).mean <= data.limit


async def _samples(
    replica: EngineReplica, model: str, prompts: Sequence[tuple[int, ...]], tokens: int
) -> list[Sampled]:
    return await run_all(replica.sample(model, ids, tokens=tokens) for ids in prompts)


async def _read(replica: EngineReplica, model: str, rows: list[ScoreRow]) -> dict[ScoreRow, tuple[float, ...]]:
    values = await run_all(replica.score(model, row.token_ids, start=row.start) for row in rows)
    return dict(zip(rows, values, strict=True))


async def _scored(scorer: Scorer, rows: list[ScoreRow]) -> dict[ScoreRow, tuple[float, ...]]:
    scores = await scorer.score(rows)
    if [len(values) for values in scores] != [len(row.token_ids) - row.start for row in rows]:
        raise ContractViolation("the learner's reply does not have one log-probability a scored token")
    return dict(zip(rows, scores, strict=True))


async def _misplaced(replica: EngineReplica, subject: Subject) -> tuple[str, ...]:
    """What the engine itself says against serving the candidate from its folder."""
    if subject.adapter is None:
        return ()
    root = next((one.root for one in await replica.models() if one.id == subject.model), "")
    if root == str(subject.adapter):
        return ()
    return (f"serves it from {root or 'nowhere'}, not {subject.adapter}",)


def _judged(  # what is compared, with what, how strictly
    replica: EngineReplica,
    samples: Sequence[Sampled],
    candidate: Mapping[ScoreRow, tuple[float, ...]],
    others: Mapping[int, Mapping[ScoreRow, tuple[float, ...]]],
    *,
    limit: float,
    limit_from: str,
) -> ReplicaReport:
    rows = [_row(sample) for sample in samples]
    engine: Logprobs = [sample.logprobs for sample in samples]
    own: Logprobs = [candidate[row] for row in rows]
    beside = {version: [scores[row] for row in rows] for version, scores in others.items()}
    measured = measure(replica.label, engine, own)
    return judge(measured, engine, own, beside, limit=limit, limit_from=limit_from)


def _row(sample: Sampled) -> ScoreRow:
    return ScoreRow(token_ids=sample.prompt + sample.token_ids, start=len(sample.prompt))
