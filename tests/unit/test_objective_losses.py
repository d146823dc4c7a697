"""The surrogates: hand-computed values, and that each switch changes the number it claims to change."""

import math
from typing import Any

import pytest
import torch

from services.trainer.config import PolicyLossConfig
from services.trainer.objective.losses import TokenLoss, sequence_means, tally, token_loss
from services.trainer.objective.tally import Tally
from tests.objective_parts import PLAIN, drawn, gradient, numbers, variables
from wideseek.trajectory import Role

LN = math.log


def config(**settings: Any) -> PolicyLossConfig:
    return PolicyLossConfig.model_validate({"correction": "none"} | settings)


def one(ratio: float, advantage: float, settings: PolicyLossConfig) -> tuple[float, float]:
    """Loss and gradient of a token of weight 1 that has become `ratio` times as probable."""
    current = variables(-1.0 + LN(ratio))
    loss = token_loss(current, numbers(-1.0), None, numbers(advantage), numbers(1), settings)
    return loss.total.item(), gradient(loss, current).item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.1, 2, -2.2, -2.2),  # inside: r A
        (1.5, 2, -2.56, 0),  # held at 1.28
        (0.5, 2, -1.0, -1.0),  # below, but the advantage is positive: free
        (0.5, -2, 1.6, 0),  # held at 0.8
        (1.5, -2, 3.0, 3.0),  # above, but the advantage is negative: free
        (12, -2, 20, 0),  # dual clip: 10 A
        (12, 0, 0, 0),
    ],
)
def test_ppo_by_hand(ratio: float, advantage: float, loss: float, slope: float) -> None:
    assert one(ratio, advantage, PLAIN) == pytest.approx((loss, slope), abs=1e-12)


def test_without_a_dual_clip_a_large_ratio_is_free() -> None:
    assert one(12, -2, config(dual_clip=None)) == pytest.approx((24, 24))
    assert one(12, -2, config(dual_clip=3)) == pytest.approx((6, 0))


@pytest.mark.parametrize("log_ratio", [25.0, -25.0])
def test_outside_of_the_clamp_the_gradient_is_zero(log_ratio: float) -> None:
    free = config(dual_clip=None, clip_high=1e12, clip_low=0.999999999999)
    current = variables(log_ratio)

    loss = token_loss(current, numbers(0), None, numbers(-1), numbers(1), free)

    assert loss.total.item() == pytest.approx(math.exp(math.copysign(20, log_ratio)), rel=1e-9)
    assert gradient(loss, current).item() == 0


def test_cispo_holds_the_weight_and_keeps_the_gradient_of_a_clipped_token() -> None:
    """f = sg[clip(1.5)] A pi = 1.28 * 2 * pi; at pi = -1 + ln 1.5 the loss is -2.56 pi, its slope -2.56."""
    loss, slope = one(1.5, 2, config(kind="cispo"))

    assert loss == pytest.approx(-2.56 * (-1 + LN(1.5)))
    assert slope == pytest.approx(-2.56)


def test_gspo_takes_the_geometric_mean_of_each_trajectory() -> None:
    """Ratios 1.2 and 1.25 of one agent: s = sqrt(1.5); 0.6 alone: held at 0.8 for its negative advantage."""
    current = variables(LN(1.2), LN(1.25), LN(0.6))
    ids, advantage = torch.tensor([7, 7, 3]), numbers(1, 1, -1)

    loss = token_loss(
        current, numbers(0, 0, 0), None, advantage, numbers(1, 1, 1), config(kind="gspo"), sequence_ids=ids
    )

    mean = math.sqrt(1.5)
    assert loss.ratio.tolist() == pytest.approx([mean, mean, 0.6])
    assert loss.total.item() == pytest.approx(-2 * mean + 0.8)
    assert gradient(loss, current).tolist() == pytest.approx([-mean, -mean, 0])
    assert loss.clipped_low.tolist() == [False, False, True]


