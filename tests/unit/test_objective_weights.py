"""Advantages and token weights: hand-computed cases, properties, and that each switch changes its number."""

import itertools
import math
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.config import AdvantageConfig, WeightsConfig
from services.trainer.objective.advantages import advantage_of, group_advantages, own_advantage, step_advantages
from services.trainer.objective.batch import AgentShape, RolloutShape
from services.trainer.objective.compat import RowOf, layout_factors, reference_compat_weights
from services.trainer.objective.losses import token_loss
from services.trainer.objective.weights import lead_share, token_weights
from tests.objective_parts import PLAIN, batch, drawn, gradient, shaped
from wideseek.errors import ContractViolation
from wideseek.trajectory import Role

GRPO, MEAN, RLOO = (AdvantageConfig.model_validate({"estimator": name}) for name in ("grpo", "mean", "rloo"))


def scheme(**values: Any) -> WeightsConfig:
    return WeightsConfig.model_validate(values)


def test_advantages_by_hand() -> None:
    """Rewards 0, 0, 0, 1: mean 1/4, deviations -1/4 and 3/4, s = sqrt(3/4 / 3) = 1/2."""
    rewards = [0.0, 0.0, 0.0, 1.0]

    assert group_advantages(rewards, MEAN) == [-0.25, -0.25, -0.25, 0.75]
    assert group_advantages(rewards, RLOO) == pytest.approx([-1 / 3, -1 / 3, -1 / 3, 1])
    assert group_advantages(rewards, GRPO) == pytest.approx([-0.25 / 0.500001] * 3 + [0.75 / 0.500001], rel=1e-14)


def test_rloo_is_the_reward_less_the_mean_of_the_others() -> None:
    rewards = [0.2, 0.9, 0.4]

    assert group_advantages(rewards, RLOO) == pytest.approx([0.2 - 0.65, 0.9 - 0.3, 0.4 - 0.55])


@pytest.mark.parametrize("config", [GRPO, MEAN, RLOO])
def test_a_rollout_alone_in_its_group_has_no_advantage(config: AdvantageConfig) -> None:
    assert group_advantages([0.7], config) == [0.0]
    assert group_advantages([], config) == []


@pytest.mark.parametrize("epsilon", [0.0, 1e-6])
def test_rewards_that_differ_in_the_last_bit_have_finite_advantages(epsilon: float) -> None:
    rewards = [0.1, math.nextafter(0.1, 1)] * 4

    found = group_advantages(rewards, AdvantageConfig(epsilon=epsilon))

    assert all(abs(one) <= 7 / math.sqrt(8) + 1e-9 for one in found)


def test_groups_are_kept_apart() -> None:
    rollouts = [shaped("a", "g", 0, 1), shaped("b", "h", 5, 1), shaped("c", "g", 1, 1), shaped("d", "h", 7, 1)]

    found = step_advantages(rollouts, MEAN)

    assert found == {("a", None): -0.5, ("c", None): 0.5, ("b", None): -1, ("d", None): 1}


def with_roles(name: str, lead: float, subagent: float, *tokens: int) -> RolloutShape:
    rewards = {Role.LEAD: lead, Role.SUBAGENT: subagent}
    return shaped(name, "g", 0.5, *tokens).model_copy(update={"role_reward": rewards})


def test_roles_have_advantages_of_their_own_whatever_the_width() -> None:
    """Subagents of each rollout count once: 1 and 0 around 1/2, though the second rollout has three of them."""
    rollouts = [with_roles("a", 0, 1, 5, 5), with_roles("b", 4, 0, 5, 5, 5, 5)]

    found = step_advantages(rollouts, AdvantageConfig(estimator="mean", per_role=True))

    assert {role: advantage_of(found, "a", role) for role in (Role.LEAD, Role.SUBAGENT)} == {
        Role.LEAD: -2,
        Role.SUBAGENT: 0.5,
    }
    assert advantage_of(found, "b", Role.SUBAGENT) == -0.5


