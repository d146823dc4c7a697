"""What one agent did on one task; a rollout is the lead's trajectory with its subagents' below it."""

from enum import StrEnum

from wideseek.messages import Completion, ToolCall
from wideseek.values import Frozen


class Role(StrEnum):
    """What an agent is for."""

    LEAD = "lead"
    SUBAGENT = "subagent"
    SINGLE = "single"


class StopReason(StrEnum):
    """Why a trajectory ended. An outage is not among them: it is an exception."""

    ANSWERED = "answered"
    TURN_LIMIT = "turn_limit"
    CONTEXT_LIMIT = "context_limit"
    DEADLINE = "deadline"
    BUDGET = "budget"
    CANCELLED = "cancelled"


class Source(Frozen):
    """Text that entered a context: a span of a stored page.

    `start` and `end` are offsets in Unicode code points into the page's stored text, whose
    UTF-8 bytes hash to `content_sha256`.
    """

    url: str
    title: str = ""
    content_sha256: str
    start: int
    end: int


class ToolResult(Frozen):
    """What came back for one tool call."""

    call: ToolCall | None = None
    """None when the policy's call could not be read."""
    content: str
    failed: bool = False
    """The call was the policy's mistake or found nothing to do; `content` says what to change."""
    sources: tuple[Source, ...] = ()
    subtask_ids: tuple[str, ...] = ()
    """Subtasks this result reports on, in order, when the tool was `call_subagent`."""
    seconds: float = 0.0


class Turn(Frozen):
    """One completion and the tool results it led to."""

    completion: Completion
    results: tuple[ToolResult, ...] = ()


class Usage(Frozen):
    """What was spent."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            model_calls=self.model_calls + other.model_calls,
            tool_calls=self.tool_calls + other.tool_calls,
        )


class Trajectory(Frozen):
    """Everything one agent did on one task."""

    agent_id: str
    role: Role
    task: str
    turns: tuple[Turn, ...]
    stop_reason: StopReason
    subagents: "tuple[Trajectory, ...]" = ()

    @property
    def final_text(self) -> str:
        """The last completion, verbatim."""
        return self.turns[-1].completion.text if self.turns else ""

    @property
    def usage(self) -> Usage:
        """What this agent alone spent."""
        return Usage(
            prompt_tokens=sum(turn.completion.prompt_tokens for turn in self.turns),
            completion_tokens=sum(turn.completion.completion_tokens for turn in self.turns),
            model_calls=len(self.turns),
            tool_calls=sum(len(turn.results) for turn in self.turns),
        )
