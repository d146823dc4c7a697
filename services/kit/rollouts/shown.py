"""A rollout that nobody sampled: what one agent says, written down to be learnt from, the whole or pieces of it."""

from collections.abc import Sequence
from hashlib import sha256

from services.kit.rollouts.checks import answer_hash_of
from wideseek.rollout import (
    SCHEMA_VERSION,
    AgentRecord,
    AgentStatus,
    Rollout,
    RolloutSource,
    RolloutStatus,
    SamplingRecord,
    TurnRecord,
    WeightSpan,
    rollout_id_of,
)
from wideseek.trajectory import Role


def shown_rollout(
    name: str, query: str, answer: str, prompt_token_ids: Sequence[int], pieces: Sequence[tuple[list[int], list[int]]]
) -> Rollout:
    """A demonstration under a name of its own; `pieces` are token ids given and learnt, one after the other.

    Each piece is a turn whose prompt is all before it, so what is given is context, as results of tools are. Nothing of
    it was sampled: log-probabilities are 0, and supervised training does not read them.
    """
    turns: list[TurnRecord] = []
    before = list(prompt_token_ids)
    for given, learnt in pieces:
        turns.append(_turn(len(turns), [*before, *given], learnt))
        before += [*given, *learnt]
    agent = AgentRecord(
        agent_id="single", role=Role.SINGLE, subtask=query, status=AgentStatus.ANSWERED, turns=tuple(turns)
    )
    return Rollout(
        schema_version=SCHEMA_VERSION,
        run_id=name,
        rollout_id=rollout_id_of(name, None, None, 0),
        task_id=name,
        task_hash=sha256(query.encode()).hexdigest(),
        source=RolloutSource.DEMONSTRATION,
        status=RolloutStatus.OK,
        started_at=0.0,
        finished_at=0.0,
        query=query,
        answer_text=answer,
        answer_hash=answer_hash_of(answer),
        agents=(agent,),
    )


def _turn(index: int, prompt: Sequence[int], learnt: Sequence[int]) -> TurnRecord:
    return TurnRecord(
        turn_index=index,
        model_name="demonstration",
        prompt_token_ids=tuple(prompt),
        sampled_token_ids=tuple(learnt),
        sampled_logprobs=(0.0,) * len(learnt),
        weight_version_spans=(WeightSpan(version=0, start=0, end=len(learnt)),),
        sampling=SamplingRecord(temperature=0.0, max_tokens=len(learnt)),
        finish_reason="stop",
        trainable=True,
    )