def test_a_rollout_without_subagents_is_not_in_their_group() -> None:
    rollouts = [with_roles("a", 0, 1, 5, 5), with_roles("b", 4, 0, 5, 5), with_roles("c", 2, 9, 5)]

    found = step_advantages(rollouts, AdvantageConfig(estimator="mean", per_role=True))

    assert ("c", Role.SUBAGENT) not in found
    assert found["a", Role.SUBAGENT] == 0.5


@pytest.mark.parametrize(
    "changed", [{"estimator": "mean"}, {"estimator": "rloo"}, {"epsilon": 0.1}, {"per_role": True}]
)
def test_each_switch_changes_the_advantages(changed: dict[str, Any]) -> None:
    rollouts = [with_roles("a", 0, 1, 5, 5), with_roles("b", 4, 0, 5, 5)]
    rollouts = [one.model_copy(update={"reward": place / 3}) for place, one in enumerate(rollouts)]

    plain, other = (step_advantages(rollouts, config) for config in (GRPO, AdvantageConfig.model_validate(changed)))

    before, after = (advantage_of(found, "a", Role.SUBAGENT) for found in (plain, other))
    assert after != pytest.approx(before, rel=1e-3)


def test_a_blamed_agent_is_paid_for_what_went_wrong_and_not_for_what_went_well() -> None:
    """Rewards 0 and 1 around 1/2: its lead's -1/2 is the agent's too, its lead's +1/2 is not."""
    rollouts = [shaped("a", "g", 0, 5, 5, blamed=[1]), shaped("b", "g", 1, 5, 5, blamed=[1])]
    found = step_advantages(rollouts, MEAN)

    own = {one.rollout_id: [own_advantage(found, one.rollout_id, agent) for agent in one.agents] for one in rollouts}

    assert own == {"a": [-0.5, -0.5], "b": [0.5, 0.0]}


@pytest.mark.parametrize("reward", [math.nan, math.inf])
def test_a_reward_that_is_no_number_is_refused(reward: float) -> None:
    with pytest.raises(ContractViolation, match="rollout a has a reward"):
        step_advantages([shaped("a", "g", reward, 1)], GRPO)


def test_a_rollout_given_twice_is_refused() -> None:
    twice = [shaped("a", "g", 1, 1), shaped("a", "g", 0, 1)]

    with pytest.raises(ContractViolation, match="a is given twice"):
        step_advantages(twice, GRPO)


def weighed(config: WeightsConfig, *rollouts: RolloutShape, planned: int = 2) -> list[float]:
    return list(token_weights(rollouts, config, planned).values())


def test_weights_by_hand() -> None:
    """B = 2; a lead of 4 tokens with subagents of 2 and 6, and a lead of 5 tokens alone."""
    wide, narrow = shaped("w", "g", 1, 4, 2, 6), shaped("n", "g", 0, 5)

    assert weighed(scheme(), wide, narrow) == pytest.approx([1 / 24, 1 / 12, 1 / 36, 1 / 10])
    assert weighed(scheme(scheme="dr_grpo", token_budget=8), wide, narrow) == pytest.approx([1 / 48] * 3 + [1 / 16])
    assert weighed(scheme(scheme="rollout"), wide, narrow) == pytest.approx([1 / 24] * 3 + [1 / 10])
    assert weighed(scheme(scheme="global"), wide, narrow) == pytest.approx([1 / 17] * 4)
    assert weighed(scheme(scheme="role", lead_share=0.25), wide, narrow) == pytest.approx(
        [0.25 / 8, 0.75 / (2 * 2 * 2), 0.75 / (2 * 2 * 6), 1 / 10]
    )


def test_the_weights_of_the_reference_are_the_intended_ones_until_the_layout_is_known() -> None:
    rollouts = batch(0)

    found = token_weights(rollouts, scheme(scheme="reference_compat"), 12)

    assert found == token_weights(rollouts, scheme(), 12)