def test_gspo_is_the_same_where_a_trajectorys_rows_lie_in_two_micro_batches() -> None:
    current, behaviour, ids = drawn(1, 6), drawn(2, 6), torch.tensor([0, 0, 0, 0, 1, 1])
    advantage, weight, gspo = numbers(1, 1, 1, 1, -1, -1), torch.full((6,), 0.25).double(), config(kind="gspo")
    means = sequence_means(current - behaviour, ids)

    def part(start: int, end: int) -> torch.Tensor:
        now = current[start:end].clone().requires_grad_()
        rest = (behaviour[start:end], None, advantage[start:end], weight[start:end], gspo)
        return gradient(token_loss(now, *rest, sequence_log_ratio=means[start:end]), now)

    whole = current.clone().requires_grad_()
    loss = token_loss(whole, behaviour, None, advantage, weight, gspo, sequence_ids=ids)

    torch.testing.assert_close(torch.cat([part(0, 3), part(3, 6)]), gradient(loss, whole), rtol=0, atol=1e-15)


def test_gspo_leaves_fill_out_of_a_trajectorys_mean() -> None:
    current, ids = numbers(0.2, 0.4, 9.0), torch.tensor([0, 0, 0])

    loss = token_loss(
        current, numbers(0, 0, 0), None, numbers(1, 1, 1), numbers(1, 1, 0), config(kind="gspo"), sequence_ids=ids
    )

    assert loss.ratio.tolist()[:2] == pytest.approx([math.exp(0.3)] * 2)


def corrected(rho: float, settings: PolicyLossConfig) -> TokenLoss:
    """Of a token that the proximal policy gives `rho` times the probability it was sampled with."""
    proximal = numbers(-3 + LN(rho))
    return token_loss(proximal, numbers(-3), proximal, numbers(1), numbers(1), settings)


@pytest.mark.parametrize(("rho", "factor"), [(0.1, 0.1), (1.5, 1.5), (4, 2)])
def test_tis_caps_the_factor(rho: float, factor: float) -> None:
    loss = corrected(rho, config(correction="tis"))

    assert loss.correction.item() == pytest.approx(factor)
    assert loss.total.item() == pytest.approx(-factor)
    assert not loss.masked.item()


@pytest.mark.parametrize(("rho", "factor"), [(0.1, 0), (0.6, 0.6), (1.5, 1.5), (4, 0)])
def test_mis_leaves_out_what_lies_outside_of_its_band(rho: float, factor: float) -> None:
    loss = corrected(rho, config(correction="mis"))

    assert loss.correction.item() == pytest.approx(factor)
    assert loss.total.item() == pytest.approx(-factor)
    assert loss.masked.item() == (factor == 0)


def test_a_corrections_ratio_is_against_the_proximal_policy() -> None:
    current, behaviour, proximal = numbers(-1.0), numbers(-2.0), numbers(-1.1)

    plain, tis = (
        token_loss(current, behaviour, proximal, numbers(1), numbers(1), config(correction=kind))
        for kind in ("none", "tis")
    )

    assert plain.ratio.item() == pytest.approx(math.e)
    assert tis.ratio.item() == pytest.approx(math.exp(0.1))


def test_a_trajectory_outside_of_the_sequence_band_is_left_out_as_a_whole() -> None:
    """Mean log ratios 0.1 and 0.3, geometric means 1.105 and 1.35; the band ends at 1.2."""
    current = numbers(-1.0, -1.2, -1.0, -1.4)
    behaviour = numbers(-1.1, -1.3, -1.3, -1.7)
    ids, ones = torch.tensor([0, 0, 1, 1]), numbers(1, 1, 1, 1)
    band = config(sequence_band=(0.9, 1.2), clip_high=10)

    loss = token_loss(current, behaviour, None, ones, ones, band, sequence_ids=ids)

    assert loss.masked.tolist() == [False, False, True, True]
    assert loss.total.item() == pytest.approx(-2 * math.exp(0.1))


