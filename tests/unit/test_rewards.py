"""The outcome reward, term by term."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wideseek.errors import InvalidRequest
from wideseek.messages import Completion, ToolCall
from wideseek.questions import AnswerScore
from wideseek.rewards import Outcome, RewardRule, RoleOutcome, answer_value, outcome, reward, role_rewards
from wideseek.trajectory import Role, Source, StopReason, ToolResult, Trajectory, Turn

LIMITS = [StopReason.TURN_LIMIT, StopReason.CONTEXT_LIMIT, StopReason.DEADLINE, StopReason.BUDGET]


def won(**changes: Any) -> Outcome:
    usual = {"score": 0.5, "valid": True, "stop_reason": "answered", "longest_turn_tokens": 100, "accessed": True}
    return Outcome.model_validate({**usual, **changes})


def turn(tokens: int, *results: ToolResult) -> Turn:
    return Turn(completion=Completion(text="x", completion_tokens=tokens), results=results)


def agent(*turns: Turn, stop: StopReason = StopReason.ANSWERED, below: tuple[Trajectory, ...] = ()) -> Trajectory:
    return Trajectory(agent_id="a", role=Role.LEAD, task="t", turns=turns, stop_reason=stop, subagents=below)


def tool(name: str, *, opened: bool) -> ToolResult:
    sources = (Source(url="u", content_sha256="s", start=0, end=1),) if opened else ()
    return ToolResult(call=ToolCall(name=name, arguments={}), content="…", sources=sources, failed=not opened)


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({}, 0.5 + 0.1 + 0.05),
        ({"score": 1.0}, 1.15),
        ({"score": 0.0, "accessed": False}, 0.1),
        ({"longest_turn_tokens": 3_000}, 0.65),
        ({"longest_turn_tokens": 3_500}, 0.65 - 0.025),
        ({"longest_turn_tokens": 4_000}, 0.65 - 0.05),
        ({"longest_turn_tokens": 5_000}, 0.65 - 0.1),
        ({"longest_turn_tokens": 50_000}, 0.65 - 0.1),
        ({"score": 0.0, "accessed": False, "longest_turn_tokens": 9_999}, 0.0),
    ],
)
def test_hand_computed_rewards(changes: dict[str, Any], total: float) -> None:
    assert reward(won(**changes)).total == pytest.approx(total)


def test_a_reward_names_its_terms() -> None:
    found = reward(won(longest_turn_tokens=4_500))

    assert found.terms == pytest.approx({"answer": 0.5, "format": 0.1, "access": 0.05, "length": -0.075})
    assert found.total == pytest.approx(0.575)
    assert found.forfeit == ""


@pytest.mark.parametrize("limit", LIMITS)
def test_a_lead_that_ran_into_a_limit_earns_nothing_whatever_it_wrote(limit: StopReason) -> None:
    found = reward(won(score=1.0, stop_reason=limit))

    assert (found.total, set(found.terms.values()), found.forfeit) == (0, {0}, limit.value)


def test_an_answer_that_cannot_be_scored_earns_nothing() -> None:
    found = reward(won(score=0.0, valid=False))

    assert (found.total, set(found.terms.values()), found.forfeit) == (0, {0}, "no valid answer")


def test_weights_are_the_rule_s() -> None:
    rule = RewardRule(
        answer_weight=2, format_bonus=0.3, access_bonus=0, length_penalty=0.5, length_from=0, length_to=200
    )

    # 2 * 0.5 + 0.3 - 0.5 * 100 / 200
    assert reward(won(), rule).total == pytest.approx(1.05)


def test_a_role_answers_for_its_own_length() -> None:
    roles = {
        Role.LEAD: RoleOutcome(longest_turn_tokens=3_500),
        Role.SUBAGENT: RoleOutcome(longest_turn_tokens=4_500, accessed=True),
    }

    found = role_rewards(won(longest_turn_tokens=4_500), roles)

    # 0.5 + 0.1 + 0.05 is shared; 500 and 1 500 of 2 000 tokens cost a quarter and three quarters of 0.1
    assert found == pytest.approx({Role.LEAD: 0.625, Role.SUBAGENT: 0.575})


@pytest.mark.parametrize(("accessed", "own", "rewards"), [(True, False, (0.65, 0.6)), (False, False, (0.6, 0.6))])
def test_the_lead_shares_the_access_bonus_and_others_earn_it(
    accessed: bool, own: bool, rewards: tuple[float, float]
) -> None:
    found = role_rewards(won(accessed=accessed), {Role.LEAD: RoleOutcome(), Role.SUBAGENT: RoleOutcome(accessed=own)})

    assert tuple(found.values()) == pytest.approx(rewards)


def test_nothing_is_earned_by_any_role_of_a_forfeited_rollout() -> None:
    roles = dict.fromkeys((Role.LEAD, Role.SUBAGENT), RoleOutcome(accessed=True))

    assert set(role_rewards(won(valid=False), roles).values()) == {0.0}


def test_an_agent_that_works_alone_has_the_reward_of_the_rollout() -> None:
    alone = won(longest_turn_tokens=4_000)

    found = role_rewards(alone, {Role.SINGLE: RoleOutcome(longest_turn_tokens=4_000, accessed=True)})

    assert found == {Role.SINGLE: reward(alone).total}


@given(st.floats(0, 1), st.booleans(), st.sampled_from(["answered", *LIMITS]), st.integers(0, 10**6), st.booleans())
def test_a_reward_is_the_sum_of_its_terms_and_stays_in_range(
    score: float, valid: bool, stop: str, tokens: int, accessed: bool
) -> None:
    found = reward(won(score=score, valid=valid, stop_reason=stop, longest_turn_tokens=tokens, accessed=accessed))

    assert found.total == pytest.approx(sum(found.terms.values()))
    assert -1e-12 <= found.total <= 1.15 + 1e-12


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 9_000), st.integers(0, 9_000))
def test_a_better_answer_and_a_shorter_turn_never_earn_less(one: float, two: float, here: int, there: int) -> None:
    better = reward(won(score=max(one, two), longest_turn_tokens=min(here, there)))

    assert better.total >= reward(won(score=min(one, two), longest_turn_tokens=max(here, there))).total


@pytest.mark.parametrize("score", [1.25, -0.1, float("nan")])
def test_a_score_outside_of_its_range_is_refused(score: float) -> None:
    with pytest.raises(ValidationError):
        won(score=score)


@pytest.mark.parametrize("stop", ["cancelled", "infra_error", ""])
def test_what_did_not_end_by_itself_has_no_outcome(stop: str) -> None:
    with pytest.raises(ValidationError):
        won(stop_reason=stop)


@pytest.mark.parametrize(
    "wrong",
    [
        {"format_bonus": -0.1},
        {"answer_weight": -1},
        {"length_penalty": float("inf")},
        {"access_bonus": float("nan")},
        {"length_from": 5_000},
        {"length_from": -1},
        {"question_metric": "vibes"},
        {"format_weight": 1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RewardRule.model_validate(wrong)


@pytest.mark.parametrize(("metric", "value"), [("em", 0.0), ("f1", 0.4), ("judged", 1.0)])
def test_an_answer_is_worth_what_the_chosen_metric_says(metric: str, value: float) -> None:
    score = AnswerScore(em=0, f1=0.4, judged=1, given="x")

    assert answer_value(score, RewardRule.model_validate({"question_metric": metric})) == value


def test_a_judge_that_was_not_asked_is_no_zero() -> None:
    with pytest.raises(InvalidRequest, match="judge"):
        answer_value(AnswerScore(em=1, f1=1, given="x"), RewardRule())


def test_an_outcome_reads_the_whole_rollout() -> None:
    subagent = agent(turn(70, tool("search", opened=True)), turn(900, tool("access", opened=True)), turn(30))
    rollout = agent(turn(50), turn(200), below=(agent(turn(10)), subagent))

    found = outcome(rollout, score=0.25, valid=True)

    assert found == won(score=0.25, longest_turn_tokens=900)


@pytest.mark.parametrize("result", [tool("search", opened=True), tool("access", opened=False), ToolResult(content="?")])
def test_only_a_page_that_was_opened_counts_as_accessed(result: ToolResult) -> None:
    assert not outcome(agent(turn(1, result)), score=0, valid=False).accessed


def test_a_rollout_without_a_turn_has_an_outcome() -> None:
    found = outcome(agent(stop=StopReason.BUDGET), score=0, valid=False)

    assert reward(found).forfeit == "budget"


def test_a_subagent_that_ran_out_does_not_forfeit_the_reward() -> None:
    rollout = agent(turn(5), below=(agent(turn(5), stop=StopReason.CONTEXT_LIMIT),))

    assert reward(outcome(rollout, score=1, valid=True)).total == pytest.approx(1.1)


def test_a_cancelled_rollout_has_no_reward() -> None:
    with pytest.raises(InvalidRequest, match="cancelled"):
        outcome(agent(turn(1), stop=StopReason.CANCELLED), score=1, valid=True)