def test_an_agent_without_trained_tokens_weighs_nothing_and_is_in_no_count() -> None:
    masked = shaped("r", "g", 1, 4, 0, 6)

    assert weighed(scheme(), masked) == pytest.approx([1 / 16, 0, 1 / 24])
    assert weighed(scheme(scheme="role"), masked) == pytest.approx([1 / 16, 0, 1 / 24])
    assert weighed(scheme(scheme="dr_grpo", token_budget=1), masked) == pytest.approx([1 / 4, 0, 1 / 4])


def test_an_agent_that_counts_keeps_its_place_among_its_role() -> None:
    counted = shaped("r", "g", 1, 4, 0, 6, counted=[1])

    assert weighed(scheme(), counted) == pytest.approx([1 / 24, 0, 1 / 36])
    assert weighed(scheme(scheme="role"), counted) == pytest.approx([1 / 16, 0, 1 / 48])
    assert weighed(scheme(scheme="dr_grpo", token_budget=1), counted) == pytest.approx([1 / 6, 0, 1 / 6])


@pytest.mark.parametrize("name", ["wideseek", "dr_grpo", "rollout", "global", "role", "reference_compat"])
def test_a_rollout_without_trained_tokens_weighs_nothing(name: str) -> None:
    empty = [shaped("r", "g", 1, 0, 0), shaped("s", "g", 1)]

    assert weighed(scheme(scheme=name), *empty) == [0, 0]


def test_what_drops_out_of_a_step_raises_nobody_elses_weight() -> None:
    rollouts = batch(3)

    all_there, some = (token_weights(given, scheme(), 12) for given in (rollouts, rollouts[:5]))

    assert some == {key: weight for key, weight in all_there.items() if key in some}


def test_more_rollouts_than_planned_are_refused() -> None:
    with pytest.raises(ContractViolation, match="2 rollouts in a step planned for 1"):
        weighed(scheme(), shaped("a", "g", 1, 1), shaped("b", "g", 1, 1), planned=1)


def test_an_agent_given_twice_is_refused() -> None:
    agent = AgentShape(agent_id="x", role=Role.LEAD, trained_tokens=1)
    twice = RolloutShape(rollout_id="r", group_id="g", reward=0, agents=(agent, agent))

    with pytest.raises(ContractViolation, match="agent x of rollout r"):
        weighed(scheme(), twice)


def test_the_leads_share_of_a_step_by_hand() -> None:
    rollouts = [shaped("w", "g", 1, 4, 2, 6), shaped("n", "g", 0, 5)]

    assert lead_share(rollouts, token_weights(rollouts, scheme(), 2)) == pytest.approx((1 / 3 + 1) / 2)
    assert lead_share(rollouts, token_weights(rollouts, scheme(scheme="global"), 2)) == pytest.approx(9 / 17)
    assert lead_share([], {}) == 0


def test_the_references_effective_weights_by_hand() -> None:
    """Rows of 4, 2 and 6 tokens, the first two in one micro-batch: S = 3, M = 2, n = 6 and 6."""
    rollouts = [shaped("r", "g", 1, 4, 2, 6)]
    layout = [[RowOf("r", "a0", 4), RowOf("r", "a1", 2)], [RowOf("r", "a2", 6)]]

    found = reference_compat_weights(rollouts, 1, microbatches=layout)

    assert found == [
        pytest.approx([1 / 12 * 4 / 6 * 3 / 2, 1 / 6 * 2 / 6 * 3 / 2]),
        pytest.approx([1 / 18 * 3 / 2]),
    ]


def test_one_row_a_micro_batch_gives_the_intended_weights() -> None:
    rollouts = batch(1)
    rows = [RowOf(one.rollout_id, each.agent_id, each.trained_tokens) for one in rollouts for each in one.agents]

    found = reference_compat_weights(rollouts, 12, microbatches=[[row] for row in rows])

    assert [weight for (weight,) in found] == pytest.approx(weighed(scheme(), *rollouts, planned=12))


