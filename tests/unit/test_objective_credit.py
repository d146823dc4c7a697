"""Which turns are trained on, row by row of the table of credit rules."""

from typing import Any

import pytest

from services.trainer.objective.credit import (
    REPEATING_TOKENS,
    FailedSubagent,
    demonstration_masks,
    demonstration_shape,
    masked_tokens,
    masked_turns,
    masks,
    shape,
)
from tests.objective_parts import agent, rollout, turn
from wideseek.errors import ContractViolation, InvalidRequest
from wideseek.rollout import AgentRecord, AgentStatus, Reward, Rollout, RolloutSource, RolloutStatus
from wideseek.trajectory import Role

LIMITS = [AgentStatus.TURN_LIMIT, AgentStatus.CONTEXT_LIMIT, AgentStatus.DEADLINE, AgentStatus.BUDGET]


def lead(status: AgentStatus = AgentStatus.ANSWERED, *, trainable: bool = True) -> AgentRecord:
    turns = turn(0, [1], [2, 3]), turn(1, [1, 2, 3, 4], [5], trainable=trainable)
    return agent("lead", *turns, role=Role.LEAD, status=status)


def subagent(name: str, status: AgentStatus = AgentStatus.ANSWERED) -> AgentRecord:
    return agent(name, turn(0, [7], [8, 9, 10]), turn(1, [7, 8, 9, 10], [11]), status=status)


def reasons(given: Rollout, *, valid: bool = True, rule: FailedSubagent = "mask") -> dict[tuple[str, int], str]:
    return {(mask.agent_id, mask.turn_index): mask.reason for mask in masks(given, valid=valid, rule=rule)}


def rewarded(given: Rollout, *, rule: FailedSubagent = "mask", valid: bool = True, **changed: Any) -> Reward:
    fields = {
        "rollout_id": "ro_1",
        "reward_version": "1",
        "total": 0.8,
        "scorer_version": "1",
        "answer_hash": "h",
        "valid": valid,
        "masks": masks(given, valid=valid, rule=rule),
    }
    return Reward.model_validate(fields | changed)


def test_a_good_rollout_is_trained_on_as_a_whole() -> None:
    assert reasons(rollout(lead(), subagent("a"), subagent("b"))) == {}


@pytest.mark.parametrize("status", LIMITS)
def test_a_subagent_that_ran_into_a_limit_is_left_out_of_a_good_rollout(status: AgentStatus) -> None:
    given = rollout(lead(), subagent("a"), subagent("b", status))

    assert reasons(given) == {("b", 0): "failed_subagent", ("b", 1): "failed_subagent"}
    assert reasons(given, rule="count") == reasons(given)
    assert reasons(given, rule="train") == reasons(given, rule="blame") == {}


@pytest.mark.parametrize("status", LIMITS)
def test_a_lead_that_ran_into_a_limit_is_trained_on_alone(status: AgentStatus) -> None:
    given = rollout(lead(status), subagent("a"), subagent("b", status))

    found = reasons(given, rule="train")

    assert found == {(name, place): "lead_failed" for name in ("a", "b") for place in (0, 1)}


def test_without_a_valid_answer_the_last_turn_is_to_blame() -> None:
    found = reasons(rollout(lead(), subagent("a")), valid=False)

    assert found == dict.fromkeys([("lead", 0), ("a", 0), ("a", 1)], "no_valid_answer")


def test_without_a_valid_answer_agents_at_a_limit_are_to_blame_too() -> None:
    given = rollout(lead(), subagent("a"), subagent("b", AgentStatus.TURN_LIMIT))

    found = reasons(given, valid=False)

    assert set(found) == {("lead", 0), ("a", 0), ("a", 1)}


def test_a_lead_at_a_limit_without_an_answer_is_to_blame_in_all_its_turns() -> None:
    found = reasons(rollout(lead(AgentStatus.TURN_LIMIT), subagent("a")), valid=False)

    assert set(found) == {("a", 0), ("a", 1)}


def repeating(name: str, tokens: int = REPEATING_TOKENS) -> AgentRecord:
    turns = turn(0, [7], [8]), turn(1, [7, 8], [9] * tokens)
    return agent(name, *turns, status=AgentStatus.CONTEXT_LIMIT)


