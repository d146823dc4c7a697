"""The cost of a job, by hand: P parameters, T trained, tokens of all steps."""

from pathlib import Path

import pytest

from services.trainer.jobs.cost import ASSUMED_TOKENS, Measured, estimate, tensor_shapes
from tests.trainer_parts import job, write_base

SHAPES = {
    "model.embed_tokens.weight": (100, 8),
    "layers.0.self_attn.q_proj.weight": (16, 8),
    "layers.0.mlp.down_proj.weight": (8, 32),
    "norm.weight": (8,),
}
P = 800 + 128 + 256 + 8
T = 16 * ((16 + 8) + (8 + 32))


def test_shapes_are_read_from_the_headers(tmp_path: Path) -> None:
    assert tensor_shapes(write_base(tmp_path / "base", SHAPES)) == SHAPES


def test_an_adapter_job_counts_forward_and_backward_but_no_gradient_of_the_base(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", SHAPES)
    config = job(tmp_path, steps=10, rollouts={"group_size": 2, "groups_per_step": 3})

    cost = estimate(config, base, Measured(rollouts=5, tokens_per_rollout=100), accelerator=False)

    assert (cost.parameters, cost.trained_parameters) == (P, T)
    assert (cost.rollouts_per_step, cost.rollouts, cost.row_tokens) == (6, 60, 6_000)
    assert cost.operations == pytest.approx(4 * P * 6_000)
    assert cost.tokens_source == "measured on 5 rollouts"
    assert cost.adapter_mib == pytest.approx(T * 2 / 2**20)
    assert cost.learner_gib == pytest.approx((P * 2 + T * 16 + 2 * 4 * 256 * 100) / 2**30)


def test_a_full_job_trains_everything_and_pays_for_its_gradient(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", SHAPES)
    config = job(
        tmp_path,
        steps=1,
        model={"base": str(base), "adaptation": "full", "precision": "float32"},
        batching={"activation_checkpointing": True},
    )

    cost = estimate(config, base, None, accelerator=False)

    assert cost.trained_parameters == P
    assert cost.tokens_source == "assumed"
    assert cost.operations == pytest.approx((2 + 2 + 2 + 2) * P * 32 * ASSUMED_TOKENS)


def test_more_processes_share_the_hours(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", SHAPES)
    one = estimate(job(tmp_path), base, None, accelerator=True)
    four = estimate(job(tmp_path, hardware={"processes": 4}), base, None, accelerator=True)

    assert one.learner_hours is not None
    assert four.learner_hours == pytest.approx(one.learner_hours / 4)
    assert one.device == "cuda"


def test_what_lies_elsewhere_is_said_to_be_unknown(tmp_path: Path) -> None:
    cost = estimate(job(tmp_path), None, None, accelerator=False)

    assert cost.parameters is None
    assert cost.operations is None
    assert cost.rollouts == 3_200
