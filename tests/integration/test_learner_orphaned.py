"""A learner whose conductor is gone ends at once, whatever it is doing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.trainer.folder import JobFolder
from services.trainer.learn.orders import conductor_alive
from services.trainer.learn.watchdog import watched
from tests.learner_parts import job_folder, manifests
from tests.learner_torch_parts import adapter_of, base_folder, drain, same
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]
CONDUCTOR = Path(__file__).with_name("idle_conductor.py")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base") / "tiny")


@contextmanager
def conductor(folder: JobFolder, marks: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A conductor with its learner; whatever of them is left is ended."""
    marks.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WIDESEEK_HOME": str(marks.parent)}
    process = subprocess.Popen([sys.executable, str(CONDUCTOR), str(folder.path), str(marks)], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pid in pids(marks):
            if running(pid):
                os.kill(pid, signal.SIGKILL)


def pids(marks: Path) -> list[int]:
    return [int(mark.name) for mark in marks.iterdir() if mark.name.isdigit()]


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_conductor_takes_its_learner_along_in_the_middle_of_a_step(
    tmp_path: Path, base: Path, processes: int
) -> None:
    folder = job_folder(tmp_path / "job", base, hardware={"processes": processes})
    manifests(folder, 1)
    marks = tmp_path / "marks"
    with conductor(folder, marks) as process:
        wait_until((marks / "computing").exists, seconds=90, what="the learner to be in its step")
        before = [running(pid) for pid in pids(marks)]

        process.kill()

        wait_until(lambda: not any(map(running, pids(marks))), seconds=10, what="every rank to be gone")

    assert before == [True] * processes
    assert folder.committed() == []
    assert '"the conductor is gone"' in (folder.logs / "learner.log").read_text()


def test_the_step_that_was_cut_off_is_trained_again_with_the_same_result(tmp_path: Path, base: Path) -> None:
    cut, straight = (job_folder(tmp_path / name / "job", base) for name in ("cut", "straight"))
    for folder in (cut, straight):
        manifests(folder, 1)
    marks = tmp_path / "cut" / "marks"
    with conductor(cut, marks) as process:
        wait_until((marks / "computing").exists, seconds=90, what="the learner to be in its step")
        process.kill()
        wait_until(lambda: not any(map(running, pids(marks))), seconds=10, what="the learner to be gone")
    drain(straight)

    drain(cut)

    assert cut.committed() == straight.committed() == [1]
    assert same(adapter_of(cut, 1), adapter_of(straight, 1))


def test_a_watch_that_is_left_ends_nobody() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    alive = conductor_alive(process.pid)

    with watched(alive, look_s=0.01):
        before = alive()
    process.communicate(b"\n")

    assert before
    assert not alive()