def test_where_agents_repeated_themselves_only_those_last_turns_are_to_blame() -> None:
    given = rollout(lead(AgentStatus.TURN_LIMIT), repeating("a"), subagent("b", AgentStatus.TURN_LIMIT))

    found = reasons(given, valid=False)

    assert set(found) == {("lead", 0), ("lead", 1), ("a", 0), ("b", 0), ("b", 1)}


def test_a_shorter_last_turn_is_no_repetition() -> None:
    found = reasons(rollout(lead(AgentStatus.TURN_LIMIT), repeating("a", REPEATING_TOKENS - 1)), valid=False)

    assert found == {}


@pytest.mark.parametrize("valid", [True, False])
def test_a_turn_without_exact_tokens_is_never_trained_on(valid: bool) -> None:
    found = reasons(rollout(lead(trainable=False)), valid=valid, rule="train")

    assert found["lead", 1] == "untrainable"


@pytest.mark.parametrize(("status", "reason"), [(AgentStatus.ERROR, "outage"), (AgentStatus.CANCELLED, "cancelled")])
@pytest.mark.parametrize("valid", [True, False])
def test_what_the_cluster_did_to_a_subagent_is_not_learnt_from(status: AgentStatus, reason: str, valid: bool) -> None:
    found = reasons(rollout(lead(), subagent("a", status)), valid=valid, rule="train")

    assert (found["a", 0], found["a", 1]) == (reason, reason)


