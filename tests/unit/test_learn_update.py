"""One step of the learner: whatever the layout, the gradient is the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from services.trainer.config import OptimConfig
from tests.learn_parts import FULL, LORA, gradient, off, policy, some_rows, taken, tiny_model, updater


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_no_split_into_micro_batches_changes_the_gradient(tmp_path: Path, family: str) -> None:
    scored = policy(tiny_model(tmp_path, family=family))
    rows = some_rows()
    whole = gradient(updater(scored, tokens=100_000), rows)

    splits = {tokens: gradient(updater(scored, tokens=tokens), rows) for tokens in (16, 64, 90)}

    assert {tokens: len(updater(scored, tokens=tokens).plan(rows)[0]) for tokens in (16, 64)} == {16: 7, 64: 5}
    assert all(off(found, whole) < 1e-6 for found in splits.values())


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_uneven_ranks_with_dummies_average_to_the_gradient_of_one(tmp_path: Path, ranks: int) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = some_rows(count=4)
    whole = gradient(updater(scored), rows)

    parts = [updater(scored, tokens=64, rank=rank, ranks=ranks) for rank in range(ranks)]
    averaged = sum((gradient(part, rows) for part in parts), torch.zeros_like(whole)) / ranks

    assert off(averaged, whole) < 1e-6


@pytest.mark.parametrize("config", [LORA, FULL], ids=["lora", "full"])
def test_a_step_moves_what_is_trained_and_nothing_else(tmp_path: Path, config: object) -> None:
    scored = policy(tiny_model(tmp_path), config, double=False)  # type: ignore[arg-type]  # one of two configurations
    before = {name: value.detach().clone() for name, value in scored.named_parameters()}

    told = updater(scored).step(some_rows(), lr=1e-2)

    moved = {name for name, value in scored.named_parameters() if not torch.equal(value, before[name])}
    trained = {name for name, value in scored.named_parameters() if value.requires_grad}
    assert moved == trained
    assert all(value.dtype is torch.float32 for name, value in scored.named_parameters() if name in trained)
    assert told["optim/lr"] == 1e-2
    assert told["loss/grad_norm"] > 0
    assert taken(updater(scored)).norm() == 0


def test_the_norm_is_clipped_once_over_all_micro_batches(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = some_rows()
    whole = gradient(updater(scored), rows)
    update = updater(scored, tokens=64, optim=OptimConfig(max_grad_norm=0.01, eps=1.0, beta1=0, beta2=0))
    before = torch.cat([p.detach().flatten().clone() for p in scored.parameters() if p.requires_grad])

    told = update.step(rows, lr=1.0)

    after = torch.cat([p.detach().flatten() for p in scored.parameters() if p.requires_grad])
    clipped = whole * 0.01 / whole.norm()
    assert told["loss/grad_norm"] == pytest.approx(float(whole.norm()), rel=1e-9)
    assert off(before - after, clipped / (clipped.abs() + 1)) < 1e-3


def test_rows_without_an_advantage_are_not_computed(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = some_rows()
    idle = [replace(row, advantage=0.0) for row in some_rows(seed=5)]
    apart, beside = (policy(tiny_model(tmp_path / name)) for name in ("apart", "beside"))

    told = [updater(one).step(given, lr=1e-2) for one, given in ((apart, rows), (beside, [*idle, *rows]))]

    assert told[1]["loss/grad_norm"] == pytest.approx(told[0]["loss/grad_norm"], rel=1e-12)
    assert told[1]["tokens/unique"] == told[0]["tokens/unique"]
    assert (told[0]["tokens/without_advantage"], 0 < told[1]["tokens/without_advantage"] < 1) == (0, True)
    assert "loss/grad_norm" not in updater(scored).step(idle, lr=1e-2)
