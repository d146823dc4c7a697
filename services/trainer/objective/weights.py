"""Token weights: what one trained token counts, computed once on the whole step.

    B rollouts planned, N agents of a rollout with trained tokens, L trained tokens of an agent, n agents of a role

    wideseek   1 / (B N L)               dual level: agents of a rollout alike, tokens of an agent alike
    dr_grpo    1 / (B N C)               C a constant: no length bias
    rollout    1 / (B sum of the rollout's L)
    global     1 / (sum of all L)
    role       lambda / (B L) for the lead, (1 - lambda) / (B n L) for each of n subagents

An agent that stands for m (`subagents`) counts m agents in N and n, m L tokens in the sums, and its weight is m times
that of one. B is what was planned: an agent that is masked, or a rollout that dropped out, raises nobody else's weight.
The loss is a plain sum of weighted tokens, so no batching, packing or sharding can change it. Sources: WideSeek-R1
(arXiv:2602.04634), Dr.GRPO (arXiv:2503.20783), DAPO (arXiv:2503.14476).
"""

from collections.abc import Callable, Mapping, Sequence

from services.trainer.config import WeightsConfig
from services.trainer.objective.batch import AgentShape, RolloutShape
from wideseek.errors import ContractViolation
from wideseek.trajectory import Role

Weights = dict[tuple[str, str], float]
"""By rollout id and agent id, of one trained token; 0 for an agent without any."""

_Agents = Sequence[AgentShape]


def token_weights(rollouts: Sequence[RolloutShape], config: WeightsConfig, planned: int) -> Weights:
    """The weight of one trained token of every agent.

    `planned` is B. A `counted` agent keeps its place in N and n although nothing of it is trained on. Where a rollout
    has one role only, the `role` scheme gives that role all of its 1/B. `reference_compat` has the weights of
    `wideseek` here; the learner multiplies them by the `layout_factors` of the micro-batches it makes.
    Raises ContractViolation when there are more rollouts than planned, or an agent is given twice.
    """
    if len(rollouts) > planned:
        raise ContractViolation(f"{len(rollouts)} rollouts in a step planned for {planned}")
    total = sum(_tokens(rollout.agents) for rollout in rollouts)
    weights: Weights = {}
    for rollout in rollouts:
        weigh = _scheme(rollout.agents, config, planned, total)
        for agent in rollout.agents:
            key = rollout.rollout_id, agent.agent_id
            if key in weights:
                raise ContractViolation(f"agent {agent.agent_id} of rollout {rollout.rollout_id} is given twice")
            weights[key] = agent.stands_for * weigh(agent) if agent.trained_tokens else 0.0
    return weights


def lead_share(rollouts: Sequence[RolloutShape], weights: Mapping[tuple[str, str], float]) -> float:
    """Share of all token weights that leads (and single agents) have; 0 where nothing is trained on."""
    shares = [
        (agent.role is not Role.SUBAGENT, weights[rollout.rollout_id, agent.agent_id] * agent.trained_tokens)
        for rollout in rollouts
        for agent in rollout.agents
    ]
    total = sum(share for _, share in shares)
    return sum(share for leads, share in shares if leads) / total if total else 0.0


def _scheme(agents: _Agents, config: WeightsConfig, planned: int, total: float) -> Callable[[AgentShape], float]:
    if config.scheme == "global":
        return lambda _: 1 / total
    if config.scheme == "rollout":
        tokens = _tokens(agents)
        return lambda _: 1 / (planned * tokens)
    if config.scheme == "role":
        return lambda agent: _role_share(agents, agent, config.lead_share) / (planned * agent.trained_tokens)
    places = sum(map(_places, agents))
    if config.scheme == "dr_grpo":
        return lambda _: 1 / (planned * places * config.token_budget)
    return lambda agent: 1 / (planned * places * agent.trained_tokens)


def _places(agent: AgentShape) -> float:
    return agent.stands_for if agent.trained_tokens > 0 or agent.counted else 0.0


def _tokens(agents: _Agents) -> float:
    return sum(agent.stands_for * agent.trained_tokens for agent in agents)


def _role_share(agents: _Agents, agent: AgentShape, lead: float) -> float:
    """What an agent has of its rollout's 1/B under the `role` scheme."""
    subagents = sum(_places(one) for one in agents if one.role is Role.SUBAGENT)
    leads = sum(_places(one) for one in agents if one.role is not Role.SUBAGENT)
    if not (leads and subagents):
        return 1 / (leads or subagents)
    return (1 - lead) / subagents if agent.role is Role.SUBAGENT else lead / leads
