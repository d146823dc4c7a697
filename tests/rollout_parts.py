"""Rollouts that may be stored: one by hand, and any one."""

from hypothesis import strategies as st

from services.kit.rollouts.checks import answer_hash_of
from tests.arbitrary import values
from wideseek.rollout import (
    SCHEMA_VERSION,
    AgentRecord,
    Reward,
    Rollout,
    SamplingRecord,
    ToolRecord,
    TurnMask,
    TurnRecord,
    WeightSpan,
    rollout_id_of,
)
from wideseek.trajectory import Role

STARTED = 1_790_000_000.0
"""21 September 2026, 14:13:20 UTC."""


def turn_record(place: int, *, sampled: tuple[int, ...] = (5, 6), version: int = 3, **changed: object) -> TurnRecord:
    """A turn of a few tokens that may be trained on."""
    given: dict[str, object] = {
        "turn_index": place,
        "model_name": "policy@v3",
        "prompt_token_ids": tuple(range(1, 5 + place)),
        "sampled_token_ids": sampled,
        "sampled_logprobs": tuple(-0.25 for _ in sampled),
        "weight_version_spans": (WeightSpan(version=version, start=0, end=len(sampled)),),
        "sampling": SamplingRecord(temperature=1.0, max_tokens=64),
        "finish_reason": "stop",
        "trainable": True,
    }
    return TurnRecord.model_validate({**given, **changed})


def rollout_of(run_id: str, *, group_id: str | None = "g1", index: int | None = 0, **changed: object) -> Rollout:
    """A lead with two turns, the first of which called a subagent."""
    call = ToolRecord(name="call_subagents", args_hash="a", ok=True, result_hash="r", result_start=3, result_end=5)
    lead = AgentRecord(
        agent_id="lead",
        role=Role.LEAD,
        subtask="Which?",
        status="answered",
        turns=(turn_record(0, tool_calls=(call,)), turn_record(1, sampled=(7,))),
    )
    failed = ToolRecord(name="search", args_hash="b", ok=False, error="no such page", result_hash="r")
    below = AgentRecord(
        agent_id="s1",
        role=Role.SUBAGENT,
        parent_agent_id="lead",
        parent_turn_index=0,
        subtask="Look it up.",
        status="answered",
        turns=(turn_record(0, sampled=(8, 9, 10), tool_calls=(failed,)),),
    )
    given: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "rollout_id": rollout_id_of(run_id, group_id, index, 0),
        "group_id": group_id,
        "index_in_group": index,
        "task_id": "t1",
        "task_hash": "h",
        "source": "policy",
        "status": "ok",
        "started_at": STARTED,
        "finished_at": STARTED + 60,
        "query": "Which?",
        "answer_text": "| a |",
        "answer_hash": answer_hash_of("| a |"),
        "policy_version_min": 3,
        "policy_version_max": 3,
        "agents": (lead, below),
    }
    return Rollout.model_validate({**given, **changed})


def reward_of(rollout: Rollout, version: str = "v1", **changed: object) -> Reward:
    """A reward with components; the subagent's turn is excluded."""
    given: dict[str, object] = {
        "rollout_id": rollout.rollout_id,
        "reward_version": version,
        "total": 0.75,
        "components": {"item_f1": 0.7, "format": 0.05},
        "scorer_version": "robust-1",
        "answer_hash": rollout.answer_hash,
        "masks": (TurnMask(agent_id="s1", turn_index=0, reason="failed_subagent"),),
    }
    return Reward.model_validate({**given, **changed})


@st.composite
def sound_rollouts(draw: st.DrawFn) -> Rollout:
    """Any rollout that may be stored: arbitrary fields, with ids, hashes and places that fit."""
    drawn = draw(values(Rollout))
    index = draw(st.none() | st.integers(0, 31))
    group = None if index is None else draw(st.sampled_from(["g1", "gruppe ü"]))
    run_id = draw(st.sampled_from(["run_1", "run_2"]))
    started = draw(st.integers(0, 2**31))
    return drawn.model_copy(
        update={
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "group_id": group,
            "index_in_group": index,
            "rollout_id": rollout_id_of(run_id, group, index, drawn.attempt),
            "answer_hash": answer_hash_of(drawn.answer_text),
            "status": drawn.status if drawn.agents else "infra_error",
            "started_at": float(started),
            "finished_at": started + 1.5,
            "agents": tuple(_placed(place, agent) for place, agent in enumerate(drawn.agents)),
        }
    )


def _placed(place: int, agent: AgentRecord) -> AgentRecord:
    turns = tuple(turn.model_copy(update={"turn_index": n, "tool_calls": ()}) for n, turn in enumerate(agent.turns))
    above = {"role": Role.SUBAGENT, "parent_agent_id": f"a{place - 1}"} if place else {"role": Role.LEAD}
    return agent.model_copy(update={"parent_agent_id": None, **above, "agent_id": f"a{place}", "turns": turns})