def test_fill_in_a_layout_changes_no_factor() -> None:
    assert layout_factors([[4, 0, 2], [0], [6], []]) == [[1.0, 0.0, 0.5], [0.0], [1.5], []]


TOKENS = st.lists(st.integers(0, 30), min_size=1, max_size=5)
STEPS = st.lists(TOKENS, min_size=1, max_size=6).map(
    lambda widths: [shaped(str(place), "g", place, *tokens) for place, tokens in enumerate(widths)]
)
SCHEMES = st.sampled_from(["wideseek", "dr_grpo", "rollout", "global", "role"]).map(lambda name: scheme(scheme=name))


@given(STEPS, SCHEMES, st.randoms(use_true_random=False))
def test_the_order_of_rollouts_and_agents_changes_no_weight(
    rollouts: list[RolloutShape], config: WeightsConfig, dice: random.Random
) -> None:
    turned = [
        one.model_copy(update={"agents": tuple(dice.sample(one.agents, len(one.agents)))})
        for one in dice.sample(rollouts, len(rollouts))
    ]

    assert token_weights(turned, config, 6) == token_weights(rollouts, config, 6)


@given(STEPS, st.sampled_from(["wideseek", "dr_grpo", "role"]), st.integers(1, 100))
def test_lengthening_an_agent_changes_no_other_weight(rollouts: list[RolloutShape], name: str, more: int) -> None:
    first, *others = rollouts
    trained = next((agent for agent in first.agents if agent.trained_tokens), None)
    if trained is None:
        return
    longer = trained.model_copy(update={"trained_tokens": trained.trained_tokens + more})
    agents = tuple(longer if agent is trained else agent for agent in first.agents)
    key = first.rollout_id, trained.agent_id

    before = token_weights(rollouts, scheme(scheme=name), 6)
    after = token_weights([first.model_copy(update={"agents": agents}), *others], scheme(scheme=name), 6)

    assert {one: weight for one, weight in after.items() if one != key} == {
        one: weight for one, weight in before.items() if one != key
    }


@settings(deadline=None)
@given(st.integers(0, 1_000), st.lists(st.integers(1, 39), max_size=5))
def test_any_split_into_micro_batches_gives_the_same_loss_and_gradient(seed: int, cuts: list[int]) -> None:
    current, behaviour, advantage, weight = (drawn(seed + part, 40) for part in range(4))
    bounds = [0, *sorted(set(cuts)), 40]

    def part(start: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        now = current[start:end].clone().requires_grad_()
        loss = token_loss(now, behaviour[start:end], None, 0.5 + advantage[start:end], -weight[start:end], PLAIN)
        return loss.total.detach(), gradient(loss, now)

    parts = [part(start, end) for start, end in itertools.pairwise(bounds)]
    total, slopes = part(0, 40)

    assert float(sum(loss for loss, _ in parts)) == pytest.approx(total.item(), abs=1e-12)
    assert torch.equal(torch.cat([slope for _, slope in parts]), slopes)


@given(st.lists(st.integers(0, 1_000).map(lambda part: part / 997), min_size=2, max_size=12), st.randoms())
def test_the_order_of_a_group_changes_no_bit_of_its_advantages(rewards: list[float], dice: random.Random) -> None:
    order = dice.sample(range(len(rewards)), len(rewards))

    turned = group_advantages([rewards[place] for place in order], GRPO)

    found = group_advantages(rewards, GRPO)
    assert turned == [found[place] for place in order]


def test_numbers_of_any_size_are_averaged() -> None:
    huge = group_advantages([1e200, -1e200], AdvantageConfig(epsilon=0))
    tiny = group_advantages([1e-200, -1e-200], AdvantageConfig(epsilon=0))

    assert huge == pytest.approx([math.sqrt(0.5), -math.sqrt(0.5)])
    assert tiny == pytest.approx(huge)
