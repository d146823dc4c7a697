"""A learner that is killed at any moment is started again and ends where one that was not killed ends."""

import os
import random
import signal
from pathlib import Path

import pytest

from services.trainer.folder import JobFolder
from services.trainer.learn.client import Learner
from tests.learner_parts import job_folder, manifests
from tests.learner_torch_parts import base_folder, drain, everything, opened, same
from wideseek.errors import TrainerUnavailable

SCRIPT = Path(__file__).with_name("killed_learner.py")
STEPS = 4


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def folder(tmp_path: Path, base: Path) -> JobFolder:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, STEPS)
    return folder


def uninterrupted(path: Path, base: Path) -> JobFolder:
    """The same job without a kill."""
    folder = job_folder(path, base)
    manifests(folder, STEPS)
    drain(folder)
    return folder


async def test_killed_at_a_random_moment_it_goes_on_bit_by_bit(tmp_path: Path, base: Path, folder: JobFolder) -> None:
    at = random.SystemRandom().randint(1, STEPS - 1)
    async with Learner(folder, folder.record().config) as running:
        await running.trained(at)
        os.kill(running.pid, signal.SIGKILL)
        with pytest.raises(TrainerUnavailable, match="ended with code -9"):
            await running.trained(STEPS + 1)

    async with Learner(folder, folder.record().config) as again:
        await again.trained(STEPS)

    straight = uninterrupted(tmp_path / "straight", base)
    assert same(everything(opened(folder)), everything(opened(straight)))
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (folder.adapter(STEPS) / name).read_bytes() == (straight.adapter(STEPS) / name).read_bytes()


@pytest.mark.parametrize(
    ("boundary", "committed"), [("committed.before_rename", [1]), ("committed.after_rename", [1, 2])]
)
async def test_killed_around_a_commit_the_step_is_whole_or_trained_again(
    tmp_path: Path, base: Path, folder: JobFolder, boundary: str, committed: list[int]
) -> None:
    async with Learner(folder, folder.record().config, launch=(str(SCRIPT), boundary, "2")) as running:
        with pytest.raises(TrainerUnavailable, match="ended with code -9"):
            await running.trained(STEPS)
    found = folder.committed()

    drain(folder)

    assert found == committed
    assert folder.checkpoint(2).exists()
    assert same(everything(opened(folder)), everything(opened(uninterrupted(tmp_path / "straight", base))))
