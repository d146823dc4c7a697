"""The chains of a run's calls: which had to wait for which, and for how long.

    an agent's path  = sum over its turns of (its model call + the longest of the turn's tool calls)
    a wave           = the longest path of its subagents; the sum of them when one works at a time
    critical path    = the lead's path, a `call_subagent` counting as its wave
    work             = all model and tool calls added up, whoever made them and however often

Waiting in queues, for leases or for a restarted process is in neither: the critical path is what the run would
take on a cluster with room for it at once. A subagent that the lead gave up waiting for counts for what it had
done by then. A call that never came back has no length.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from wideseek.events import SubagentQueued, ToolCalled, ToolCompleted, TurnCompleted, TurnStarted
from wideseek.tools import SUBTASKS
from wideseek.trajectory import Role

Step = TurnStarted | TurnCompleted | ToolCalled | ToolCompleted | SubagentQueued
"""The facts that a timeline is made of."""


@dataclass(frozen=True)
class Chain:
    """Calls that follow one another."""

    seconds: float = 0.0
    model_calls: int = 0

    def __add__(self, after: "Chain") -> "Chain":
        return Chain(self.seconds + after.seconds, self.model_calls + after.model_calls)


def one_by_one(chains: Iterable[Chain]) -> Chain:
    """All of them, each after the one before."""
    return sum(chains, Chain())


def side_by_side(chains: Iterable[Chain]) -> Chain:
    """The one that takes longest."""
    return max(chains, key=lambda chain: (chain.seconds, chain.model_calls), default=Chain())


@dataclass
class _Turn:
    model: Chain
    tools: list[Chain] = field(default_factory=list)
    waves: list[Chain] = field(default_factory=list)


@dataclass
class _Agent:
    role: Role
    turns: dict[int, _Turn] = field(default_factory=dict)

    def begin(self, number: int, model: Chain) -> None:
        """Take a turn; one taken again undoes itself and what came after it."""
        self.turns = {earlier: turn for earlier, turn in self.turns.items() if earlier < number}
        self.turns[number] = _Turn(model)


@dataclass
class Timeline:
    """Fed with a run's facts in the order of its log."""

    sequential: bool = False
    """Whether a wave's subagents work one after another."""
    work_s: float = 0.0
    waves: dict[int, list[str]] = field(default_factory=dict)
    """The lead's turn -> ids of the subtasks that it handed out in it."""
    _agents: dict[str, _Agent] = field(default_factory=dict)
    _begun: dict[tuple[str, int, int], float] = field(default_factory=dict)
    """Agent, turn, and place of the call in it (-1: the model call) -> when it was last begun."""
    _awaited: set[str] = field(default_factory=set)
    """Subtasks whose wave has ended."""

    def add(self, step: Step) -> None:
        """Take note of a fact."""
        if isinstance(step, TurnStarted):
            self._begun[step.agent_id, step.turn, -1] = step.at
        elif isinstance(step, ToolCalled):
            self._begun[step.agent_id, step.turn, step.index] = step.at
        elif isinstance(step, TurnCompleted):
            seconds = self._seconds(step, -1, known=step.completion.seconds)
            self.work_s += seconds
            self._agents.setdefault(step.agent_id, _Agent(step.role)).begin(step.turn, Chain(seconds, 1))
        elif isinstance(step, ToolCompleted):
            self._served(step)
        elif step.subtask_id not in self.waves.setdefault(step.turn, []):
            self.waves[step.turn].append(step.subtask_id)

    def critical_path(self) -> Chain:
        """The chain from the run's first call to its last."""
        heads = [name for name, agent in self._agents.items() if agent.role is not Role.SUBAGENT]
        return side_by_side(self._path(name) for name in heads)

    def turns(self) -> dict[str, tuple[int, ...]]:
        """Role -> turns of each of its agents, in the order they began."""
        taken: dict[str, tuple[int, ...]] = {}
        for agent in self._agents.values():
            taken[agent.role.value] = (*taken.get(agent.role.value, ()), len(agent.turns))
        return taken

    def _served(self, step: ToolCompleted) -> None:
        turn = self._agents[step.agent_id].turns.get(step.turn) if step.agent_id in self._agents else None
        if step.result.call is not None and step.result.call.name == SUBTASKS.tool:
            self._awaited.update(step.result.subtask_ids)
            if turn is not None:
                turn.waves.append(self._wave(step.result.subtask_ids))
            return
        seconds = self._seconds(step, step.index, known=step.result.seconds)
        self.work_s += seconds
        if turn is not None:
            turn.tools.append(Chain(seconds))

    def _seconds(self, step: TurnCompleted | ToolCompleted, place: int, *, known: float) -> float:
        """From when the call was last begun to its end; what the caller measured when nothing says when it began."""
        begun = self._begun.pop((step.agent_id, step.turn, place), None)
        return known if begun is None else max(0.0, step.at - begun)

    def _wave(self, subtask_ids: Iterable[str]) -> Chain:
        paths = (self._path(name) for name in subtask_ids)
        return one_by_one(paths) if self.sequential else side_by_side(paths)

    def _path(self, agent_id: str) -> Chain:
        agent = self._agents.get(agent_id)
        if agent is None:
            return Chain()
        own = one_by_one(turn.model + side_by_side(turn.tools) for turn in agent.turns.values())
        if agent.role is Role.SUBAGENT:
            return own
        return own + one_by_one(self._waited(number, turn) for number, turn in agent.turns.items())

    def _waited(self, number: int, turn: _Turn) -> Chain:
        """What a turn's waves took, one that the run's end cut short included."""
        open_ = [name for name in self.waves.get(number, []) if name not in self._awaited]
        waves = [*turn.waves, self._wave(open_)]
        return one_by_one(waves) if self.sequential else side_by_side(waves)
