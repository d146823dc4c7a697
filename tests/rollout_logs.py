"""Logs of runs written by hand, and the records they become."""

import hashlib
from collections.abc import Sequence
from typing import Any

from services.kit.rollouts.checks import check_rollout
from services.orchestrator.rollouts.build import build_rollout
from wideseek.codec import decode_rollout, encode_rollout
from wideseek.contracts import RunRequest
from wideseek.events import (
    Event,
    Logged,
    RolloutSealed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunIncomplete,
    SubagentCompleted,
    SubagentQueued,
    ToolCompleted,
    TurnCompleted,
    Weights,
)
from wideseek.messages import Completion, ToolCall
from wideseek.rollout import (
    AgentRecord,
    Rollout,
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
