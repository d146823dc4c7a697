"""The objective run through a model: derivatives, merged turns, variants, several optimiser steps, demonstrations."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from services.trainer.config import JobConfig, OptimConfig, PolicyLossConfig
from services.trainer.learn.layout import TrainRow
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.update import loss_config
from services.trainer.metrics.names import SCALARS
from services.trainer.objective.rows import Row, merge, unmerged
from tests.learn_parts import (
    FULL,
    REFERENCE,
    VOCABULARY,
    gradient,
    off,
    policy,
    some_rows,
    taken,
    tiny_model,
    updater,
)
from wideseek.rollout import AgentRecord, AgentStatus, SamplingRecord, TurnRecord, WeightSpan
from wideseek.trajectory import Role


def _on_policy(scored: SampledLogprobs, rows: list[TrainRow], *, drift: float = 0.0) -> list[TrainRow]:
    """The rows as if the policy had sampled them, or one whose log-probabilities differ by up to `drift`."""
    dice, update = random.Random(1), updater(scored, tokens=10_000)
    (micro_batch,) = update.plan(rows)[0]
    (batch,) = update._batches(update._slices(rows)[0])
    with torch.no_grad():
        logprobs = scored(batch.input_ids, None, batch.sources, batch.targets).tolist()
    found = iter(logprobs)
    told = {
        place: tuple(next(found) + dice.uniform(-drift, drift) if marked else 0.0 for marked in rows[place].trained)
        for place in micro_batch.rows
    }
    return [replace(row, behaviour=told[place]) for place, row in enumerate(rows)]


def _value(scored: SampledLogprobs, rows: list[TrainRow], loss: PolicyLossConfig) -> float:
    """The loss, from the statistics of a step that does not move."""
    return updater(scored, loss=loss).step(rows, lr=0.0)["loss/value"]


def _agent(turns: int) -> AgentRecord:
    """An agent whose prompts each extend the turn before."""
    dice, prompt, records = random.Random(turns), [5, 6, 7, 8], []
    for place in range(turns):
        sampled = [dice.randrange(3, VOCABULARY) for _ in range(dice.randint(1, 6))]
        records.append(
            TurnRecord(
                turn_index=place,
                model_name="tiny",
                prompt_token_ids=tuple(prompt),
                sampled_token_ids=tuple(sampled),
                sampled_logprobs=tuple(-dice.uniform(3, 6) for _ in sampled),
                weight_version_spans=(WeightSpan(version=0, start=0, end=len(sampled)),),
                sampling=SamplingRecord(max_tokens=8),
                finish_reason="stop",
                trainable=place != 1,
            )
        )
        prompt += [*sampled, *(dice.randrange(3, VOCABULARY) for _ in range(dice.randint(1, 9)))]
    return AgentRecord(agent_id="a", role=Role.LEAD, subtask="", status=AgentStatus.ANSWERED, turns=tuple(records))


def _train_rows(rows: list[Row], weight: float) -> list[TrainRow]:
    return [TrainRow(*row, weight, 0.9, Role.LEAD, 0) for row in rows if any(row.trained)]


def test_the_gradient_is_the_slope_of_the_loss(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path, family="neox"), FULL)
    rows = _on_policy(scored, some_rows(count=4), drift=0.15)
    updater(scored).accumulate(rows)
    layers = [p for name, p in scored.named_parameters() if "layers" in name and p.ndim == 2]
    chosen = [(p, p.grad.clone()) for p in random.Random(4).sample(layers, 3) if p.grad is not None]

    for parameter, slopes in chosen:
        place, step = int(slopes.abs().argmax()), 1e-5
        flat = parameter.data.view(-1)
        flat[place] += step
        above = _value(scored, rows, REFERENCE)
        flat[place] -= 2 * step
        below = _value(scored, rows, REFERENCE)
        flat[place] += step
        assert (above - below) / (2 * step) == pytest.approx(slopes.view(-1)[place].item(), rel=1e-5)
    assert len(chosen) == 3


@pytest.mark.parametrize("turns", [2, 5])
def test_merged_turns_have_the_loss_and_gradient_of_turns_on_their_own(tmp_path: Path, turns: int) -> None:
    scored, agent = policy(tiny_model(tmp_path)), _agent(turns)
    merged, single = _train_rows(merge(agent, {}), 0.01), _train_rows(unmerged(agent, {}), 0.01)

    whole = gradient(updater(scored), merged)

    assert len(merged) == 1 < len(single) + 1
    assert off(gradient(updater(scored), single), whole) < 1e-6
    assert _value(scored, single, REFERENCE) == pytest.approx(_value(scored, merged, REFERENCE), rel=1e-6)


def test_neither_order_nor_the_padding_token_changes_the_gradient(tmp_path: Path) -> None:
    scored, rows = policy(tiny_model(tmp_path)), some_rows()
    whole = gradient(updater(scored), rows)
    shuffled = random.Random(2).sample(rows, len(rows))
    update = updater(scored, tokens=10_000)

    padded = {}
    for pad in (0, 41):
        for batch in update._batches(update._slices(rows)[0], pad=pad):
            loss = (batch.weights * scored(batch.input_ids, None, batch.sources, batch.targets)).sum()
            torch.autograd.backward(loss)
        padded[pad] = taken(update)

    assert off(gradient(updater(scored), shuffled), whole) < 1e-6
    assert off(padded[41], padded[0]) < 1e-6


def test_on_policy_every_ratio_is_one_and_the_gradient_that_of_reinforce(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = _on_policy(scored, some_rows())
    reinforce = [replace(row, weight=row.weight * row.advantage) for row in rows]
    wanted = gradient(updater(scored, loss=None), reinforce)

    kinds: dict[str, Any] = {"ppo": {}, "gspo": {}, "cispo": {}}
    found = {kind: gradient(updater(scored, loss=REFERENCE.model_copy(update={"kind": kind})), rows) for kind in kinds}
    told = updater(scored).step(rows, lr=0.0)

    assert all(off(one, wanted) < 1e-6 for one in found.values())
    assert told["ratio/mean"] == pytest.approx(1, abs=1e-6)
    assert told["ratio/max"] == pytest.approx(1, abs=1e-6)
    assert told["mismatch/ess"] == pytest.approx(1, abs=1e-9)
    assert told["loss/value"] == pytest.approx(-sum(r.weight * r.advantage * sum(r.trained) for r in rows), rel=1e-6)


@pytest.mark.parametrize("kind", ["ppo", "gspo", "cispo"])
def test_what_is_drawn_at_a_temperature_is_learnt_from_at_it(tmp_path: Path, kind: str) -> None:
    """The gradient of - sum w A log softmax(z / T), whatever an engine says that states probabilities of T = 1."""
    scored, rows, temperature = policy(tiny_model(tmp_path)), some_rows(count=4), 0.4
    scaled = torch.zeros((), dtype=torch.float64)
    for row in rows:
        ids = torch.tensor([row.token_ids])
        logprobs = (scored.causal(input_ids=ids).logits[0, :-1] / temperature).log_softmax(-1)
        own = logprobs.gather(-1, ids[0, 1:, None])[:, 0]
        scaled = scaled - row.weight * row.advantage * own[torch.tensor(row.trained[1:])].sum()
    torch.autograd.backward(scaled)
    wanted = taken(updater(scored))

    loss = REFERENCE.model_copy(update={"kind": kind, "correction": "none" if kind == "gspo" else "tis"})
    found = gradient(updater(scored, loss=loss, temperature=temperature), rows)
    told = updater(scored, loss=loss, temperature=temperature).step(rows, lr=0.0)

    assert off(found, wanted) < 1e-6
    assert off(gradient(updater(scored, loss=loss), _on_policy(scored, rows)), wanted) > 1e-2
    assert told["ratio/max"] == pytest.approx(1, abs=1e-9)
    assert not {name for name in told if name.startswith("mismatch/")}


@pytest.mark.parametrize("kind", ["gspo", "cispo"])
def test_other_surrogates_differ_off_policy_and_not_by_layout(tmp_path: Path, kind: str) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = _on_policy(scored, some_rows(), drift=0.6)
    forked = [replace(row, sequence=row.sequence // 2, advantage=0.8, weight=0.01) for row in rows]
    loss = REFERENCE.model_copy(update={"kind": kind})

    found = gradient(updater(scored, loss=loss, tokens=16), forked)

    assert off(gradient(updater(scored, loss=loss, tokens=10_000), forked), found) < 1e-6
    assert off(gradient(updater(scored), forked), found) > 1e-2


def test_the_divergence_pulls_towards_the_base(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = [replace(row, advantage=0.0) for row in _on_policy(scored, some_rows())]
    loss = REFERENCE.model_copy(update={"kl": "k3", "kl_beta": 0.5})

    away = [updater(scored, loss=loss, optim=OptimConfig(max_grad_norm=100)).step(rows, lr=3e-3) for _ in range(8)]
    fresh = updater(policy(tmp_path, shaken=False), loss=loss).step(rows, lr=1e-3)

    assert away[0]["loss/kl"] > 0
    assert away[-1]["loss/kl"] < 0.8 * away[0]["loss/kl"]
    assert fresh["loss/kl"] == 0
    assert fresh["loss/grad_norm"] == 0


def test_equal_rewards_leave_the_weights_as_they_are(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = [replace(row, advantage=0.0) for row in some_rows()]

    assert not gradient(updater(scored), rows).any()


def test_the_second_optimiser_step_is_measured_against_the_weights_before_the_first(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    loss = REFERENCE.model_copy(update={"correction": "tis"})
    scored, once = policy(folder), policy(folder)
    rows = _on_policy(scored, some_rows(count=6))
    halves = [replace(row, minibatch=row.sequence % 2) for row in rows]
    update = updater(once, loss=loss)
    update.step([row for row in rows if row.sequence % 2 == 0], lr=1e-2)
    second = update.step([row for row in rows if row.sequence % 2], lr=1e-2)

    told = updater(scored, loss=loss).step(halves, lr=1e-2)

    # Against pi0 of its own start the second step's ratio is 1; against the first's it is not.
    assert second["ratio/max"] == pytest.approx(1, abs=1e-9)
    assert told["ratio/max"] > 1 + 1e-4
    assert told["correction/mean"] == pytest.approx(1, abs=1e-6)
    assert told["tokens/trained"] == sum(sum(row.trained) for row in rows)


def test_what_a_step_reports_goes_by_the_names_of_the_metrics(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = some_rows()

    told = updater(scored).step(rows, lr=1e-3)

    families = {f"clip/{role}/{side}" for role in ("lead", "subagent") for side in ("above", "below", "dual")}
    assert told.keys() - families <= SCALARS.keys()
    assert families <= told.keys()
    lead = sum(row.weight * sum(row.trained) for row in rows if row.role is Role.LEAD)
    assert told["weights/lead_share"] == pytest.approx(lead / sum(r.weight * sum(r.trained) for r in rows))
    assert told["tokens/trained"] == sum(sum(row.trained) for row in rows)
    assert told["tokens/repeat"] == 1


def test_a_demonstration_becomes_likelier_and_needs_no_behaviour(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path), double=False)
    rows = [replace(row, behaviour=(0.0,) * len(row.token_ids), advantage=1.0) for row in some_rows(count=2)]
    update = updater(scored, loss=None)

    told = [update.step(rows, lr=1e-2) for _ in range(15)]

    mean = sum(row.weight * sum(row.trained) for row in rows)
    assert told[0]["loss/value"] == pytest.approx(told[0]["loss/entropy"] * mean, rel=0.5)
    assert told[-1]["loss/value"] < 0.5 * told[0]["loss/value"]
    assert not {"ratio/mean", "mismatch/kl", "loss/kl"} & told[0].keys()


def test_a_step_without_a_trained_token_changes_nothing(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    update = updater(scored)
    update.step(some_rows(), lr=1e-3)
    before = {name: value.detach().clone() for name, value in scored.named_parameters()}

    told = update.step([replace(row, trained=(False,) * len(row.trained)) for row in some_rows()], lr=1e-3)

    assert told == {"tokens/trained": 0.0}
    assert all(torch.equal(value, before[name]) for name, value in scored.named_parameters())


def test_a_gradient_that_is_not_finite_stops_the_step_before_the_weights(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    before = {name: value.detach().clone() for name, value in scored.named_parameters()}
    rows = [replace(some_rows()[0], weight=float("nan"))]

    with pytest.raises(FloatingPointError, match="nothing was updated"):
        updater(scored).step(rows, lr=1e-3)

    assert all(torch.equal(value, before[name]) for name, value in scored.named_parameters())
    assert taken(updater(scored)).norm() == 0


def test_a_job_says_which_loss_it_has() -> None:
    job = JobConfig.model_validate({"data": {"wide": ["tasks.jsonl"]}})

    assert loss_config(job) == job.objective.policy_loss.model_copy(update={"correction": "tis"})
    assert loss_config(job.model_copy(update={"mode": "sft"})) is None
