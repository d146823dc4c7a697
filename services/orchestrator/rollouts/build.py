"""A run's rollout, built from its log up to the event that sealed it: the same log gives the same record."""

from collections.abc import Sequence

from services.kit.runlog import LEAD
from services.orchestrator.modes import WITH_SUBAGENTS
from services.orchestrator.rollouts.facts import AgentFacts, RunFacts, sort_facts
from services.orchestrator.rollouts.turns import sha256_of, turn_records
from wideseek.contracts import RunRequest
from wideseek.events import (
    Logged,
    RolloutSealed,
    RunCompleted,
    RunCreated,
    RunFailed,
    SubagentCompleted,
    SubagentEnd,
    SubagentFailed,
    Weights,
)
from wideseek.rollout import (
    SCHEMA_VERSION,
    AgentRecord,
    AgentStatus,
    Rollout,
    RolloutSource,
    RolloutStatus,
    rollout_id_of,
)
from wideseek.trajectory import Role

_OUTAGES = frozenset({"tool_outage", "width_starved"})
"""Reasons of an incomplete run that are the cluster's, not the policy's."""
_LIMITS = frozenset({"turn_limit", "context_limit", "budget", "deadline"})
"""Reasons that are the answering agent's stop reason."""


def build_rollout(created: RunCreated, history: Sequence[Logged], sealed: RolloutSealed) -> Rollout | None:
    """The record of a run whose log is `history`, the sealing event aside; None when there is nothing to record.

    That is a run that the cluster failed before any agent had taken a turn.
    """
    facts = sort_facts(history, created_at=created.at)
    if isinstance(sealed.end, RunFailed) and not facts.num_turns:
        return None
    training, request = created.request.training, created.request
    source = created.weights.get(created.model, Weights()).source
    agents = (_lead(created, facts, sealed, source), *_subagents(created, facts, sealed, source))
    versions = [s.version for agent in agents for turn in agent.turns for s in turn.weight_version_spans]
    answer = "" if isinstance(sealed.end, RunFailed) else sealed.end.answer_text
    return Rollout(
        schema_version=SCHEMA_VERSION,
        run_id=created.run_id,
        rollout_id=rollout_id_of(created.run_id, training.group_id, training.index_in_group, training.attempt),
        group_id=training.group_id,
        index_in_group=training.index_in_group,
        attempt=training.attempt,
        task_id=training.task_id,
        task_hash=task_hash(request),
        split=training.split,
        source=source,
        status=_status(sealed, facts),
        error=_error(sealed),
        started_at=created.at,
        finished_at=sealed.at,
        query=request.query,
        answer_text=answer,
        answer_hash=sha256_of(answer),
        code_version=created.code_version,
        corpus_hash=created.corpus_hash,
        tool_calls_used=facts.num_results,
        policy_version_min=min(versions, default=0),
        policy_version_max=max(versions, default=0),
        agents=agents,
    )


def task_hash(request: RunRequest) -> str:
    """SHA-256 of what was asked: the query, the output with its columns and key, and where to look."""
    asked = request.model_dump(mode="json", include={"query", "output", "columns", "primary_key", "sources"})
    return sha256_of(asked)


def _lead(created: RunCreated, facts: RunFacts, sealed: RolloutSealed, source: RolloutSource) -> AgentRecord:
    """The agent that answers: the lead, or the one agent of a run without subagents."""
    return AgentRecord(
        agent_id=LEAD,
        role=Role.LEAD if created.request.mode in WITH_SUBAGENTS else Role.SINGLE,
        subtask=created.request.query,
        status=_lead_status(sealed),
        turns=turn_records(facts.agent(LEAD), created.request.sampling, created.weights, source),
    )


def _lead_status(sealed: RolloutSealed) -> AgentStatus:
    if isinstance(sealed.end, RunFailed):
        return AgentStatus.ERROR
    reason = "" if isinstance(sealed.end, RunCompleted) else sealed.end.reason
    if reason == "width_starved":
        return AgentStatus.DEADLINE
    return AgentStatus(reason) if reason in _LIMITS else AgentStatus.ANSWERED


def _subagents(created: RunCreated, facts: RunFacts, sealed: RolloutSealed, source: RolloutSource) -> list[AgentRecord]:
    """Every subtask that was handed out, in that order."""
    calls = _calls(facts.agent(LEAD))
    waves = sorted({queued.turn for queued in facts.queued.values()})
    return [
        AgentRecord(
            agent_id=name,
            role=Role.SUBAGENT,
            parent_agent_id=LEAD,
            parent_turn_index=max(0, queued.turn - 1),
            parent_call_id=calls.get(name),
            wave=waves.index(queued.turn),
            subtask_id=name,
            subtask=queued.prompt,
            status=_subagent_status(facts.ends.get(name), sealed),
            turns=turn_records(facts.agent(name), created.request.sampling, created.weights, source),
        )
        for name, queued in facts.queued.items()
    ]


def _calls(lead: AgentFacts) -> dict[str, str]:
    """Subtask -> the engine's id of the call that handed it out, where the engine gave one."""
    results = (event.result for turn in lead.results.values() for event in turn.values())
    return {
        name: result.call.call_id
        for result in results
        if result.call is not None and result.call.call_id
        for name in result.subtask_ids
    }


def _subagent_status(end: SubagentEnd | None, sealed: RolloutSealed) -> AgentStatus:
    """How a subagent stopped; one that nobody waited for was stopped by the run's deadline or by its end."""
    if isinstance(end, SubagentCompleted):
        return AgentStatus(end.stop_reason.value)
    if isinstance(end, SubagentFailed):
        return AgentStatus.ERROR
    late = end is None and _lead_status(sealed) is AgentStatus.DEADLINE
    return AgentStatus.DEADLINE if late else AgentStatus.CANCELLED


def _status(sealed: RolloutSealed, facts: RunFacts) -> RolloutStatus:
    """What the end says about the policy; an agent that never got to answer says nothing."""
    if isinstance(sealed.end, RunCompleted):
        return RolloutStatus.OK
    if isinstance(sealed.end, RunFailed) or sealed.end.reason in _OUTAGES or not facts.agent(LEAD).turns:
        return RolloutStatus.INFRA_ERROR
    return RolloutStatus.FAILED_TASK


def _error(sealed: RolloutSealed) -> str:
    if isinstance(sealed.end, RunFailed):
        return sealed.end.error.message
    return "" if isinstance(sealed.end, RunCompleted) else sealed.end.reason
