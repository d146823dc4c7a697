"""What the learner does next, in which order, and when a step leaves a checkpoint."""

import os
from pathlib import Path

import pytest

from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder, JobState, ScoreReply, ScoreRequest, write_atomically, write_model
from services.trainer.learn.durable import whole_folder
from services.trainer.learn.orders import (
    Failure,
    Idle,
    Orders,
    Score,
    ScoreFiles,
    Stop,
    Train,
    check_manifest,
    conductor_alive,
    job_open,
)
from services.trainer.learn.schedule import checkpoint_due
from services.trainer.ledger.manifest import FIRST
from tests.learner_parts import job_folder, manifests
from wideseek.errors import ContractViolation


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return job_folder(tmp_path / "job", tmp_path / "base")


def orders(folder: JobFolder, *, alive: bool = True, drain: bool = False) -> Orders:
    return Orders(folder, lambda: alive, drain=drain)


def ask(folder: JobFolder, name: str, *, at: float = 0) -> None:
    path = ScoreFiles(folder).request(name)
    write_model(path, ScoreRequest(step=0, rows=()))
    os.utime(path, (at, at))


def test_stopping_comes_before_scoring_and_scoring_before_training(folder: JobFolder) -> None:
    manifests(folder, 1)
    train = orders(folder).next(0)
    ask(folder, "b", at=1)
    ask(folder, "a", at=2)
    score = orders(folder).next(0)
    folder.stop_file.touch()

    stop = orders(folder).next(0)

    assert isinstance(train, Train)
    assert train.manifest.step == 1
    assert isinstance(score, Score)
    assert score.name == "b"
    assert stop == Stop("asked to stop")


def test_only_the_manifest_after_the_weights_in_memory_is_trained(folder: JobFolder) -> None:
    manifests(folder, 3)

    order = orders(folder).next(1)

    assert isinstance(order, Train)
    assert order.manifest.step == 2
    assert isinstance(orders(folder).next(3), Idle)


def test_without_work_it_waits_or_ends_as_told(folder: JobFolder) -> None:
    assert isinstance(orders(folder).next(0), Idle)
    assert orders(folder, drain=True).next(0) == Stop("nothing is left to do")
    assert orders(folder, alive=False).next(0) == Stop("the conductor is gone")


@pytest.mark.parametrize("answer", [Failure(error="no"), ScoreReply(step=0, logprobs=(), precision="float32")])
def test_an_answered_request_is_not_answered_again(folder: JobFolder, answer: Failure | ScoreReply) -> None:
    ask(folder, "a")
    files = ScoreFiles(folder)
    write_model(files.failure("a") if isinstance(answer, Failure) else files.reply("a"), answer)

    assert files.open() == []
    assert files.answer("a") == answer
    assert isinstance(orders(folder).next(0), Idle)


def test_a_manifest_that_cannot_be_read_is_refused(folder: JobFolder) -> None:
    write_atomically(folder.manifest_file(1), b"{}")

    with pytest.raises(ContractViolation, match=r"steps/1/manifest.json is no manifest"):
        orders(folder).next(0)


def test_a_manifest_is_the_next_of_its_chain_and_configuration(folder: JobFolder) -> None:
    manifests(folder, 2)
    first, second = orders(folder).next(0), orders(folder).next(1)
    assert isinstance(first, Train)
    assert isinstance(second, Train)
    sha256 = folder.record().config.sha256

    check_manifest(first, step=1, previous=FIRST, config_sha256=sha256)
    check_manifest(second, step=2, previous=first.sha256, config_sha256=sha256)

    with pytest.raises(ContractViolation, match="says it is of step 2"):
        check_manifest(second, step=1, previous=first.sha256, config_sha256=sha256)
    with pytest.raises(ContractViolation, match="the weights come from"):
        check_manifest(second, step=2, previous=FIRST, config_sha256=sha256)
    with pytest.raises(ContractViolation, match="another configuration"):
        check_manifest(first, step=1, previous=FIRST, config_sha256="0" * 64)


def test_this_process_is_alive() -> None:
    assert conductor_alive(os.getpid())()


def test_a_job_that_ends_lets_its_learner_go_but_not_one_that_is_taken_up_again(folder: JobFolder) -> None:
    write_model(folder.state_file, JobState(status="failed", updated_at=1))
    is_open = job_open(folder)
    seen = [is_open()]
    write_model(folder.state_file, JobState(status="running", updated_at=2))
    seen.append(is_open())

    write_model(folder.state_file, JobState(status="failed", updated_at=3))

    assert seen == [True, True]
    assert not is_open()


@pytest.mark.parametrize(
    ("every", "publish", "due"),
    [(1, 1, [1, 2, 3, 4, 5]), (3, 0, [3, 5]), (2, 0, [2, 4, 5]), (4, 2, [2, 4, 5]), (4, 0, [4, 5])],
)
def test_a_checkpoint_is_due_every_k_steps_at_the_end_and_where_a_policy_is_published(
    every: int, publish: int, due: list[int]
) -> None:
    config = JobConfig.model_validate(
        {
            "mode": "sft",
            "steps": 5,
            "data": {"demonstrations": ["demos.bin"]},
            "checkpoint": {"every": every},
            "publish": {"every": publish},
        }
    )

    assert [step for step in range(1, 6) if checkpoint_due(config, step)] == due


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "below" / "target"

    with pytest.raises(IsADirectoryError), whole_folder(target) as folder:
        (folder / ".").write_text("a file where the folder is")
    left = list(target.parent.iterdir())
    with whole_folder(target) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("b")

    assert left == []
    assert (target / "inner" / "file").read_text() == "b"
    with pytest.raises(FileExistsError), whole_folder(target):
        pass
