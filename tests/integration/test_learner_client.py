"""The conductor's hand on the learner, over a real process that speaks the protocol and computes nothing."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.trainer.config import HardwareConfig
from services.trainer.folder import JobFolder, LearnerReport, ScoreRow, write_atomically, write_model
from services.trainer.learn.client import ExternalLearner, Learner, LearnerRefused, last_words, learner_command
from services.trainer.learn.orders import ScoreFiles, conductor_alive
from services.trainer.ledger.manifest import FIRST, Manifest
from tests.learner_parts import job_folder
from tests.servers import wait_until
from wideseek.errors import ContractViolation, TrainerUnavailable

SCRIPT = Path(__file__).with_name("scripted_learner.py")


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return job_folder(tmp_path / "job", tmp_path / "base")


def learner(folder: JobFolder, grace_s: float = 10) -> Learner:
    return Learner(folder, folder.record().config, launch=(str(SCRIPT),), grace_s=grace_s)


def write_manifest(folder: JobFolder, step: int, seed: int = 0) -> None:
    """A manifest without rollouts, whose seed tells the script what to do."""
    manifest = Manifest(
        job_id="job-1",
        step=step,
        prev_sha256=FIRST,
        created_at=0,
        seed=seed,
        config_sha256="",
        code_version="",
        policy_version=0,
        planned=1,
        learning_rate=0,
        entries=(),
    )
    write_atomically(folder.manifest_file(step), manifest.to_bytes())


async def test_a_step_is_waited_for_until_it_is_committed(folder: JobFolder) -> None:
    async with learner(folder) as running:
        waiting = asyncio.ensure_future(running.trained(2))
        write_manifest(folder, 1)
        first = await running.trained(1)
        write_manifest(folder, 2)

        second = await waiting

    assert [first.scalars, second.scalars] == [{"loss/value": 1.0}, {"loss/value": 2.0}]
    assert folder.committed() == [1, 2]


async def test_a_report_of_an_abandoned_manifest_is_not_taken_for_the_new_one(folder: JobFolder) -> None:
    write_model(folder.learner_file(1), LearnerReport(step=1, manifest_sha256="0" * 64, scalars={"loss/value": 9.0}))
    write_manifest(folder, 1)

    async with learner(folder) as running:
        report = await running.trained(1)

    assert report.scalars == {"loss/value": 1.0}


async def test_scores_come_back_in_order_and_leave_nothing_behind(folder: JobFolder) -> None:
    rows = [ScoreRow(token_ids=(1, 2, 3), start=1), ScoreRow(token_ids=(4, 5), start=1)]

    async with learner(folder) as running:
        scores = await running.score(rows, step=0)

    assert scores == [(-2.0, -3.0), (-5.0,)]
    assert list(folder.scores.iterdir()) == []


async def test_a_step_that_cannot_be_scored_is_said_so(folder: JobFolder) -> None:
    async with learner(folder) as running:
        with pytest.raises(ContractViolation, match="cannot score step 5: no such step"):
            await running.score([ScoreRow(token_ids=(1, 2), start=1)], step=5)


@pytest.mark.parametrize(
    ("seed", "kind", "words"),
    [
        (7, TrainerUnavailable, "ended with code 1: cannot train step 1"),
        (8, LearnerRefused, "ended with code 65: cannot train step 1"),
        (9, TrainerUnavailable, "ended with code 3: Killed by the script"),
    ],
)
async def test_a_dead_learner_is_an_outage_with_its_last_words(
    folder: JobFolder, seed: int, kind: type[TrainerUnavailable], words: str
) -> None:
    write_manifest(folder, 1, seed)

    async with learner(folder) as running:
        with pytest.raises(TrainerUnavailable, match=words) as raised:
            await running.trained(1)

    assert type(raised.value) is kind
    assert raised.value.retryable == (seed != 8)


async def test_a_learner_that_was_killed_can_be_started_again(folder: JobFolder) -> None:
    write_manifest(folder, 1)
    async with learner(folder) as running:
        await running.trained(1)
    write_manifest(folder, 2)

    async with learner(folder) as again:
        report = await again.trained(2)

    assert report.step == 2


async def test_leaving_ends_the_whole_process_group_even_if_it_hangs(folder: JobFolder) -> None:
    write_manifest(folder, 1, seed=6)

    async with learner(folder, grace_s=0.05) as running:
        wait_until((folder.path / "threads").exists, seconds=20, what="the learner to start")
        pid = running.pid

    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


async def test_nobody_is_asked_before_the_learner_runs(folder: JobFolder) -> None:
    with pytest.raises(TrainerUnavailable, match="not running"):
        await learner(folder).trained(1)


async def test_a_learner_that_others_started_is_asked_through_the_same_folder(folder: JobFolder) -> None:
    config = folder.record().config
    write_manifest(folder, 1)

    async with learner(folder), ExternalLearner(folder, config) as external:
        report = await external.trained(1)

    assert report.step == 1


async def test_a_learner_that_nobody_starts_is_an_outage_after_a_while(folder: JobFolder) -> None:
    async with ExternalLearner(folder, folder.record().config, patience_s=0.05) as external:
        with pytest.raises(TrainerUnavailable, match="no learner has answered"):
            await external.trained(1)


async def test_questions_of_an_earlier_conductor_are_not_answered(folder: JobFolder) -> None:
    stale = ScoreFiles(folder).request("stale")
    write_atomically(stale, b"{}")

    async with learner(folder) as running:
        await running.score([ScoreRow(token_ids=(1, 2), start=1)], step=0)

    assert not stale.exists()


async def test_threads_of_the_configuration_reach_the_process(folder: JobFolder) -> None:
    async with learner(folder) as running:
        await running.score([], step=0)

    assert (folder.path / "threads").read_text() == "1"


def test_several_processes_are_started_by_torchrun_on_a_port_of_its_choice(folder: JobFolder) -> None:
    command = learner_command(folder, HardwareConfig(processes=3))

    assert command[1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]
    assert command[6:9] == ["-m", "services.trainer.learn.main", str(folder.path)]
    assert not any("port" in part for part in command)


def test_the_last_event_speaks_for_a_learner_whatever_was_written_after_it() -> None:
    log = '{"event": "step_trained"}\n{"event": "learner_ended", "error": "gone", "refused": true}\n=====\ntorchrun\n'

    assert last_words(log) == ("gone", True)
    assert last_words("one\n\ntwo\n\n") == ("two", False)
    assert last_words("") == ("it wrote nothing", False)


def test_a_conductor_that_ended_is_noticed() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    alive = conductor_alive(process.pid)

    before = alive()
    process.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(), seconds=5, what="the process to be gone, though nobody has waited for it")
    process.communicate()

    assert before
    assert not alive()
    assert conductor_alive(None)()