@pytest.mark.parametrize(
    ("old", "new", "advantage", "left_out"),
    [(0.3, 0.6, 1, True), (0.3, 0.6, -1, False), (0.6, 0.3, -1, True), (0.3, 0.4, 1, False), (0.3, 0.6, 0, False)],
)
def test_a_token_whose_probability_moved_far_in_the_advantages_direction_is_left_out(
    old: float, new: float, advantage: float, left_out: bool
) -> None:
    loss = token_loss(numbers(LN(new)), numbers(LN(old)), None, numbers(advantage), numbers(1), config(tv_mask=0.2))

    assert loss.masked.item() == left_out
    assert (loss.total.item() == 0) == (left_out or advantage == 0)


@pytest.mark.parametrize(
    ("kind", "value", "slope"), [("k2", 0.5 * 0.3**2, 0.3), ("k3", math.exp(-0.3) - 1 + 0.3, 1 - math.exp(-0.3))]
)
def test_the_divergence_from_the_reference_by_hand(kind: str, value: float, slope: float) -> None:
    """pi - ref = 0.3, weight 0.5, beta 0.1, no advantage: loss = 0.05 k."""
    current = variables(-0.7)
    settings = config(kl=kind, kl_beta=0.1)

    loss = token_loss(current, numbers(-0.7), None, numbers(0), numbers(0.5), settings, reference=numbers(-1.0))

    assert loss.kl.item() == pytest.approx(value)
    assert loss.total.item() == pytest.approx(0.05 * value)
    assert gradient(loss, current).item() == pytest.approx(0.05 * slope)


