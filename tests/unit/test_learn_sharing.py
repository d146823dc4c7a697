"""Rows that begin alike: what they share is computed once, and neither gradient nor log-probabilities know of it."""

import random
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.config import BatchingConfig, PolicyLossConfig
from services.trainer.learn.checks import check_sharing
from services.trainer.learn.layout import TrainRow, padding_share, plan, spared_tokens
from services.trainer.learn.sharing import Cluster, clusters
from tests.learn_parts import FULL, LORA, gradient, off, policy, some_rows, tiny_model, updater
from wideseek.trajectory import Role

KL = PolicyLossConfig(kl="k3", kl_beta=0.1, correction="none")


def family(prefix: int, *bodies: int, seed: int = 0, untrained: int = 0) -> list[TrainRow]:
    """Rows that begin with the same tokens; a body's tokens are trained on but for its first `untrained`."""
    dice = random.Random(seed)
    head = tuple(dice.randrange(3, 40) for _ in range(prefix))
    rows = []
    for sequence, length in enumerate(bodies):
        trained = (*[False] * (prefix + untrained), *[True] * (length - untrained))
        rows.append(
            TrainRow(
                token_ids=(*head, *(dice.randrange(3, 40) for _ in range(length))),
                trained=trained,
                behaviour=tuple(-dice.uniform(2, 5) if one else 0.0 for one in trained),
                weight=1 / (len(bodies) * (length - untrained)),
                advantage=dice.choice([-1.0, 0.5, 1.5]),
                role=Role.SUBAGENT,
                sequence=sequence,
            )
        )
    return rows


def test_clusters_by_hand() -> None:
    """Two pairs that share 3 tokens each and begin with the same one: 3 + 2 x 2 twice, not 1 + 4 x 4."""
    heads = [(1, 2, 3), (1, 7, 8), (1, 2, 3), (1, 7, 8)]

    assert clusters(heads, [5, 5, 5, 5], launch=0) == [Cluster((0, 2), 3), Cluster((1, 3), 3)]
    # A pass that costs 10 tokens to start is not worth the 4 that the second saves.
    assert clusters(heads, [5, 5, 5, 5], launch=10) == [Cluster((0, 2, 1, 3), 1)]


def test_rows_that_begin_otherwise_share_nothing() -> None:
    assert clusters([(1, 2), (3, 4)], [4, 4], launch=1000) == [Cluster((0,), 0), Cluster((1,), 0)]
    assert clusters([(), ()], [4, 4], launch=0) == [Cluster((0,), 0), Cluster((1,), 0)]
    assert clusters([], [], launch=0) == []


@given(st.lists(st.lists(st.integers(0, 1), max_size=6).map(tuple), max_size=9), st.integers(0, 8))
def test_every_row_is_in_one_cluster_that_begins_alike(heads: list[tuple[int, ...]], launch: int) -> None:
    found = clusters(heads, [len(head) + 2 for head in heads], launch)

    assert sorted(chain(*(one.places for one in found))) == list(range(len(heads)))
    for places, shared in found:
        assert len({heads[place][:shared] for place in places}) == 1
        assert all(len(heads[place]) >= shared for place in places)
        assert (shared == 0) if len(places) == 1 else (shared > 0)


@pytest.mark.parametrize("tokens", [64, 120, 4_096])
def test_a_plan_has_every_row_once_within_the_budget(tokens: int) -> None:
    rows = [*family(20, 9, 30, 12, 25, seed=1), *family(15, 8, 8, seed=2), *family(1, 40, seed=3)]
    rows = [replace(row, sequence=place) for place, row in enumerate(rows)]

    (made,) = plan(rows, BatchingConfig(tokens=tokens, layout="shared"), shared=True)

    assert sorted(chain(*(batch.rows for batch in made))) == list(range(len(rows)))
    assert all(batch.slots <= max(tokens, len(rows[batch.rows[0]].token_ids)) for batch in made)
    used = sum(len(row.token_ids) for row in rows) - spared_tokens(made)
    assert padding_share(rows, made) == pytest.approx(1 - used / sum(batch.slots for batch in made))


def test_a_plan_spares_what_is_shared() -> None:
    """Four lookups of 10 tokens behind 50, the last of which predicts the first that is trained on: 49 are shared."""
    (made,) = plan(family(50, 10, 10, 10, 10), BatchingConfig(layout="shared"), shared=True)

    (batch,) = made
    assert (batch.shared, batch.slots) == (49, 49 + 4 * 11)
    assert spared_tokens(made) == 3 * 49


@pytest.mark.parametrize("config", [LORA, FULL], ids=["lora", "full"])
@pytest.mark.parametrize("model", ["qwen3", "llama"])
@pytest.mark.parametrize("loss", [None, PolicyLossConfig(correction="none"), KL], ids=["sft", "ppo", "kl"])
def test_sharing_changes_no_gradient(tmp_path: Path, config: object, model: str, loss: PolicyLossConfig | None) -> None:
    if config is FULL and loss is KL:
        loss = PolicyLossConfig(correction="none", clip_low=0.1)
    scored = policy(tiny_model(tmp_path, family=model), config)  # type: ignore[arg-type]  # one of two configurations
    rows = [*family(20, 9, 30, 12, 25, seed=1), *family(15, 8, 8, seed=2, untrained=3), *some_rows(3)]
    rows = [replace(row, sequence=place) for place, row in enumerate(rows)]
    apart = gradient(updater(scored, loss=loss), rows)

    shared = {tokens: updater(scored, loss=loss, layout="shared", tokens=tokens) for tokens in (64, 4_096)}

    assert all(spared_tokens(one.plan(rows)[0]) > 0 for one in shared.values())
    assert all(off(gradient(one, rows), apart) < 1e-6 for one in shared.values())


def test_a_step_tells_what_it_spared(tmp_path: Path) -> None:
    rows = family(50, 10, 10, 10, 10)

    told = updater(policy(tiny_model(tmp_path)), layout="shared", tokens=1_000).step(rows, lr=1e-3)

    assert told["tokens/spared"] == pytest.approx(3 * 49 / (4 * 60))
    assert told["tokens/padding"] == 0


def test_a_model_whose_rows_may_share_passes_the_check(tmp_path: Path) -> None:
    check_sharing(policy(tiny_model(tmp_path)))
    with torch.no_grad():
        check_sharing(policy(tiny_model(tmp_path / "b", family="llama"), double=False))
