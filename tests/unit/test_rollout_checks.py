"""What is refused before it is stored, one breach at a time."""

import pytest

from services.kit.rollouts.checks import answer_hash_of, check_reward, check_rollout
from tests.rollout_parts import reward_of, rollout_of, turn_record
from wideseek.errors import ContractViolation
from wideseek.rollout import AgentRecord, ToolRecord
from wideseek.trajectory import Role

GOOD = rollout_of("run_1")


def below(**changed: object) -> tuple[AgentRecord, ...]:
    """The good rollout's agents, the subagent changed."""
    return (GOOD.agents[0], GOOD.agents[1].model_copy(update=changed))


def led(*turns: object) -> tuple[AgentRecord, ...]:
    """A lead alone with these turns."""
    return (GOOD.agents[0].model_copy(update={"turns": turns}),)


def span(start: int | None, end: int | None) -> tuple[AgentRecord, ...]:
    """A lead whose first turn's result stands somewhere in the second's prompt of five tokens."""
    call = ToolRecord(name="search", args_hash="a", ok=True, result_hash="r", result_start=start, result_end=end)
    return led(turn_record(0, tool_calls=(call,)), turn_record(1))


def test_the_hash_of_an_answer_is_its_sha256() -> None:
    assert answer_hash_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_sound_rollout_passes() -> None:
    check_rollout(GOOD)


def test_a_rollout_that_an_outage_ended_may_have_no_agents() -> None:
    check_rollout(rollout_of("run_1", agents=(), status="infra_error", error="redis"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rollout_id": "ro_" + "0" * 26}, "rollout_id is not ro_"),
        ({"attempt": 1}, "rollout_id is not ro_"),
        ({"run_id": ""}, "run_id is empty"),
        ({"schema_version": 2}, "schema_version is 2"),
        ({"index_in_group": None}, "group_id and index_in_group go together"),
        ({"answer_text": "| b |"}, "answer_hash is not the SHA-256"),
        ({"finished_at": float("nan")}, "no time in Unix seconds"),
        ({"started_at": -1.0}, "no time in Unix seconds"),
        ({"agents": ()}, "no agents, though the status is ok"),
        ({"agents": (GOOD.agents[0], GOOD.agents[0])}, "same agent_id"),
        ({"agents": (GOOD.agents[1],)}, "0 agents have no parent"),
        ({"agents": below(parent_agent_id=None)}, "2 agents have no parent"),
        ({"agents": below(parent_agent_id="nobody")}, "there is no agent nobody above it"),
        ({"agents": below(parent_agent_id="s1")}, "agent s1 stands above itself"),
        ({"agents": below(role=Role.LEAD)}, "agent s1 is a lead below another agent"),
        ({"agents": (GOOD.agents[0].model_copy(update={"role": Role.SUBAGENT}),)}, "a subagent without parent"),
        ({"agents": led(turn_record(1))}, "turn_index is 1"),
        ({"agents": led(turn_record(0), turn_record(0))}, "agent lead turn 1: turn_index is 0"),
        ({"agents": led(turn_record(0, sampled=(-1,)))}, "a sampled token id is negative"),
        ({"agents": led(turn_record(0, prompt_token_ids=(1, 2**32)))}, "a prompt token id is negative or above"),
        ({"agents": led(turn_record(0, sampled=()))}, "trainable without prompt, sampled tokens"),
        ({"agents": led(turn_record(0, prompt_token_ids=()))}, "trainable without prompt"),
        ({"agents": led(turn_record(0, sampled=(1,), sampled_logprobs=(-1e39,)))}, "does not fit 32 bits"),
        ({"agents": span(1, None)}, "go together"),
        ({"agents": span(1, 6)}, "not inside the next turn's prompt"),
        ({"agents": span(3, 2)}, "not inside the next turn's prompt"),
    ],
)
def test_a_broken_rollout_is_refused_and_told_why(changed: dict[str, object], said: str) -> None:
    broken = GOOD.model_copy(update=changed)

    with pytest.raises(ContractViolation, match=said):
        check_rollout(broken)


def test_many_breaches_are_counted_after_the_fifth() -> None:
    turns = tuple(turn_record(9) for _ in range(8))

    with pytest.raises(ContractViolation, match="and 3 more"):
        check_rollout(GOOD.model_copy(update={"agents": led(*turns)}))


def test_a_reward_of_another_answer_is_refused() -> None:
    with pytest.raises(ContractViolation, match="another answer"):
        check_reward(reward_of(GOOD), answer_hash_of("| b |"))


@pytest.mark.parametrize(
    "changed", [{"total": float("nan")}, {"components": {"a": float("inf")}}, {"role_reward": {"lead": float("nan")}}]
)
def test_a_reward_that_is_no_number_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ContractViolation, match="not finite"):
        check_reward(reward_of(GOOD).model_copy(update=changed), None)
