"""Jobs in a folder: one at a time a policy, found again, resumed, cancelled."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.trainer.folder import JobFolder, JobState, write_model
from services.trainer.jobs.book import START_S, JobBook, is_active, shown_status
from services.trainer.jobs.stream import lines_after, metric_events
from services.trainer.jobs.views import view
from tests.trainer_parts import ListedLauncher, desk, job
from wideseek.errors import Conflict, JobNotFound, TrainerUnavailable


@contextmanager
def conducted(folder: JobFolder) -> Iterator[None]:
    """Somebody else holds the conductor's lock."""
    with folder.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def book(tmp_path: Path) -> JobBook:
    return JobBook(tmp_path / "jobs", str(tmp_path / "rollouts"))


def state(folder: JobFolder, **values: Any) -> None:
    write_model(folder.state_file, JobState.model_validate(values))


def test_a_job_is_found_by_its_id_with_all_it_was_given(tmp_path: Path) -> None:
    config = job(tmp_path, steps=7)

    made = book(tmp_path).create(config)

    found = book(tmp_path).folder(made.record().job_id)
    assert found.record().config == config
    assert found.state().status == "queued"
    assert found.record().rollouts_root == str(tmp_path / "rollouts")


@pytest.mark.parametrize("name", ["tj_20260101000000_aaaaaa", "../jobs", "nonsense"])
def test_an_unknown_job_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(JobNotFound):
        book(tmp_path).folder(name)


def test_two_jobs_never_work_on_one_policy(tmp_path: Path) -> None:
    first = book(tmp_path).create(job(tmp_path))

    with pytest.raises(Conflict, match=f"{first.record().job_id} is training 'policy'"):
        book(tmp_path).create(job(tmp_path))
    book(tmp_path).create(job(tmp_path, policy="other"))


def test_a_job_whose_process_was_killed_is_interrupted_and_holds_up_nobody(tmp_path: Path) -> None:
    killed = book(tmp_path).create(job(tmp_path))

    state(killed, status="running", step=3, updated_at=time.time())

    assert shown_status(killed) == "interrupted"
    book(tmp_path).create(job(tmp_path))


def test_a_job_that_nobody_came_to_start_is_interrupted_after_a_while(tmp_path: Path) -> None:
    queued = book(tmp_path).create(job(tmp_path))

    state(queued, status="queued", updated_at=time.time() - START_S - 1)

    assert not is_active(queued)
    assert shown_status(queued) == "interrupted"


def test_a_job_at_work_says_what_it_is_doing(tmp_path: Path) -> None:
    running = book(tmp_path).create(job(tmp_path))
    state(running, status="running", step=2, policy_version=2)

    with conducted(running):
        shown = view(running)

    assert (shown.status, shown.step, shown.policy_version) == ("running", 2, 2)
    assert shown.links["events"] == f"/v1/admin/training-jobs/{shown.id}/events"


def test_a_cancelled_or_failed_job_goes_on_and_a_completed_one_does_not(tmp_path: Path) -> None:
    folder = book(tmp_path).create(job(tmp_path))
    name = folder.record().job_id
    state(folder, status="failed", step=4, error="the disk was full")
    folder.stop_file.touch()

    reopened = book(tmp_path).reopen(name)

    assert reopened.state().model_dump(include={"status", "step", "error"}) == {
        "status": "queued",
        "step": 4,
        "error": "",
    }
    assert not reopened.stop_file.exists()
    state(folder, status="completed", step=9)
    with pytest.raises(Conflict, match="has done all its steps"):
        book(tmp_path).reopen(name)


def test_a_job_at_work_is_not_started_twice(tmp_path: Path) -> None:
    folder = book(tmp_path).create(job(tmp_path))

    with conducted(folder), pytest.raises(Conflict, match="at work already"):
        book(tmp_path).reopen(folder.record().job_id)


def test_jobs_are_listed_with_the_newest_first(tmp_path: Path) -> None:
    made = [book(tmp_path).create(job(tmp_path, policy=f"p{number}")).record().job_id for number in range(3)]

    listed = [folder.record().job_id for folder in book(tmp_path).all()]

    assert listed == sorted(made, reverse=True)


async def test_a_start_that_fails_leaves_a_failed_job_that_says_why(tmp_path: Path) -> None:
    broken = desk(tmp_path, ListedLauncher(outage="no room"))

    with pytest.raises(TrainerUnavailable):
        await broken.start(job(tmp_path))

    [folder] = broken.book.all()
    assert folder.state().status == "failed"
    assert folder.state().error == "not started: no room"


async def test_cancelling_asks_a_running_job_and_ends_one_that_nobody_runs(tmp_path: Path) -> None:
    launcher = ListedLauncher()
    at = desk(tmp_path, launcher)
    folder = await at.start(job(tmp_path))
    name = folder.record().job_id
    state(folder, status="running", step=1)

    with conducted(folder):
        await at.cancel(name)
        asked = shown_status(folder)
    await at.cancel(name)

    assert asked == "cancelling"
    assert folder.stop_file.exists()
    assert (shown_status(folder), launcher.stopped) == ("cancelled", [name])
    state(folder, status="completed")
    with pytest.raises(Conflict, match="completed already"):
        await at.cancel(name)


async def test_the_stream_of_a_job_tells_its_steps_from_any_number_on_and_ends_with_it(tmp_path: Path) -> None:
    folder = book(tmp_path).create(job(tmp_path))
    lines: list[dict[str, Any]] = [
        {"step": number, "at": 1.0, "policy_version": number, "scalars": {}} for number in (1, 2, 3)
    ]
    folder.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4')
    state(folder, status="completed", step=3)

    frames = [frame async for frame in metric_events(folder, 1)]

    assert [frame.split("\n")[0] for frame in frames[1:3]] == ["id: 2", "id: 3"]
    assert frames[-1].startswith("event: job.updated")
    assert '"status": "completed"' in frames[-1]


def test_a_line_that_is_still_being_written_is_left_for_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st')

    assert lines_after(path, 0) == [(1, {"step": 1})]
    assert lines_after(tmp_path / "none.jsonl", 0) == []
