"""A run's log sorted by agent: which turns, results and ends count.

An agent that is taken over continues with the turns of its earlier attempts, so a turn counts once: the completion
logged last for its number. A result counts when it was logged after its turn's completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.kit.runlog import LEAD
from wideseek.events import (
    Logged,
    RunClaimed,
    SubagentCancelled,
    SubagentCompleted,
    SubagentEnd,
    SubagentFailed,
    SubagentQueued,
    SubagentStarted,
    ToolCompleted,
    TurnCompleted,
)


@dataclass
class AgentFacts:
    """What the log says of one agent."""

    turns: dict[int, TurnCompleted] = field(default_factory=dict)
    """By the turn's number, from 1."""
    results: dict[int, dict[int, ToolCompleted]] = field(default_factory=dict)
    """By turn, then by place of the call in it."""
    waited_s: float = 0.0
    """Between being handed out and being begun."""


@dataclass
class RunFacts:
    """A log up to some place, sorted."""

    agents: dict[str, AgentFacts] = field(default_factory=dict)
    queued: dict[str, SubagentQueued] = field(default_factory=dict)
    """Subtasks in the order they were handed out."""
    ends: dict[str, SubagentEnd] = field(default_factory=dict)

    def agent(self, agent_id: str) -> AgentFacts:
        """An agent's facts, empty at first."""
        return self.agents.setdefault(agent_id, AgentFacts())

    @property
    def num_turns(self) -> int:
        """Turns that count, of all agents."""
        return sum(len(agent.turns) for agent in self.agents.values())

    @property
    def num_results(self) -> int:
        """Tool calls that count, of all agents."""
        return sum(len(results) for agent in self.agents.values() for results in agent.results.values())


def sort_facts(history: Sequence[Logged], *, created_at: float) -> RunFacts:
    """The facts of a log, in its order."""
    facts = RunFacts()
    for logged in history:
        event = logged.event
        match event:
            case TurnCompleted():
                agent = facts.agent(event.agent_id)
                agent.turns[event.turn] = event
                agent.results[event.turn] = {}
            case ToolCompleted():
                facts.agent(event.agent_id).results.setdefault(event.turn, {})[event.index] = event
            case SubagentQueued():
                facts.queued.setdefault(event.subtask_id, event)
            case SubagentCompleted() | SubagentFailed() | SubagentCancelled():
                facts.ends.setdefault(event.subtask_id, event)
            case SubagentStarted(attempt=1):
                queued = facts.queued.get(event.subtask_id)
                facts.agent(event.subtask_id).waited_s = max(0.0, event.at - queued.at) if queued else 0.0
            case RunClaimed(claim=1):
                facts.agent(LEAD).waited_s = max(0.0, event.at - created_at)
            case _:
                pass
    return facts
