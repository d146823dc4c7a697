"""Identities that the objective must satisfy, each with its number in the list of the design."""

import itertools
import math
import random

import pytest
import torch

from benchmarks.objective_weights import climb, width_gradient
from services.trainer.config import AdvantageConfig, PolicyLossConfig, WeightsConfig
from services.trainer.objective.advantages import advantage_of, group_advantages, step_advantages
from services.trainer.objective.batch import RolloutShape
from services.trainer.objective.losses import evaluate, token_loss
from services.trainer.objective.rows import forks, merge
from services.trainer.objective.weights import token_weights
from tests.objective_parts import PLAIN, agent, batch, drawn, gradient, numbers, shaped, turn, variables
from wideseek.trajectory import Role

GRPO = AdvantageConfig()
SCHEMES = ("wideseek", "rollout", "global", "role")
SEEDS = range(5)


def totals(rollouts: list[RolloutShape], config: WeightsConfig, planned: int) -> dict[tuple[str, str], float]:
    """What each agent's tokens weigh together."""
    weights = token_weights(rollouts, config, planned)
    return {
        (one.rollout_id, each.agent_id): weights[one.rollout_id, each.agent_id] * each.trained_tokens
        for one in rollouts
        for each in one.agents
    }


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_token_weights_of_a_step_sum_to_one(scheme: str, seed: int) -> None:  # 1
    rollouts = batch(seed)

    found = totals(rollouts, WeightsConfig(scheme=scheme), len(rollouts))

    assert math.fsum(found.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rollout_weighs_1_over_b_and_each_of_its_agents_alike(seed: int) -> None:  # 2
    rollouts = batch(seed)

    found = totals(rollouts, WeightsConfig(), 20)

    for one in rollouts:
        own = [found[one.rollout_id, each.agent_id] for each in one.agents]
        assert own == pytest.approx([1 / (20 * len(own))] * len(own), abs=1e-12)
        assert sum(own) == pytest.approx(1 / 20, abs=1e-12)


def test_doubling_a_subagent_takes_every_agent_from_1_over_n_to_1_over_n_plus_1() -> None:  # 3
    before, after = [shaped("r", "g", 1, 5, 7, 9)], [shaped("r", "g", 1, 5, 7, 9, 9)]

    small, large = (totals(given, WeightsConfig(), 4) for given in (before, after))

    assert list(small.values()) == pytest.approx([1 / 12] * 3, abs=1e-12)
    assert list(large.values()) == pytest.approx([1 / 16] * 4, abs=1e-12)
    assert sum(small.values()) == pytest.approx(sum(large.values()), abs=1e-12)


def test_doubling_a_subagent_leaves_the_lead_its_share_under_the_role_scheme() -> None:  # 3
    config = WeightsConfig(scheme="role", lead_share=0.3)
    before, after = [shaped("r", "g", 1, 5, 7, 9)], [shaped("r", "g", 1, 5, 7, 9, 9)]

    small, large = (totals(given, config, 4) for given in (before, after))

    assert small["r", "a0"] == large["r", "a0"] == pytest.approx(0.3 / 4, abs=1e-12)
    assert sum(small.values()) == pytest.approx(sum(large.values()), abs=1e-12)


@pytest.mark.parametrize("size", range(2, 17))
def test_equal_rewards_give_a_gradient_of_exactly_zero_in_single_precision(size: int) -> None:  # 4
    for reward in (0.0, 0.1, 0.3, 0.97, 1.15, 1 / 3, -0.7, 1e6):
        rounded = torch.tensor([reward] * size, dtype=torch.float32)
        advantages = torch.tensor(group_advantages(rounded.tolist(), GRPO), dtype=torch.float32)
        current = torch.linspace(-3, -0.1, size, requires_grad=True)

        loss = token_loss(current, torch.full((size,), -1.0), None, advantages, torch.ones(size), PLAIN)

        assert gradient(loss, current).tolist() == [0.0] * size


@pytest.mark.parametrize("seed", SEEDS)
def test_on_policy_every_ratio_is_one_and_the_gradient_is_weighted_reinforce(seed: int) -> None:  # 5
    rollouts = batch(seed)
    weights = token_weights(rollouts, WeightsConfig(), len(rollouts))
    advantages = step_advantages(rollouts, GRPO)
    tokens = [(one, each) for one in rollouts for each in one.agents for _ in range(each.trained_tokens)]
    weight = numbers(*(weights[one.rollout_id, each.agent_id] for one, each in tokens))
    advantage = numbers(*(advantages[one.rollout_id, None] for one, _ in tokens))
    current = drawn(seed, len(tokens)).requires_grad_()

    loss = token_loss(current, current.detach(), None, advantage, weight, PLAIN)

    assert loss.ratio.tolist() == [1.0] * len(tokens)
    assert loss.total.item() == pytest.approx(-(weight * advantage).sum().item(), abs=1e-12)
    assert loss.total.item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(gradient(loss, current), -weight * advantage, rtol=0, atol=1e-12)


def test_the_gradient_of_two_tokens_is_the_formula_or_zero_where_a_clip_holds() -> None:  # 6
    dice = random.Random(6)
    for _ in range(100):
        logit, old = dice.uniform(-4, 4), dice.uniform(-6, -0.01)
        advantage, weight = dice.choice([-1, 1]) * dice.uniform(0.1, 2), dice.uniform(0.01, 1)
        parameter = variables(logit)
        current = torch.nn.functional.logsigmoid(parameter)  # of the first of two tokens

        loss = token_loss(current, numbers(old), None, numbers(advantage), numbers(weight), PLAIN)

        ratio = math.exp(current.item() - old)
        held = ratio > 1.28 if advantage > 0 else ratio < 0.8 or ratio > 10
        expected = 0.0 if held else -weight * advantage * ratio * (1 - math.exp(current.item()))
        assert gradient(loss, parameter).item() == pytest.approx(expected, abs=1e-12)


def test_a_turn_whose_prompt_does_not_extend_the_one_before_starts_a_row() -> None:  # 9
    compacted = agent("a", turn(0, [1, 2], [3]), turn(1, [1, 2, 3, 4], [5]), turn(2, [1, 9], [6]))

    rows = merge(compacted, {})

    assert [row.token_ids for row in rows] == [(1, 2, 3, 4, 5), (1, 9, 6)]
    assert forks(compacted) == 1


def test_a_drift_of_one_token_is_a_fork_and_is_never_realigned() -> None:  # 9
    drifted = agent("a", turn(0, [1, 2], [3, 4]), turn(1, [1, 2, 3, 40, 5], [6]))

    rows = merge(drifted, {})

    assert [row.token_ids for row in rows] == [(1, 2, 3, 4), (1, 2, 3, 40, 5, 6)]
    assert rows[1].trained == (False,) * 5 + (True,)
    assert forks(drifted) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_an_affine_map_of_the_rewards_changes_no_advantage_and_a_shift_none_without_std(seed: int) -> None:  # 14
    dice = random.Random(seed)
    rewards = [dice.random() for _ in range(8)]
    scaled, shifted = [3 * reward + 2 for reward in rewards], [reward + 2 for reward in rewards]
    exact, plain = AdvantageConfig(epsilon=0), AdvantageConfig(estimator="mean")

    assert group_advantages(scaled, exact) == pytest.approx(group_advantages(rewards, exact), abs=1e-9)
    assert group_advantages(shifted, plain) == pytest.approx(group_advantages(rewards, plain), abs=1e-9)


@pytest.mark.parametrize("size", range(2, 17))
def test_no_advantage_exceeds_that_of_one_success_in_the_group(size: int) -> None:  # 15
    exact, bound = AdvantageConfig(epsilon=0), (size - 1) / math.sqrt(size)
    dice = random.Random(size)

    highest = max(group_advantages([1.0] + [0.0] * (size - 1), exact))
    others = [group_advantages([dice.random() for _ in range(size)], exact) for _ in range(20)]

    assert highest == pytest.approx(bound, abs=1e-9)
    assert max(abs(one) for advantages in others for one in advantages) <= bound + 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_permuting_rollouts_and_groups_permutes_the_advantages(seed: int) -> None:  # 16
    rollouts = batch(seed)
    turned = random.Random(seed).sample(rollouts, len(rollouts))

    assert step_advantages(turned, GRPO) == step_advantages(rollouts, GRPO)


def test_role_rewards_that_equal_the_reward_give_the_shared_advantage() -> None:  # 17
    rewards = (0.2, 0.9, 0.4, 0.7)
    shared = [shaped(str(place), "g", reward, 3, 4, 5) for place, reward in enumerate(rewards)]
    owned = [one.model_copy(update={"role_reward": dict.fromkeys(Role, one.reward)}) for one in shared]

    common = step_advantages(shared, GRPO)
    roles = step_advantages(owned, AdvantageConfig(per_role=True))

    for one, role in itertools.product(shared, (Role.LEAD, Role.SUBAGENT)):
        expected = advantage_of(common, one.rollout_id, role)
        assert advantage_of(roles, one.rollout_id, role) == pytest.approx(expected, abs=1e-12)


def test_gspo_has_the_reference_gradient_on_policy_and_another_off_policy() -> None:  # 18
    gspo = PolicyLossConfig(kind="gspo", correction="none")
    advantage, weight = numbers(1, 1, 1, -2, -2), numbers(0.1, 0.1, 0.1, 0.2, 0.2)
    ids, current = torch.tensor([0, 0, 0, 1, 1]), drawn(18, 5)

    def found(config: PolicyLossConfig, behaviour: torch.Tensor) -> torch.Tensor:
        now = current.clone().requires_grad_()
        return gradient(token_loss(now, behaviour, None, advantage, weight, config, sequence_ids=ids), now)

    stale = current + 0.1 * drawn(19, 5)

    torch.testing.assert_close(found(gspo, current), found(PLAIN, current), rtol=0, atol=1e-9)
    assert (found(gspo, stale) - found(PLAIN, stale)).abs().max() > 1e-3


def test_tis_has_factors_of_one_where_the_sampling_policy_is_the_proximal_one() -> None:  # 19
    tis, current = PolicyLossConfig(correction="tis"), drawn(19, 6)

    found = token_loss(current, current, current, torch.ones(6), torch.ones(6), tis)

    assert found.correction.tolist() == [1.0] * 6


def test_the_factor_of_tis_carries_no_gradient() -> None:  # 19
    tis = PolicyLossConfig(correction="tis")
    current, behaviour = drawn(1, 6).requires_grad_(), drawn(2, 6)
    proximal = current.detach() + 0.01

    loss = token_loss(current, behaviour, proximal, torch.ones(6).double(), torch.ones(6).double(), tis)

    factor = (proximal - behaviour).exp().clamp(max=2)
    expected = -factor * (current.detach() - proximal).exp()
    torch.testing.assert_close(gradient(loss, current), expected, rtol=0, atol=1e-12)


def test_tis_without_a_cap_is_plain_importance_sampling() -> None:  # 19
    tis = PolicyLossConfig(correction="tis", tis_cap=1e30, clip_high=1e30, dual_clip=None)
    current, behaviour, advantage = drawn(1, 6), drawn(2, 6, spread=4), torch.ones(6).double()

    loss = token_loss(current, behaviour, current, advantage, torch.ones(6).double(), tis)

    assert loss.total.item() == pytest.approx(-(current - behaviour).exp().sum().item(), abs=1e-12)


def test_a_masked_agent_leaves_n_or_keeps_its_place_where_it_counts() -> None:  # 20
    left_out, kept = [shaped("r", "g", 1, 5, 0, 9)], [shaped("r", "g", 1, 5, 0, 9, counted=[1])]

    without, counted = (totals(given, WeightsConfig(), 4) for given in (left_out, kept))

    assert sum(without.values()) == pytest.approx(1 / 4, abs=1e-12)
    assert sum(counted.values()) == pytest.approx((3 - 1) / (3 * 4), abs=1e-12)


@pytest.mark.parametrize("slowed", [lambda width: 1.0, lambda width: 1 / width, lambda width: 0.5, math.exp])
def test_a_weight_by_width_moves_no_fixed_point_of_the_leads_choice(slowed: object) -> None:  # 27
    assert callable(slowed)
    widths, dice = (1, 2, 5, 10), random.Random(27)
    weights = [slowed(width) for width in widths]
    for _ in range(50):
        share = [dice.uniform(0.05, 1) for _ in widths]
        policy = [one / sum(share) for one in share]
        equal, unequal = [0.4] * 4, [dice.random() for _ in widths]

        still, moving = (width_gradient(policy, values, weights) for values in (equal, unequal))

        assert still == pytest.approx([0.0] * 4, abs=1e-12)
        assert max(map(abs, moving)) > 1e-6


def test_1_over_n_slows_the_lead_but_leads_to_the_same_choice() -> None:  # 27
    values, widths = (0.2, 0.3, 0.4, 0.5), (1, 2, 5, 10)

    plain, slowed, balanced = (
        climb(values, weights) for weights in ([1.0] * 4, [1 / width for width in widths], [0.5] * 4)
    )

    assert (plain, slowed) == (1_620, 6_774)
    assert balanced / plain == pytest.approx(2.0, abs=0.01)


def test_the_loss_of_numbers_is_the_loss_of_tensors() -> None:
    loss, gradient, clipped, dual = evaluate([-0.1, -3.0], [-1.0, -1.0], [1.0, -1.0], [0.5, 0.5], PLAIN)

    assert loss == pytest.approx(-0.5 * 1.28 + 0.5 * 0.8)
    assert gradient == [0.0, 0.0]
    assert (clipped, dual) == (2, 0)
