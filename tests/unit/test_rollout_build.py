"""A run's log becomes its rollout's record: every turn once, token by token, whoever wrote the log."""

from typing import Any

import pytest

from services.orchestrator.rollouts.build import task_hash
from tests.rollout_logs import (
    CREATED,
    MODEL,
    REQUEST,
    agent_of,
    built,
    completed,
    queued,
    result,
    rollout_of,
    sampled,
    sha,
    turn,
)
from wideseek.contracts import RunError
from wideseek.events import (
    Event,
    RunClaimed,
    RunFailed,
    RunIncomplete,
    SubagentCancelled,
    SubagentFailed,
    SubagentStarted,
    ToolCompleted,
)
from wideseek.messages import ToolCall
from wideseek.rollout import (
    AgentRecord,
    AgentStatus,
    Rollout,
    RolloutSource,
    RolloutStatus,
    SamplingRecord,
    Timings,
    ToolRecord,
    TurnRecord,
    WeightSpan,
    rollout_id_of,
)
from wideseek.trajectory import Role, StopReason, ToolResult


def by_hand(index: int, prompt: tuple[int, ...], ids: tuple[int, ...], **fields: Any) -> TurnRecord:
    """The record of a turn of `LOG`."""
    return TurnRecord(
        turn_index=index,
        request_id="cmpl-1",
        cached_tokens=1,
        model_name=MODEL,
        base_model_hash="b",
        adapter_hash="a",
        tokenizer_hash="t",
        template_hash="c",
        prompt_token_ids=prompt,
        sampled_token_ids=ids,
        sampled_logprobs=tuple(-0.25 * place for place in range(len(ids))),
        weight_version_spans=(WeightSpan(version=3, start=0, end=len(ids)),),
        sampling=SamplingRecord(temperature=1.0, seed=7, max_tokens=64),
        **{"finish_reason": "stop", "trainable": True, **fields},
    )


CALL = ToolCall(name="call_subagent", arguments={"b": 1, "a": [2]}, call_id="c1")
LOG: list[Event] = [
    RunClaimed(replica="r", claim=1, at=10.5),
    turn("lead", 1, sampled([1, 2], [3, 4], finish_reason="stop"), at=11),
    queued("s1", at=11.5),
    SubagentStarted(subtask_id="s1", attempt=1, worker="w", at=12),
    turn("s1", 1, sampled([9], [8], finish_reason="length"), at=13),
    completed("s1", stop=StopReason.CONTEXT_LIMIT),
    ToolCompleted(
        agent_id="lead",
        role=Role.LEAD,
        turn=1,
        index=0,
        result=ToolResult(call=CALL, content="reports", subtask_ids=("s1",), seconds=3.0),
        at=14,
    ),
    turn("lead", 2, sampled([1, 2, 3, 4, 5, 6], [7]), at=15),
]
HANDED_OUT = ToolRecord(
    call_id="c1",
    name="call_subagent",
    args_hash=sha('{"a":[2],"b":1}'),
    ok=True,
    seconds=3.0,
    result_hash=sha("reports"),
    result_start=4,
    result_end=6,
    subtask_ids=("s1",),
)
LEAD = AgentRecord(
    agent_id="lead",
    role=Role.LEAD,
    subtask="Capital of Mali?",
    status=AgentStatus.ANSWERED,
    turns=(
        by_hand(
            0,
            (1, 2),
            (3, 4),
            tool_calls=(HANDED_OUT,),
            timings=Timings(queued_s=0.5, generate_s=0.5, tools_s=3.0),
        ),
        by_hand(1, (1, 2, 3, 4, 5, 6), (7,), timings=Timings(generate_s=0.5)),
    ),
)
SUBAGENT = AgentRecord(
    agent_id="s1",
    role=Role.SUBAGENT,
    parent_agent_id="lead",
    parent_turn_index=0,
    parent_call_id="c1",
    subtask_id="s1",
    subtask="Do s1.",
    status=AgentStatus.CONTEXT_LIMIT,
    turns=(
        by_hand(0, (9,), (8,), finish_reason="length", truncated=True, timings=Timings(queued_s=0.5, generate_s=0.5)),
    ),
)


def test_a_log_written_by_hand_becomes_this_record() -> None:
    assert built(LOG) == Rollout(
        schema_version=1,
        run_id="ws_1",
        rollout_id=rollout_id_of("ws_1", "g", 1, 0),
        group_id="g",
        index_in_group=1,
        task_id="t",
        task_hash=task_hash(REQUEST),
        split="train",
        source=RolloutSource.POLICY,
        status=RolloutStatus.OK,
        started_at=10,
        finished_at=20,
        query="Capital of Mali?",
        answer_text="Bamako",
        answer_hash=sha("Bamako"),
        code_version="0.1.0",
        tool_calls_used=1,
        policy_version_min=3,
        policy_version_max=3,
        agents=(LEAD, SUBAGENT),
    )


