"""The two-role toy task: from rollouts to a policy that plays it, through the trainer's own parts."""

from pathlib import Path

from benchmarks.toy_task import GOAL, START, train


def test_lead_and_subagents_learn_to_work_together(tmp_path: Path) -> None:
    curve = train(2, tmp_path, updates=100)

    assert curve.rewards[0] <= START
    assert curve.updates_to_goal is not None
    assert curve.smooth(100) >= GOAL
