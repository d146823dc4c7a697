"""Which turns of a rollout are trained on, and why the others are not.

| rollout | trained turns |
| --- | --- |
| valid answer, the lead finished | all, but those of subagents that ran into a limit (`failed_subagent`) |
| valid answer, but the lead ran into a limit | the lead's (`lead_failed` on the others) |
| no valid answer | the lead's last turn if it ended by itself, and all turns of agents that ran into a limit or, \
where agents repeated themselves, only the last turn of those (`no_valid_answer` on the others) |
| an outage, or cancelled | none: it has no reward and leaves its group |

A turn whose tokens are not exact (`untrainable`), or of an agent that the cluster failed or somebody cancelled
(`outage`, `cancelled`), is never trained on. Of what is left so many subagents are trained on as
`objective.weights.subagents` says (`not_drawn` on the others, see `drawn`). Source: the credit rules of
RLinf's `wideseek_r1` at commit a3816b5.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from services.trainer.objective.batch import AgentShape, RolloutShape
from services.trainer.objective.drawn import NOT_DRAWN, draw, stands_for, strata
from wideseek.errors import ContractViolation, InvalidRequest
from wideseek.rollout import (
    AgentRecord,
    AgentStatus,
    Reward,
    Rollout,
    RolloutSource,
    RolloutStatus,
    TurnMask,
    TurnRecord,
)
from wideseek.trajectory import Role

FailedSubagent = Literal["mask", "train", "count", "blame"]
"""What becomes of a subagent that ran into a limit below a lead that succeeded."""

LIMITS = frozenset(
    {AgentStatus.TURN_LIMIT, AgentStatus.CONTEXT_LIMIT, AgentStatus.DEADLINE, AgentStatus.BUDGET},
)
"""Limits of an agent; its own doing, unlike an outage."""

REPEATING_TOKENS = 8_000
"""Sampled tokens of a last turn from which on filling the context counts as repeating oneself."""

_Reason = Callable[[AgentRecord, int], str]
"""Why the turn at a place of an agent is not trained on; empty when it is."""

_NOT_OURS = {AgentStatus.ERROR: "outage", AgentStatus.CANCELLED: "cancelled"}


def masks(rollout: Rollout, *, valid: bool, rule: FailedSubagent, subagents: int | None = None) -> tuple[TurnMask, ...]:
    """Every turn that is not trained on, with its reason, in the order of the record.

    `valid` says whether the answer could be scored, `subagents` how many of them are trained on at most. Raises
    InvalidRequest for a demonstration, an outage or a cancelled rollout: policy-gradient training takes none of them.
    """
    _refuse(rollout)
    outcome = _valid_outcome(rollout, rule) if valid else _invalid_outcome(rollout)
    reasons = [
        (agent, turn.turn_index, _unfit(agent, trainable=turn.trainable) or outcome(agent, place))
        for agent in rollout.agents
        for place, turn in enumerate(agent.turns)
    ]
    fit = {agent.agent_id for agent, _, reason in reasons if agent.role is Role.SUBAGENT and not reason}
    undrawn = set[str]() if subagents is None else fit - _drawn(rollout, fit, subagents)
    return tuple(
        TurnMask(agent_id=agent.agent_id, turn_index=index, reason=why)
        for agent, index, reason in reasons
        if (why := reason or (NOT_DRAWN if agent.agent_id in undrawn else ""))
    )


def demonstration_masks(
    rollout: Rollout, *, left_out: Collection[str] = (), max_context: int | None = None
) -> tuple[TurnMask, ...]:
    """The turns that supervised training leaves out: those without exact tokens, of agents that failed, of the agents
    `left_out`, and those of more than `max_context` tokens of prompt and completion."""

    def unlearnt(agent: AgentRecord, turn: TurnRecord) -> str:
        if agent.status in LIMITS:
            return "failed_agent"
        if unfit := _unfit(agent, trainable=turn.trainable):
            return unfit
        tokens = len(turn.prompt_token_ids) + len(turn.sampled_token_ids)
        too_long = max_context is not None and tokens > max_context
        return "left_out" if agent.agent_id in left_out else "too_long" if too_long else ""

    return tuple(
        TurnMask(agent_id=agent.agent_id, turn_index=turn.turn_index, reason=reason)
        for agent in rollout.agents
        for turn in agent.turns
        if (reason := unlearnt(agent, turn))
    )


def shape(rollout: Rollout, group_id: str, reward: Reward, rule: FailedSubagent) -> RolloutShape:
    """What advantages and weights depend on: the reward, and by agent the tokens that `reward.masks` leaves.

    Raises InvalidRequest as `masks` does, ContractViolation when the reward is of another rollout or answer.
    """
    _refuse(rollout)
    if (reward.rollout_id, reward.answer_hash) != (rollout.rollout_id, rollout.answer_hash):
        raise ContractViolation(f"the reward is of {reward.rollout_id}, not of {rollout.rollout_id} and its answer")
    succeeded = reward.valid and lead_of(rollout).status not in LIMITS
    failed = {agent.agent_id for agent in rollout.agents if succeeded and agent.status in LIMITS}
    agents = [
        _shaped(agent, masked_turns(reward.masks, agent.agent_id), rule=rule if agent.agent_id in failed else None)
        for agent in rollout.agents
    ]
    drawn = {agent.agent_id for agent in agents if agent.role is Role.SUBAGENT and agent.trained_tokens}
    undrawn = {mask.agent_id for mask in reward.masks if mask.reason == NOT_DRAWN}
    counted = stands_for(rollout, drawn, undrawn) if undrawn else {}
    return RolloutShape(
        rollout_id=rollout.rollout_id,
        group_id=group_id,
        reward=reward.total,
        role_reward={Role(role): value for role, value in reward.role_reward.items()},
        agents=tuple(
            agent.model_copy(update={"stands_for": counted.get(agent.agent_id, 1.0)}) if counted else agent
            for agent in agents
        ),
    )


def demonstration_shape(rollout: Rollout, masked: Sequence[TurnMask]) -> RolloutShape:
    """A demonstration as a group of its own, without a reward; `masked` turns are not learnt from."""
    agents = tuple(_shaped(agent, masked_turns(masked, agent.agent_id)) for agent in rollout.agents)
    return RolloutShape(rollout_id=rollout.rollout_id, group_id=rollout.rollout_id, reward=0.0, agents=agents)


def masked_turns(masked: Iterable[TurnMask], agent_id: str) -> Mapping[int, str]:
    """The masked turns of one agent: reason by turn index."""
    return {mask.turn_index: mask.reason for mask in masked if mask.agent_id == agent_id}


def masked_tokens(rollout: Rollout, masked: Iterable[TurnMask]) -> Counter[str]:
    """Sampled tokens that are not trained on, by reason."""
    reasons = {(mask.agent_id, mask.turn_index): mask.reason for mask in masked}
    counts: Counter[str] = Counter()
    for agent in rollout.agents:
        for turn in agent.turns:
            if reason := reasons.get((agent.agent_id, turn.turn_index)):
                counts[reason] += len(turn.sampled_token_ids)
    return counts


def lead_of(rollout: Rollout) -> AgentRecord:
    """The agent that answers: the lead, or the one that worked alone. Raises ContractViolation unless it is one."""
    leads = [agent for agent in rollout.agents if agent.role is not Role.SUBAGENT]
    if len(leads) != 1:
        raise ContractViolation(f"rollout {rollout.rollout_id} has {len(leads)} agents that answer, not one")
    return leads[0]


def _refuse(rollout: Rollout) -> None:
    if rollout.source is not RolloutSource.POLICY:
        raise InvalidRequest(f"rollout {rollout.rollout_id} is a demonstration: only `mode: sft` learns from those")
    if rollout.status not in {RolloutStatus.OK, RolloutStatus.FAILED_TASK}:
        raise InvalidRequest(f"rollout {rollout.rollout_id} ended in {rollout.status}: it has no reward; drop it")
    if lead_of(rollout).status in _NOT_OURS:
        raise InvalidRequest(f"the lead of rollout {rollout.rollout_id} ended in {lead_of(rollout).status}; drop it")


def _unfit(agent: AgentRecord, *, trainable: bool) -> str:
    return _NOT_OURS.get(agent.status, "" if trainable else "untrainable")


def _drawn(rollout: Rollout, fit: Collection[str], number: int) -> frozenset[str]:
    return draw(strata(rollout, fit, number), number, seed=rollout.rollout_id)


def _valid_outcome(rollout: Rollout, rule: FailedSubagent) -> _Reason:
    lead = lead_of(rollout)
    if lead.status in LIMITS:
        return lambda agent, _: "" if agent is lead else "lead_failed"
    return lambda agent, _: "failed_subagent" if agent.status in LIMITS and rule in {"mask", "count"} else ""


def _invalid_outcome(rollout: Rollout) -> _Reason:
    lead = lead_of(rollout)
    failed = [agent for agent in rollout.agents if agent.status in LIMITS and agent.turns]
    repeating = {(agent.agent_id, len(agent.turns) - 1) for agent in failed if _repeats(agent)}
    blamed = repeating or set(_places(failed))
    if lead.status is AgentStatus.ANSWERED and lead.turns:
        blamed.add((lead.agent_id, len(lead.turns) - 1))
    return lambda agent, place: "" if (agent.agent_id, place) in blamed else "no_valid_answer"


def _places(agents: Iterable[AgentRecord]) -> Iterator[tuple[str, int]]:
    for agent in agents:
        yield from ((agent.agent_id, place) for place in range(len(agent.turns)))


def _repeats(agent: AgentRecord) -> bool:
    return agent.status is AgentStatus.CONTEXT_LIMIT and len(agent.turns[-1].sampled_token_ids) >= REPEATING_TOKENS


def _shaped(agent: AgentRecord, masked: Mapping[int, str], *, rule: FailedSubagent | None = None) -> AgentShape:
    """`rule` is what becomes of an agent that failed; None for the others."""
    trained = sum(
        len(turn.sampled_token_ids) for turn in agent.turns if turn.trainable and turn.turn_index not in masked
    )
    return AgentShape(
        agent_id=agent.agent_id,
        role=agent.role,
        trained_tokens=trained,
        counted=rule == "count" and not trained,
        blamed=rule == "blame",
    )
