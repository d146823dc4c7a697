"""A run's log becomes its rollout's record: every turn once, token by token, whoever wrote the log."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.rollouts.checks import check_rollout
from services.orchestrator.rollouts.build import build_rollout, task_hash
from wideseek.codec import decode_rollout, encode_rollout
from wideseek.contracts import RunError, RunRequest
from wideseek.events import (
    Event,
    Logged,
    RolloutSealed,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunIncomplete,
    SubagentCancelled,
    SubagentCompleted,
    SubagentFailed,
    SubagentQueued,
    SubagentStarted,
    ToolCompleted,
    TurnCompleted,
    Weights,
)
from wideseek.messages import Completion, ToolCall
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
from wideseek.trajectory import Role, Source, StopReason, ToolResult

MODEL = "policy@v3"
TRAINING = {"opt_in": True, "job_id": "j", "group_id": "g", "index_in_group": 1, "task_id": "t", "split": "train"}
REQUEST = RunRequest.model_validate(
    {"query": "Capital of Mali?", "sampling": {"temperature": 1.0, "seed": 7}, "training": TRAINING}
)
HASHES = Weights(base_model_hash="b", adapter_hash="a", tokenizer_hash="t", template_hash="c", version=3)
CREATED = RunCreated(
    run_id="ws_1", request=REQUEST, model=MODEL, deadline=99, at=10, weights={MODEL: HASHES}, code_version="0.1.0"
)
ANSWERED = RunCompleted(answer_text="Bamako")
MALI = Source(url="made:mali", content_sha256="0" * 64, start=0, end=4)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sampled(prompt: Sequence[int], ids: Sequence[int], **fields: Any) -> Completion:
    exact = {
        "text": "said",
        "token_ids": tuple(ids),
        "logprobs": tuple(-0.25 * place for place in range(len(ids))),
        "prompt_token_ids": tuple(prompt),
        "model_name": MODEL,
        "trainable": True,
        "seconds": 0.5,
        "request_id": "cmpl-1",
        "cached_tokens": 1,
    }
    return Completion.model_validate({**exact, **fields})


def turn(agent: str, number: int, completion: Completion, *, attempt: int = 1, at: float = 12) -> TurnCompleted:
    role = Role.LEAD if agent == "lead" else Role.SUBAGENT
    return TurnCompleted(
        agent_id=agent, role=role, turn=number, completion=completion, attempt=attempt, max_tokens=64, at=at
    )


def result(agent: str, number: int, index: int, content: str, *, at: float = 13, **fields: Any) -> ToolCompleted:
    call = ToolCall(name="search", arguments={"query": content})
    role = Role.LEAD if agent == "lead" else Role.SUBAGENT
    said = ToolResult.model_validate({"call": call, "content": content, **fields})
    return ToolCompleted(agent_id=agent, role=role, turn=number, index=index, result=said, at=at)


def rollout_of(
    events: Sequence[Event], end: RunCompleted | RunIncomplete | RunFailed = ANSWERED, created: RunCreated = CREATED
) -> Rollout | None:
    history = [Logged(seq=number, event=event) for number, event in enumerate([created, *events], start=1)]
    return build_rollout(created, history, RolloutSealed(end=end, at=20))


def built(
    events: Sequence[Event], end: RunCompleted | RunIncomplete | RunFailed = ANSWERED, created: RunCreated = CREATED
) -> Rollout:
    rollout = rollout_of(events, end, created)
    assert rollout is not None
    check_rollout(rollout)
    assert decode_rollout(encode_rollout(rollout)) == rollout
    return rollout


def queued(name: str, number: int = 1, index: int = 0, *, at: float = 13) -> SubagentQueued:
    return SubagentQueued(subtask_id=name, turn=number, index=index, prompt=f"Do {name}.", at=at)


def completed(name: str, attempt: int = 1, stop: StopReason = StopReason.ANSWERED) -> SubagentCompleted:
    return SubagentCompleted(subtask_id=name, attempt=attempt, report="r", stop_reason=stop, num_turns=1, at=16)


def agent_of(rollout: Rollout, name: str) -> AgentRecord:
    return next(agent for agent in rollout.agents if agent.agent_id == name)


def test_a_log_written_by_hand_becomes_this_record() -> None:
    call = ToolCall(name="call_subagent", arguments={"b": 1, "a": [2]}, call_id="c1")
    reports = ToolResult(call=call, content="reports", subtask_ids=("s1",), seconds=3.0)
    log: list[Event] = [
        RunClaimed(replica="r", claim=1, at=10.5),
        turn("lead", 1, sampled([1, 2], [3, 4], finish_reason="stop"), at=11),
        queued("s1", at=11.5),
        SubagentStarted(subtask_id="s1", attempt=1, worker="w", at=12),
        turn("s1", 1, sampled([9], [8], finish_reason="length"), at=13),
        completed("s1", stop=StopReason.CONTEXT_LIMIT),
        ToolCompleted(agent_id="lead", role=Role.LEAD, turn=1, index=0, result=reports, at=14),
        turn("lead", 2, sampled([1, 2, 3, 4, 5, 6], [7]), at=15),
    ]

    rollout = built(log)

    def record(index: int, prompt: tuple[int, ...], ids: tuple[int, ...], **fields: Any) -> TurnRecord:
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

    handed_out = ToolRecord(
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
    lead = AgentRecord(
        agent_id="lead",
        role=Role.LEAD,
        subtask="Capital of Mali?",
        status=AgentStatus.ANSWERED,
        turns=(
            record(
                0,
                (1, 2),
                (3, 4),
                tool_calls=(handed_out,),
                timings=Timings(queued_s=0.5, generate_s=0.5, tools_s=3.0),
            ),
            record(1, (1, 2, 3, 4, 5, 6), (7,), timings=Timings(generate_s=0.5)),
        ),
    )
    subagent = AgentRecord(
        agent_id="s1",
        role=Role.SUBAGENT,
        parent_agent_id="lead",
        parent_turn_index=0,
        parent_call_id="c1",
        subtask_id="s1",
        subtask="Do s1.",
        status=AgentStatus.CONTEXT_LIMIT,
        turns=(
            record(
                0,
                (9,),
                (8,),
                finish_reason="length",
                truncated=True,
                timings=Timings(queued_s=0.5, generate_s=0.5),
            ),
        ),
    )
    assert rollout == Rollout(
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
        agents=(lead, subagent),
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


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trainable": False}, "not_token_exact"),
        ({"logprobs": ()}, "not_token_exact"),
        ({"logprobs": (0.5, -1.0)}, "not_token_exact"),
        ({"logprobs": (float("-inf"), -1.0)}, "not_token_exact"),
        ({"logprobs": (-1e300, -1.0)}, "not_token_exact"),
        ({"prompt_token_ids": ()}, "not_token_exact"),
        ({"token_ids": (), "logprobs": ()}, "no_tokens"),
    ],
)
def test_what_is_not_exact_is_not_trained_on(fields: dict[str, Any], reason: str) -> None:
    first = built([turn("lead", 1, sampled([1], [2, 3], **fields))]).agents[0].turns[0]

    assert (first.trainable, first.mask_reason) == (False, reason)
    assert len(first.sampled_token_ids) == len(first.sampled_logprobs)


def test_an_endpoint_that_only_chats_leaves_text_and_no_tokens() -> None:
    chatted = Completion(text="hello", model_name="gpt", completion_tokens=2)

    first = built([turn("lead", 1, chatted)]).agents[0].turns[0]

    assert (first.sampled_token_ids, first.mask_reason) == ((), "not_token_exact")
    assert first.weight_version_spans == (WeightSpan(version=0, start=0, end=0),)


def test_a_version_that_is_served_under_its_bases_name_counts_as_itself() -> None:
    created = CREATED.model_copy(update={"model": "base", "weights": {"base": Weights(version=4)}})

    rollout = built([turn("lead", 1, sampled([1], [2], model_name="base"))], created=created)

    assert (rollout.policy_version_min, rollout.policy_version_max) == (4, 4)


def test_versions_that_nobody_stated_are_read_off_the_models_names() -> None:
    created = CREATED.model_copy(update={"subagent_model": "smollm2"})
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2], model_name="policy@v7")),
        queued("s1"),
        turn("s1", 1, sampled([1], [2], model_name="smollm2")),
        completed("s1"),
    ]

    rollout = built(log, created=created)

    assert (rollout.policy_version_min, rollout.policy_version_max) == (0, 7)


def test_a_demonstration_says_so_and_foreign_turns_in_it_are_masked() -> None:
    weights = {"expert": Weights(source=RolloutSource.DEMONSTRATION), MODEL: HASHES}
    created = CREATED.model_copy(update={"model": "expert", "subagent_model": MODEL, "weights": weights})
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2], model_name="expert")),
        queued("s1"),
        turn("s1", 1, sampled([1], [2])),
        completed("s1"),
    ]

    shown = built(log, created=created)
    trained = built(log, created=created.model_copy(update={"model": MODEL}))

    assert (shown.source, trained.source) == (RolloutSource.DEMONSTRATION, RolloutSource.POLICY)
    assert [agent.turns[0].mask_reason for agent in shown.agents] == ["", "policy"]
    assert [agent.turns[0].mask_reason for agent in trained.agents] == ["demonstration", ""]


def test_results_are_placed_in_the_next_prompt_where_that_can_be_told() -> None:
    one = built(
        [turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "x"), turn("lead", 2, sampled([1, 2, 3], [4]))]
    )
    two = built(
        [
            turn("lead", 1, sampled([1], [2])),
            result("lead", 1, 0, "x"),
            result("lead", 1, 1, "y", failed=True, sources=(MALI,)),
            turn("lead", 2, sampled([1, 2, 3], [4])),
        ]
    )
    forked = built(
        [turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "x"), turn("lead", 2, sampled([5, 5, 5], [4]))]
    )
    last = built([turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "x")])

    def spans(rollout: Rollout) -> list[tuple[int | None, int | None]]:
        return [(call.result_start, call.result_end) for call in rollout.agents[0].turns[0].tool_calls]

    assert [spans(one), spans(forked), spans(last)] == [[(2, 3)], [(None, None)], [(None, None)]]
    assert spans(two) == [(None, None), (None, None)]
    refused = two.agents[0].turns[0].tool_calls[1]
    assert (refused.ok, refused.error, refused.sources) == (False, "failed", (MALI,))


def test_a_call_that_could_not_be_read_is_recorded() -> None:
    log: list[Event] = [turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "unreadable", call=None, failed=True)]

    [call] = built(log).agents[0].turns[0].tool_calls

    assert (call.name, call.args_hash, call.ok, call.error) == ("", "", False, "unreadable")


def test_an_agent_alone_is_no_lead() -> None:
    created = CREATED.model_copy(update={"request": REQUEST.model_copy(update={"mode": "single_agent"})})

    assert built([turn("lead", 1, sampled([1], [2]))], created=created).agents[0].role is Role.SINGLE


LOGPROBS = st.floats(min_value=-1e30, max_value=0, allow_nan=False)
TOKENS = st.lists(st.integers(0, 151_642), min_size=1, max_size=6)


@given(data=st.data(), turns=st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_record_survives_the_wire_and_each_prompt_continues_the_last(
    data: st.DataObject, turns: list[tuple[list[int], list[int]]]
) -> None:
    context: list[int] = []
    log: list[Event] = []
    for number, (appended, ids) in enumerate(turns, start=1):
        logprobs = tuple(data.draw(st.lists(LOGPROBS, min_size=len(ids), max_size=len(ids))))
        context += appended
        log += [turn("lead", number, sampled(context, ids, logprobs=logprobs)), result("lead", number, 0, "x")]
        context += ids

    [lead] = built(log).agents

    for before, after in zip(lead.turns, lead.turns[1:], strict=False):
        told = before.prompt_token_ids + before.sampled_token_ids
        assert after.prompt_token_ids[: len(told)] == told
        assert before.tool_calls[0].result_start == len(told)
        assert before.tool_calls[0].result_end == len(after.prompt_token_ids)
