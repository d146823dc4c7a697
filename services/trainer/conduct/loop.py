"""The loop of a job: gather a step, write its manifest, have it learned, put the policy in service.

What a step has come to is read from the job's folder only, so a conductor that was killed anywhere is replaced by
starting another one. Source of the protocol: `docs/training.md`, "The step protocol".
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.kit.logs import get_logger
from services.trainer.conduct.heldout import HeldOut
from services.trainer.conduct.lines import MetricsLines
from services.trainer.conduct.measure import keep_measured, kept_measured, step_line
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.ports import Index, Learning, Publishing, Served, Source
from services.trainer.conduct.release import release
from services.trainer.conduct.state import StateFile
from services.trainer.conduct.stop import StopSign
from services.trainer.folder import JobFolder, JobRecord, JobStatus
from services.trainer.learn.schedule import checkpoint_due
from services.trainer.ledger.build import Place
from services.trainer.ledger.ledger import Ledger
from wideseek.errors import ContractViolation

log = get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """What a job works with."""

    ledger: Ledger
    learner: Learning
    publishing: Publishing
    source: Callable[[Ledger, Served], Source]
    """Made once everything before it is trained and served, so that nothing stale is admitted."""
    stop: StopSign
    patience: Patience
    index: Index | None = None
    """None where steps are made of no indexed rollouts."""
    held_out: HeldOut | None = None
    clock: Callable[[], float] = time.time
    code_version: str = ""


class Conductor:
    """One job, from wherever it is to its end."""

    def __init__(self, folder: JobFolder, record: JobRecord, parts: Parts, state: StateFile) -> None:
        """Raises `ContractViolation` when the metrics file cannot be read."""
        self._folder = folder
        self._job_id = record.job_id
        self._config = record.config
        self._parts = parts
        self._state = state
        self._lines = MetricsLines(folder.metrics_file)
        self._served = Served(version=0, step=0)

    async def run(self) -> JobStatus:
        """Work until the last step is served. Raises `Stopped`, and whatever ends the job before."""
        parts, last = self._parts, self._config.steps
        committed = max(self._folder.committed(), default=0)
        self._served = await parts.patience.sit_out(lambda: parts.publishing.begin(committed), "serve the policy")
        self._state.progress(committed, self._served.version, parts.ledger.lineage)
        await self._catch_up(committed)
        source = parts.source(parts.ledger, self._served)
        async with beside(source.run()), self._evaluated():
            while parts.ledger.step < last:
                parts.stop.check()
                await self._step(source)
        await source.close()
        return "completed"

    async def _catch_up(self, committed: int) -> None:
        """Finish what an earlier conductor has begun: the last step committed, and those with a manifest only."""
        begun = range(max(1, committed), self._parts.ledger.step + 1)
        for step in [step for step in begun if step > committed or step not in self._lines.steps]:
            log.info("step_taken_up", step=step)
            await self._finish(step, {})

    async def _step(self, source: Source) -> None:
        parts, began = self._parts, time.monotonic()
        place = self._place()
        manifest, measured = await parts.stop.or_done(source.next(place))
        collected = time.monotonic() - began
        keep_measured(self._folder, place.step, measured)
        parts.ledger.write(manifest)
        await self._finish(place.step, {"time/collect_s": collected}, began=began, source=source)

    def _place(self) -> Place:
        ledger = self._parts.ledger
        return Place(
            job_id=self._job_id,
            lineage=ledger.lineage,
            step=ledger.step + 1,
            prev_sha256=ledger.head,
            policy_version=self._served.version,
            created_at=self._parts.clock(),
            code_version=self._parts.code_version,
        )

    async def _finish(
        self, step: int, times: dict[str, float], *, began: float | None = None, source: Source | None = None
    ) -> None:
        """Everything about a step that comes after its manifest; each part may be done again."""
        parts, learning = self._parts, time.monotonic()
        manifest = parts.ledger.manifest(step)
        report = await parts.learner.trained(step)
        if report.manifest_sha256 != manifest.sha256:
            raise ContractViolation(f"the learner trained step {step} on another manifest than the ledger has")
        learned = time.monotonic() - learning
        served = await self._published(step, manifest.sha256)
        if source is not None:
            source.advance(step=step, served=served)
        if began is not None:
            share = times["time/collect_s"] / max(time.monotonic() - began, 1e-9)
            times = {**times, "time/learn_s": learned, "time/idle_share": share}
        measured = kept_measured(self._folder, step)
        self._lines.append(step_line(manifest, report, measured, served, times, at=parts.clock()))
        await self._released(step, manifest.cursor)
        self._state.progress(step, served.version, parts.ledger.lineage)
        if parts.held_out is not None:
            parts.held_out.consider(step, served.version)
        log.info("step_finished", step=step, version=served.version, rollouts=len(manifest.entries))

    async def _published(self, step: int, manifest_sha256: str) -> Served:
        publishing, every = self._parts.publishing, self._config.publish.every
        if not every or (step % every and step != self._config.steps):
            return self._served.model_copy(update={"scalars": {}, "histograms": {}})
        self._served = await self._parts.patience.sit_out(
            lambda: publishing.publish(step, manifest_sha256), "publish the policy"
        )
        return self._served

    async def _released(self, step: int, cursor: str) -> None:
        """Entries are given back once a checkpoint holds what came of them."""
        index = self._parts.index
        if index is not None and checkpoint_due(self._config, step):
            await self._parts.patience.sit_out(
                lambda: release(index, self._job_id, cursor), "give back the rollout index"
            )

    @asynccontextmanager
    async def _evaluated(self) -> AsyncIterator[None]:
        """Held-out tasks are asked beside the steps, and the last of them before the job is over."""
        held_out = self._parts.held_out
        if held_out is None:
            yield
            return
        async with beside(held_out.run(self._lines)):
            held_out.consider(self._parts.ledger.step, self._served.version)
            yield
            await self._parts.stop.or_done(held_out.finished())


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` beside the block and end it with the block. What it fails of is told by whoever waits for it."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        while not task.done():
            # Again where it was swallowed: on Python 3.11 `asyncio.wait_for` inside a client can do that.
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.warning("background_work_ended", error=str(failure))
