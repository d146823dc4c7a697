"""Several ranks (torchrun, gloo, FSDP2) compute what one computes, and take over each other's checkpoints."""

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from services.trainer.config import HardwareConfig
from services.trainer.folder import JobFolder, ScoreReply, ScoreRequest, ScoreRow, write_model
from services.trainer.learn.orders import ScoreFiles
from services.trainer.learn.ranks import Ranks, joined
from tests.integration.sharded_gradient import ADAPTATIONS, FAMILIES, gradients
from tests.learner_parts import job_folder, manifests
from tests.learner_torch_parts import adapter_of, base_folder, drain, largest_difference
from wideseek.errors import InvalidRequest

SCRIPT = "tests.integration.sharded_gradient"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases")
    for family in FAMILIES:
        base_folder(folder / family, family=family, tied=family == "qwen3")
    return folder


@pytest.fixture(scope="module")
def sharded(bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what two processes have computed: gradients, and the second step of jobs that one process began."""
    target = tmp_path_factory.mktemp("sharded")
    jobs = [job(target / adaptation, bases, adaptation, 1) for adaptation in ADAPTATIONS]
    for folder in jobs:
        step(folder, 1)
        drain(folder)
    jobs = [job(target / adaptation, bases, adaptation, 2) for adaptation in ADAPTATIONS]
    for folder in jobs:
        step(folder, 2)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", SCRIPT, str(bases), str(target), *(str(folder.path) for folder in jobs)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return target


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adaptation", list(ADAPTATIONS))
def test_two_ranks_with_uneven_rows_give_the_gradient_of_one(
    bases: Path, sharded: Path, family: str, adaptation: str
) -> None:
    alone = gradients(bases / family, adaptation, Ranks())

    together = load_file(sharded / f"{family}-{adaptation}.safetensors")

    real = together.pop("micro_batches").tolist()
    alone.pop("micro_batches")
    assert together.keys() == alone.keys()
    distance = sum(float((together[name] - alone[name]).square().sum()) for name in alone) ** 0.5
    assert distance <= 1e-6 * sum(float(alone[name].square().sum()) for name in alone) ** 0.5
    assert real[0] != real[1]


@pytest.mark.parametrize("adaptation", list(ADAPTATIONS))
def test_a_job_moves_from_one_rank_to_two_and_back(tmp_path: Path, bases: Path, sharded: Path, adaptation: str) -> None:
    alone = job(tmp_path / "alone", bases, adaptation, 1)
    for number in (1, 2, 3):
        step(alone, number)
        drain(alone)
    moved = job(sharded / adaptation, bases, adaptation, 1)
    step(moved, 3)

    drain(moved)

    file = "model.safetensors" if adaptation == "full" else "adapter_model.safetensors"
    assert moved.committed() == [1, 2, 3]
    assert largest_difference(adapter_of(moved, 3, file), adapter_of(alone, 3, file)) < 1e-5
    for number in (1, 2, 3):
        assert answer(moved, number) == pytest.approx(answer(alone, number), abs=1e-5)


def test_other_processes_than_the_job_names_are_refused() -> None:
    with (
        pytest.raises(InvalidRequest, match=r"hardware.processes: 2 on 1 nodes, but 1 were started"),
        joined(HardwareConfig(processes=2)),
    ):
        pass


def job(path: Path, bases: Path, adaptation: str, processes: int) -> JobFolder:
    """A job, or the same job on other hardware; a large epsilon keeps Adam from making much of rounding."""
    settings = {"model": {"adaptation": adaptation}, "optim": {"eps": 1e-3}}
    return job_folder(path, bases / "qwen3", **settings, hardware={"processes": processes})


def step(folder: JobFolder, number: int) -> None:
    """Write a step's manifest, and ask for the weights of the step before the last."""
    manifests(folder, number)
    row = ScoreRow(token_ids=(5, 9, 13, 7, 22, 41), start=1)
    request = ScoreRequest(step=max(0, number - 2), rows=(row, ScoreRow(token_ids=(3, 4, 5), start=2)))
    write_model(ScoreFiles(folder).request(f"step-{number}"), request)


def answer(folder: JobFolder, step: int) -> list[float]:
    """What was answered, end to end."""
    reply = ScoreFiles(folder).answer(f"step-{step}")
    assert isinstance(reply, ScoreReply)
    return [value for row in reply.logprobs for value in row]