def test_the_divergence_pulls_at_tokens_that_the_correction_leaves_out() -> None:
    settings = config(correction="mis", kl="k2", kl_beta=0.1)

    loss = token_loss(numbers(-1), numbers(-4), None, numbers(1), numbers(1), settings, reference=numbers(-2))

    assert loss.masked.item()
    assert loss.total.item() == pytest.approx(0.1 * 0.5)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"kind": "gspo"}, "sequence_ids"),
        ({"sequence_band": (0.9, 1.1)}, "sequence_ids"),
        ({"kl": "k3", "kl_beta": 0.1}, "reference"),
        ({"correction": "auto"}, "auto"),
    ],
)
def test_an_input_that_the_configuration_needs_must_be_given(settings: dict[str, Any], missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        token_loss(numbers(-1), numbers(-1), None, numbers(1), numbers(1), config(**settings))


TIS, MIS, KL = {"correction": "tis"}, {"correction": "mis"}, {"kl": "k3", "kl_beta": 0.1}


@pytest.mark.parametrize(
    ("base", "changed"),
    [
        ({}, {"clip_low": 0.05}),
        ({}, {"clip_high": 0.05}),
        ({}, {"dual_clip": 2.0}),
        ({}, {"log_ratio_clamp": 0.1}),
        ({}, TIS),
        (TIS, {"tis_cap": 1.05}),
        (TIS, MIS),
        (MIS, {"mis_low": 0.9}),
        (MIS, {"mis_high": 1.5}),
        ({}, {"sequence_band": (0.99, 1.01)}),
        ({}, {"tv_mask": 0.05}),
        ({}, KL),
        (KL, {"kl": "k2"}),
        (KL, {"kl_beta": 0.2}),
        ({}, {"kind": "gspo"}),
        ({}, {"kind": "cispo"}),
    ],
)
def test_each_switch_changes_the_loss(base: dict[str, Any], changed: dict[str, Any]) -> None:
    tokens = 40
    current, behaviour = drawn(1, tokens, spread=3), drawn(2, tokens, spread=3)
    advantage = torch.where(torch.arange(tokens) % 2 == 0, 1.0, -1.0).double()
    rest: dict[str, Any] = {"sequence_ids": torch.arange(tokens) // 8, "reference": drawn(3, tokens)}
    proximal = current + 0.5 * drawn(4, tokens)
    given = (current, behaviour, proximal, advantage, torch.full((tokens,), 0.025).double())

    before, after = (token_loss(*given, config(**settings), **rest) for settings in (base, base | changed))

    assert abs(after.total.item() - before.total.item()) > 1e-4


def test_single_precision_gives_the_numbers_of_double_to_a_millionth() -> None:
    tokens = 200
    current, behaviour = drawn(1, tokens), drawn(2, tokens)
    advantage, weight = drawn(3, tokens) + 0.5, torch.full((tokens,), 1 / tokens).double()
    exact = current.clone().requires_grad_()
    single = current.float().requires_grad_()

    wide = token_loss(exact, behaviour, None, advantage, weight, PLAIN)
    narrow = token_loss(single, behaviour.float(), None, advantage.float(), weight.float(), PLAIN)

    assert narrow.total.dtype == torch.float32
    assert narrow.total.item() == pytest.approx(wide.total.item(), abs=3e-7)
    torch.testing.assert_close(gradient(narrow, single).double(), gradient(wide, exact), rtol=1e-6, atol=1e-9)


def test_a_batch_without_tokens_has_a_loss_of_zero() -> None:
    none = numbers()

    loss = token_loss(none, none, None, none, none, config(kind="gspo"), sequence_ids=torch.tensor([]).long())

    assert loss.total.item() == 0
    assert tally(loss, none, none, None, none, {}).scalars()["tokens/trained"] == 0


def tallied(start: int, end: int) -> Tally:
    current, behaviour = numbers(LN(1.5), LN(0.5), LN(12), 0, 5)[start:end], numbers(0, 0, 0, 0, 0)[start:end]
    advantage, weight = numbers(1, -1, -1, 1, 1)[start:end], numbers(0.25, 0.25, 0.25, 0.25, 0)[start:end]
    lead = torch.tensor([True, True, False, False, False])[start:end]
    loss = token_loss(current, behaviour, None, advantage, weight, PLAIN)
    return tally(loss, current, behaviour, None, weight, {Role.LEAD: lead, Role.SUBAGENT: ~lead})


def test_the_metrics_of_a_step_by_hand() -> None:
    """Ratios 1.5 (held above), 0.5 (held below), 12 (dual) and 1; the fifth token is fill and counts in nothing."""
    found = tallied(0, 5).scalars()

    assert found["ratio/mean"] == pytest.approx(15 / 4)
    assert found["ratio/max"] == pytest.approx(12)
    assert found["mismatch/ess"] == pytest.approx(15**2 / (4 * (1.5**2 + 0.5**2 + 144 + 1)))
    assert found["mismatch/kl"] == pytest.approx((15 - 4 - LN(1.5) - LN(0.5) - LN(12)) / 4)
    assert found["loss/entropy"] == pytest.approx(-(LN(1.5) + LN(0.5) + LN(12)) / 4)
    assert found["loss/value"] == pytest.approx(-0.25 * (1.28 - 0.8 - 10 + 1))
    assert (found["clip/lead/above"], found["clip/lead/below"], found["clip/lead/dual"]) == (0.5, 0.5, 0)
    assert (found["clip/subagent/above"], found["clip/subagent/below"], found["clip/subagent/dual"]) == (0, 0, 0.5)
    assert (found["correction/mean"], found["correction/masked"]) == (1, 0)
    assert (found["tokens/trained"], found["loss/kl"]) == (4, 0)


@pytest.mark.parametrize("cut", range(6))
def test_the_metrics_do_not_depend_on_how_a_step_is_cut(cut: int) -> None:
    whole, parts = tallied(0, 5).scalars(), (tallied(0, cut) + tallied(cut, 5)).scalars()

    assert parts == pytest.approx(whole)