def test_an_agent_that_works_alone_is_its_own_lead() -> None:
    alone = agent("only", turn(0, [1], [2]), role=Role.SINGLE, status=AgentStatus.TURN_LIMIT)

    assert reasons(rollout(alone)) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rollout(lead(), source=RolloutSource.DEMONSTRATION), "mode: sft"),
        (rollout(lead(), status=RolloutStatus.INFRA_ERROR), "ended in infra_error"),
        (rollout(lead(), status=RolloutStatus.CANCELLED), "ended in cancelled"),
        (rollout(lead(AgentStatus.ERROR)), "ended in error"),
    ],
)
def test_what_says_nothing_about_the_policy_is_refused(given: Rollout, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        masks(given, valid=True, rule="mask")


@pytest.mark.parametrize("agents", [(), (subagent("a"),), (lead(), lead())])
def test_a_rollout_has_one_agent_that_answers(agents: tuple[AgentRecord, ...]) -> None:
    with pytest.raises(ContractViolation, match="not one"):
        masks(rollout(*agents), valid=True, rule="mask")


@pytest.mark.parametrize(
    ("rule", "tokens", "counted"), [("mask", 0, False), ("count", 0, True), ("train", 4, False), ("blame", 4, False)]
)
def test_the_shape_says_what_is_trained_on_and_who_counts(rule: FailedSubagent, tokens: int, counted: bool) -> None:
    given = rollout(lead(), subagent("a"), subagent("b", AgentStatus.TURN_LIMIT))

    found = shape(given, "g1", rewarded(given, rule=rule, role_reward={"lead": 0.5}), rule)

    assert (found.rollout_id, found.group_id, found.reward) == ("ro_1", "g1", 0.8)
    assert found.role_reward == {Role.LEAD: 0.5}
    assert [(one.agent_id, one.trained_tokens) for one in found.agents] == [("lead", 3), ("a", 4), ("b", tokens)]
    assert [one.counted for one in found.agents] == [False, False, counted]
    assert [one.blamed for one in found.agents] == [False, False, rule == "blame"]


@pytest.mark.parametrize("turns", [(), (turn(0, [7], [8], trainable=False),)])
def test_a_failed_subagent_keeps_its_place_whatever_of_it_could_be_trained_on(turns: tuple[Any, ...]) -> None:
    given = rollout(lead(), agent("b", *turns, status=AgentStatus.DEADLINE))

    found = shape(given, "g1", rewarded(given, rule="count"), "count")

    assert found.agents[1].counted


@pytest.mark.parametrize(
    ("agents", "valid"),
    [
        ((lead(), subagent("b", AgentStatus.TURN_LIMIT)), False),
        ((lead(AgentStatus.TURN_LIMIT), subagent("b", AgentStatus.TURN_LIMIT)), True),
        ((lead(), subagent("b", AgentStatus.ERROR)), True),
        ((lead(), subagent("b")), True),
    ],
)
@pytest.mark.parametrize("rule", ["count", "blame"])
def test_nobody_counts_or_is_blamed_where_the_rollout_failed_or_the_subagent_did_not(
    agents: tuple[AgentRecord, ...], valid: bool, rule: FailedSubagent
) -> None:
    given = rollout(*agents)

    found = shape(given, "g1", rewarded(given, rule=rule, valid=valid), rule)

    assert not any(one.counted or one.blamed for one in found.agents)


@pytest.mark.parametrize("changed", [{"rollout_id": "ro_2"}, {"answer_hash": "other"}])
def test_a_reward_of_another_rollout_or_answer_is_refused(changed: dict[str, Any]) -> None:
    given = rollout(lead())

    with pytest.raises(ContractViolation, match="not of ro_1"):
        shape(given, "g", rewarded(given, **changed), "mask")


def test_masked_tokens_are_told_by_reason() -> None:
    given = rollout(lead(trainable=False), subagent("b", AgentStatus.TURN_LIMIT))
    masked = masks(given, valid=True, rule="mask")

    assert masked_tokens(given, masked) == {"untrainable": 1, "failed_subagent": 4}
    assert masked_turns(masked, "b") == {0: "failed_subagent", 1: "failed_subagent"}
    assert masked_turns(masked, "lead") == {1: "untrainable"}


def test_a_demonstration_is_a_group_of_its_own_without_its_failed_agents() -> None:
    given = rollout(
        lead(trainable=False), subagent("a"), subagent("b", AgentStatus.BUDGET), source=RolloutSource.DEMONSTRATION
    )

    found = demonstration_shape(given, demonstration_masks(given))

    assert [(one.agent_id, one.trained_tokens) for one in found.agents] == [("lead", 2), ("a", 4), ("b", 0)]
    assert (found.group_id, found.reward) == ("ro_1", 0)
    assert {mask.reason for mask in demonstration_masks(given)} == {"untrainable", "failed_agent"}


def test_agents_left_out_of_a_demonstration_are_masked_and_told_from_those_that_failed() -> None:
    given = rollout(
        lead(trainable=False), subagent("a"), subagent("b", AgentStatus.BUDGET), source=RolloutSource.DEMONSTRATION
    )

    masked = demonstration_masks(given, left_out=["a", "b", "lead"])

    assert {(mask.agent_id, mask.turn_index): mask.reason for mask in masked} == {
        ("lead", 0): "left_out",
        ("lead", 1): "untrainable",
        ("a", 0): "left_out",
        ("a", 1): "left_out",
        ("b", 0): "failed_agent",
        ("b", 1): "failed_agent",
    }
    assert [one.trained_tokens for one in demonstration_shape(given, masked).agents] == [0, 0, 0]


def test_turns_of_long_contexts_are_left_out_and_shorter_ones_before_them_stay() -> None:
    given = rollout(lead(), subagent("a"), source=RolloutSource.DEMONSTRATION)
    sizes = {
        (agent.agent_id, turn.turn_index): len(turn.prompt_token_ids) + len(turn.sampled_token_ids)
        for agent in given.agents
        for turn in agent.turns
    }
    limit = max(sizes.values()) - 1

    masked = demonstration_masks(given, max_context=limit)

    assert {(one.agent_id, one.turn_index) for one in masked} == {name for name, size in sizes.items() if size > limit}
    assert masked
    assert {one.reason for one in masked} == {"too_long"}
    assert demonstration_masks(given, max_context=limit + 1) == ()


def test_a_demonstration_is_shaped_by_the_masks_it_is_given() -> None:
    given = rollout(lead(), subagent("a"), subagent("b"), source=RolloutSource.DEMONSTRATION)

    found = demonstration_shape(given, demonstration_masks(given, left_out={"b"}))

    assert [(one.agent_id, one.trained_tokens) for one in found.agents] == [("lead", 3), ("a", 4), ("b", 0)]
