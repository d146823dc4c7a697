"""The two-role toy task: from rollouts to a policy that plays it, through the trainer's own parts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.toy_task import GOAL, START, train


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Matrices this small only wait for one another on several, and on a busy machine they wait long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_lead_and_subagents_learn_to_work_together(tmp_path: Path) -> None:
    curve = train(2, tmp_path, updates=100)

    assert curve.rewards[0] <= START
    assert curve.updates_to_goal is not None
    assert curve.smooth(100) >= GOAL
