"""The conductor's pieces: metrics lines, patience, the stop sign, a learner that dies."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.trainer.conduct.lines import MetricsLines
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.state import StateFile
from services.trainer.conduct.stop import Stopped, StopSign
from services.trainer.conduct.supervise import LearnerLost, Supervised
from services.trainer.folder import JobFolder, LearnerReport, ScoreRow
from services.trainer.learn.client import LearnerRefused
from services.trainer.metrics.record import Interval, StepMetrics
from wideseek.errors import ContractViolation, QueueUnavailable, TrainerUnavailable


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


def test_a_step_has_one_line_and_an_evaluation_one_of_its_own(folder: JobFolder) -> None:
    lines = MetricsLines(folder.metrics_file)
    score = Interval(version=1, metric="em", mean=0.5, low=0.4, high=0.6, tasks=3)

    for at in (1.0, 2.0):
        lines.append(StepMetrics(step=1, at=at, policy_version=1))
    lines.append(StepMetrics(step=1, at=3.0, policy_version=1, evaluation=(score,)))

    again = MetricsLines(folder.metrics_file)
    assert (again.steps, again.evaluated) == ({1}, {1})
    assert len(folder.metrics_file.read_text().splitlines()) == 2


def test_a_torn_last_line_is_cut_off_and_a_torn_one_before_is_an_error(folder: JobFolder) -> None:
    whole = StepMetrics(step=1, at=1.0, policy_version=1).model_dump_json() + "\n"
    folder.metrics_file.write_text(whole + whole[:9])

    lines = MetricsLines(folder.metrics_file)

    assert lines.steps == {1}
    assert folder.metrics_file.read_text() == whole
    folder.metrics_file.write_text(whole[:9] + "\n" + whole)
    with pytest.raises(ContractViolation, match=r"metrics\.jsonl:1: is no line of metrics"):
        MetricsLines(folder.metrics_file)


async def test_an_outage_is_sat_out_and_told(folder: JobFolder) -> None:
    said: list[str] = []
    failures = [QueueUnavailable("refused"), QueueUnavailable("still")]
    patience = Patience(stop=StopSign(folder), first_s=0.001, say=said.append)

    async def work() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    assert await patience.sit_out(work, "read the index") == "done"
    assert said == ["waiting to read the index: redis: refused", "waiting to read the index: redis: still", ""]


async def test_patience_ends(folder: JobFolder) -> None:
    patience = Patience(stop=StopSign(folder), seconds=0.05, first_s=0.001, longest_s=0.01)

    async def work() -> None:
        raise QueueUnavailable("refused")

    with pytest.raises(QueueUnavailable):
        await patience.sit_out(work, "read the index")


async def test_whoever_waits_notices_that_the_job_is_to_end(folder: JobFolder) -> None:
    stop = StopSign(folder, poll_s=0.01)
    patience = Patience(stop=stop, first_s=30)
    began = time.monotonic()

    async def work() -> None:
        folder.stop_file.touch()
        raise QueueUnavailable("refused")

    with pytest.raises(Stopped):
        await patience.sit_out(work, "read the index")
    with pytest.raises(Stopped):
        await stop.or_done(asyncio.Event().wait())
    assert time.monotonic() - began < 5
    assert not stop.signalled


async def test_a_signal_is_noticed_without_a_file(folder: JobFolder) -> None:
    stop = StopSign(folder)

    stop.signal()

    assert stop.signalled
    with pytest.raises(Stopped):
        stop.check()


def test_the_state_stays_cancelling_once_somebody_has_asked(folder: JobFolder) -> None:
    state = StateFile(folder, clock=lambda: 7.0)
    state.status("running")
    folder.stop_file.touch()

    state.progress(3, 2, 1)

    found = folder.state()
    assert (found.status, found.step, found.policy_version, found.lineage, found.updated_at) == (
        "cancelling",
        3,
        2,
        1,
        7,
    )
    state.status("failed", "a\nb " + "c" * 1_000)
    assert folder.state().error.startswith("a b c")
    assert len(folder.state().error) == 500


class Mortal:
    """A learner that dies a number of times before it answers."""

    def __init__(self, deaths: list[Exception]) -> None:
        self.deaths = deaths
        self.starts = 0

    @asynccontextmanager
    async def start(self) -> AsyncIterator["Mortal"]:
        self.starts += 1
        yield self

    async def trained(self, step: int) -> LearnerReport:
        if self.deaths:
            raise self.deaths.pop(0)
        return LearnerReport(step=step, manifest_sha256="m", scalars={})

    async def score(self, rows: Sequence[ScoreRow], *, step: int) -> list[tuple[float, ...]]:
        return [(-1.0,) for _ in rows]


async def test_a_dead_learner_is_started_again(folder: JobFolder) -> None:
    mortal = Mortal([TrainerUnavailable("killed"), TrainerUnavailable("killed")])

    async with Supervised(mortal.start, StopSign(folder), pause_s=0.001) as learner:
        report = await learner.trained(4)

    assert (report.step, mortal.starts) == (4, 3)


async def test_a_learner_that_dies_again_and_again_is_given_up(folder: JobFolder) -> None:
    mortal = Mortal([TrainerUnavailable("out of memory")] * 9)

    async with Supervised(mortal.start, StopSign(folder), restarts=2, pause_s=0.001) as learner:
        with pytest.raises(LearnerLost, match=r"out of memory \(started 3 times\)"):
            await learner.trained(4)


async def test_a_learner_that_refuses_is_not_started_again(folder: JobFolder) -> None:
    mortal = Mortal([LearnerRefused("corrupt rollout")])

    async with Supervised(mortal.start, StopSign(folder), pause_s=0.001) as learner:
        with pytest.raises(LearnerRefused):
            await learner.trained(4)

    assert mortal.starts == 1


async def test_a_learner_that_ended_for_the_stop_file_is_no_death(folder: JobFolder) -> None:
    mortal = Mortal([TrainerUnavailable("asked to stop")])
    folder.stop_file.touch()

    async with Supervised(mortal.start, StopSign(folder), pause_s=0.001) as learner:
        with pytest.raises(Stopped):
            await learner.trained(4)
        assert await learner.score([ScoreRow(token_ids=(1, 2), start=1)], step=0) == [(-1.0,)]
