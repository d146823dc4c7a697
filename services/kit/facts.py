"""An agent's facts on their way into the run log, and back out when its work is taken up again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from services.kit.runlog import Fence, RunLog
from wideseek.agent import Recorded
from wideseek.errors import QueueUnavailable, UpstreamError
from wideseek.events import AgentEvent, Event, Logged, ToolCompleted, TurnCompleted
from wideseek.messages import Completion
from wideseek.trajectory import ToolResult

T = TypeVar("T")

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 8.0


class Facts:
    """What one agent of a run has done: written through to the log, kept for a second try."""

    def __init__(self, log: RunLog, run_id: str, agent_id: str, fence: Fence) -> None:
        self._log = log
        self._run_id = run_id
        self._agent_id = agent_id
        self._fence = fence
        self._completions: dict[int, Completion] = {}
        self._results: dict[tuple[int, int], ToolResult] = {}

    def load(self, events: Iterable[Logged]) -> None:
        """Take over what earlier attempts of this agent have logged."""
        for logged in events:
            self._keep(logged.event)

    async def emit(self, event: AgentEvent) -> None:
        """Log a fact, then keep it. Raises `LeaseLost` when a newer attempt owns the work."""
        await self._log.append(self._run_id, [event], self._fence)
        self._keep(event)

    def _keep(self, event: Event) -> None:
        if isinstance(event, TurnCompleted) and event.agent_id == self._agent_id:
            self._completions[event.turn] = event.completion
        elif isinstance(event, ToolCompleted) and event.agent_id == self._agent_id:
            self._results[event.turn, event.index] = event.result

    @property
    def recorded(self) -> Recorded:
        """The facts as the agent loop takes them."""
        return Recorded(dict(self._completions), dict(self._results))

    @property
    def count(self) -> int:
        """How many facts there are; it grows as long as the agent gets anywhere."""
        return len(self._completions) + len(self._results)


async def persevere(work: Callable[[], Awaitable[T]], *, patience_s: float, progress: Callable[[], int]) -> T:
    """Do `work`, and do it again after an outage, until it has got nowhere for `patience_s` seconds.

    `work` continues where it stopped, so nothing is paid twice. Raises the last `UpstreamError`; an
    outage of Redis is raised at once, since nothing can be logged without it.
    """
    clock = asyncio.get_running_loop().time
    since, reached, delay = None, progress(), _FIRST_DELAY_S
    while True:
        try:
            return await work()
        except QueueUnavailable:
            raise
        except UpstreamError:
            now = clock()
            if since is None or progress() > reached:
                since, reached, delay = now, progress(), _FIRST_DELAY_S
            if now - since + delay > patience_s:
                raise
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)