def test_a_turn_counts_once_after_a_takeover() -> None:
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2])),
        result("lead", 1, 0, "old"),
        RunClaimed(replica="r2", claim=2, at=13),
        result("lead", 1, 1, "asked for by the second claim"),
        turn("lead", 2, sampled([1, 2, 3], [4]), attempt=2),
    ]

    [lead] = built(log).agents

    assert [one.sampled_token_ids for one in lead.turns] == [(2,), (4,)]
    assert [call.result_hash for call in lead.turns[0].tool_calls] == [sha("old"), sha("asked for by the second claim")]


def test_a_subtask_that_was_worked_on_twice_counts_by_the_attempt_that_ended_it() -> None:
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2])),
        queued("s1"),
        turn("s1", 1, sampled([9], [8])),
        result("s1", 1, 0, "of the first attempt"),
        result("s1", 1, 1, "of the first attempt too"),
        turn("s1", 1, sampled([9], [7]), attempt=2),
        result("s1", 1, 0, "of the second attempt"),
        turn("s1", 2, sampled([9, 7, 6], [5]), attempt=2),
        completed("s1", attempt=2),
    ]

    subagent = agent_of(built(log), "s1")

    assert [one.sampled_token_ids for one in subagent.turns] == [(7,), (5,)]
    assert [call.result_hash for call in subagent.turns[0].tool_calls] == [sha("of the second attempt")]


def test_waves_are_counted_by_the_turn_that_handed_out() -> None:
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2])),
        queued("a", 1, 0),
        queued("b", 1, 1),
        turn("lead", 3, sampled([1, 2, 3], [4])),
        queued("c", 3, 0),
    ]

    rollout = built(log)

    places = {agent.agent_id: (agent.wave, agent.parent_turn_index) for agent in rollout.agents[1:]}
    assert places == {"a": (0, 0), "b": (0, 0), "c": (1, 2)}


def test_how_a_subagent_stopped_is_said() -> None:
    error = RunError(code="poison", message="m")
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2])),
        *(queued(name) for name in ("done", "failed", "cancelled", "late")),
        completed("done"),
        SubagentFailed(subtask_id="failed", attempt=4, error=error),
        SubagentCancelled(subtask_id="cancelled", attempt=1),
    ]

    stopped = {agent.agent_id: agent.status for agent in built(log).agents[1:]}
    at_the_deadline = built(log, RunIncomplete(reason="deadline", answer_text=""))

    assert stopped == {
        "done": AgentStatus.ANSWERED,
        "failed": AgentStatus.ERROR,
        "cancelled": AgentStatus.CANCELLED,
        "late": AgentStatus.CANCELLED,
    }
    assert agent_of(at_the_deadline, "late").status is AgentStatus.DEADLINE


@pytest.mark.parametrize(
    ("reason", "status", "lead"),
    [
        ("turn_limit", RolloutStatus.FAILED_TASK, AgentStatus.TURN_LIMIT),
        ("context_limit", RolloutStatus.FAILED_TASK, AgentStatus.CONTEXT_LIMIT),
        ("budget", RolloutStatus.FAILED_TASK, AgentStatus.BUDGET),
        ("deadline", RolloutStatus.FAILED_TASK, AgentStatus.DEADLINE),
        ("no_table", RolloutStatus.FAILED_TASK, AgentStatus.ANSWERED),
        ("no_facts", RolloutStatus.FAILED_TASK, AgentStatus.ANSWERED),
        ("no_answer", RolloutStatus.FAILED_TASK, AgentStatus.ANSWERED),
        ("tool_outage", RolloutStatus.INFRA_ERROR, AgentStatus.ANSWERED),
        ("width_starved", RolloutStatus.INFRA_ERROR, AgentStatus.DEADLINE),
    ],
)
def test_what_the_policy_did_is_told_from_what_the_cluster_did(
    reason: str, status: RolloutStatus, lead: AgentStatus
) -> None:
    rollout = built([turn("lead", 1, sampled([1], [2]))], RunIncomplete(reason=reason, answer_text="x"))

    assert (rollout.status, rollout.error, rollout.agents[0].status) == (status, reason, lead)
    assert rollout.answer_text == "x"


def test_a_run_that_failed_is_the_clusters_fault() -> None:
    failed = RunFailed(error=RunError(code="upstream-unavailable", message="model: down", service="model"))

    rollout = built([turn("lead", 1, sampled([1], [2]))], failed)

    assert (rollout.status, rollout.error) == (RolloutStatus.INFRA_ERROR, "model: down")
    assert (rollout.answer_text, rollout.answer_hash) == ("", sha(""))
    assert rollout_of([RunClaimed(replica="r", claim=1)], failed) is None


def test_an_agent_that_never_got_to_sample_says_nothing_of_the_policy() -> None:
    rollout = built([], RunIncomplete(reason="deadline", answer_text=""))

    assert rollout.status is RolloutStatus.INFRA_ERROR
    assert rollout.agents[0].turns == ()


def test_an_agent_alone_is_no_lead() -> None:
    created = CREATED.model_copy(update={"request": REQUEST.model_copy(update={"mode": "single_agent"})})

    assert built([turn("lead", 1, sampled([1], [2]))], created=created).agents[0].role is Role.SINGLE
