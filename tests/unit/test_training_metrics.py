"""What training measured: one source, and every sink says the same."""

import asyncio
import fcntl
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from tensorboardX.proto.event_pb2 import Event

from services.trainer.folder import JobFolder, JobState, write_model
from services.trainer.jobs.book import JobBook
from services.trainer.metrics.charts import charts, dropped
from services.trainer.metrics.names import HISTOGRAMS, SCALARS, is_known
from services.trainer.metrics.prometheus import register
from services.trainer.metrics.read import read_metrics
from services.trainer.metrics.record import Interval, StepMetrics
from services.trainer.metrics.report import render, write_report
from services.trainer.metrics.show import keep_shown
from services.trainer.metrics.tensorboard import export_tensorboard
from tests.servers import wait_until
from tests.trainer_parts import job
from wideseek.errors import ContractViolation


def measured(step: int) -> StepMetrics:
    scalars = {
        "reward/mean": step / 10,
        "reward/std": 0.1,
        "reward/answer": step / 20,
        "weights/lead_share": 0.25,
        "tokens/padding": 0.01 * step,
        "staleness/max": 1.0,
        "parity/mean/replica-a": 2e-5,
        "parity/max/replica-a": 9e-5,
    }
    histograms = {"advantage": (-1.0, 0.0, 1.0), "staleness": (0.0, 1.0), "tokens/lead": (5.0, 9.0)}
    return StepMetrics(
        step=step, at=float(step), policy_version=step, scalars=scalars, histograms=histograms, drops={"stale": step}
    )


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job after three steps and one evaluation."""
    made = JobBook(tmp_path / "jobs", "rollouts").create(job(tmp_path))
    found = Interval(version=3, metric="item_f1", mean=0.5, low=0.4, high=0.6, tasks=12)
    steps = [measured(1), measured(2), measured(3)]
    steps.append(StepMetrics(step=3, at=4.0, policy_version=3, evaluation=(found,)))
    made.metrics_file.write_text("".join(step.model_dump_json() + "\n" for step in steps))
    write_model(made.state_file, JobState(status="running", step=3, policy_version=3))
    return made


def test_a_line_that_is_being_written_is_not_read_and_a_foreign_one_is_named(folder: JobFolder) -> None:
    with folder.metrics_file.open("a") as file:
        file.write('{"step": 4')

    assert [step.step for step in read_metrics(folder.metrics_file)] == [1, 2, 3, 3]

    with folder.metrics_file.open("a") as file:
        file.write(', "mood": "good"}\n')
    with pytest.raises(ContractViolation, match="line 5: no metrics"):
        read_metrics(folder.metrics_file)


@pytest.mark.parametrize(
    "name", ["reward/mean", "reward/answer", "clip/lead/above", "parity/mean/http-a-1", "tokens/lead"]
)
def test_names_and_their_families_are_known(name: str) -> None:
    assert is_known(name)


@pytest.mark.parametrize("name", ["reward", "reward/a/b", "clip/lead", "mood/mean", "staleness/median"])
def test_other_names_are_not(name: str) -> None:
    assert is_known(name) is (name in HISTOGRAMS)


def test_every_name_is_explained_in_a_sentence() -> None:
    for text in (*SCALARS.values(), *HISTOGRAMS.values()):
        assert text[0].isupper() or text[0] == "|" or text.startswith("k3")
        assert text.endswith(".")


def _exported(target: Path) -> list[tuple[str, int]]:
    """Scalar tags and steps in the event files: records of length, checksum, event, checksum."""
    found = []
    for path in sorted(target.glob("events*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            size = int.from_bytes(data[place : place + 8], "little")
            event = Event.FromString(data[place + 12 : place + 12 + size])
            found += [(value.tag, event.step) for value in event.summary.value if value.HasField("simple_value")]
            place += 16 + size
    return found


def test_tensorboard_gets_every_line_once_however_often_it_is_exported(folder: JobFolder) -> None:
    export_tensorboard(folder)
    export_tensorboard(folder)
    with folder.metrics_file.open("a") as file:
        file.write(measured(4).model_dump_json() + "\n")

    target = export_tensorboard(folder)

    rewards = [step for tag, step in _exported(target) if tag == "reward/mean"]
    assert sorted(rewards) == [1, 2, 3, 4]
    assert ("evaluation/item_f1", 3) in _exported(target)


def test_prometheus_tells_the_newest_step_of_jobs_at_work_and_counts_the_others(
    folder: JobFolder, tmp_path: Path
) -> None:
    registry, book = CollectorRegistry(), JobBook(tmp_path / "jobs", "rollouts")
    register(book, registry)
    idle = generate_latest(registry).decode()

    with folder.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.metrics_file.write_text(measured(2).model_dump_json() + "\n" + measured(3).model_dump_json() + "\n")
        busy = generate_latest(registry).decode()

    job_id = folder.record().job_id
    assert 'wideseek_training_jobs{status="interrupted"} 1.0' in idle
    assert "wideseek_training_scalar{" not in idle
    assert f'wideseek_training_step{{job="{job_id}",policy="policy"}} 3.0' in busy
    assert f'wideseek_training_scalar{{job="{job_id}",name="reward/mean",policy="policy"}} 0.3' in busy
    assert f'wideseek_training_rollouts_dropped{{job="{job_id}",policy="policy",reason="stale"}} 5.0' in busy


def test_the_report_is_one_page_that_fetches_nothing(folder: JobFolder) -> None:
    page = write_report(folder).read_text("utf-8")

    assert page.count("<figure>") == len(charts(read_metrics(folder.metrics_file)))
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "Held-out evaluation" in page
    assert '<td>stale</td><td class="num">6</td>' in page
    assert '<td>padding</td><td class="num">0.03</td><td class="num">0.02</td>' in page
    assert "objective.policy_loss.clip_high" in page


def test_charts_show_curves_histograms_and_intervals(folder: JobFolder) -> None:
    steps = read_metrics(folder.metrics_file)

    titles = [chart.title for chart in charts(steps)]

    assert titles[0].startswith("Reward of training rollouts")
    assert "Held-out tasks, 95 % intervals" in titles
    assert "Advantages, steps 1 to 3" in titles
    assert "Lead's share of the token weights" in titles
    assert dropped(steps) == [("stale", 6)]


def test_a_job_without_a_step_has_a_report_too(tmp_path: Path) -> None:
    fresh = JobBook(tmp_path / "jobs", "rollouts").create(job(tmp_path))

    assert "No step has been done yet" in render(fresh)


def test_a_failure_stands_at_the_top(folder: JobFolder) -> None:
    write_model(folder.state_file, JobState(status="failed", step=3, error="policy@v4 refused: <parity>"))

    assert "<b>failed:</b> policy@v4 refused: &lt;parity&gt;" in render(folder)


async def test_what_people_look_at_follows_the_metrics(folder: JobFolder) -> None:
    keeping = asyncio.create_task(keep_shown(folder, every_s=0.01))
    try:
        exported = folder.path / "tensorboard"
        there = lambda: folder.report_file.exists() and list(exported.glob("events*"))  # noqa: E731
        await asyncio.to_thread(wait_until, there, seconds=30, what="the report")
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})

    assert "Reward of training rollouts" in folder.report_file.read_text("utf-8")
