"""What the core asks for. Adapters live in `wideseek.clients`, the services, and the tests' fakes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import Field

from wideseek.contracts import AccessResponse, SearchResponse
from wideseek.messages import Completion, Message, Sampling, ToolSpec
from wideseek.trajectory import StopReason, ToolResult, Trajectory
from wideseek.values import Frozen


class Context(Protocol):
    """An agent's context: append-only, owned by the model adapter that made it."""

    @property
    def num_tokens(self) -> int:
        """Tokens the next prompt has."""
        ...


class ChatModel(Protocol):
    """A policy behind an engine. Every method raises `ModelUnavailable` when the engine is down."""

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and completion together that the engine takes."""
        ...

    async def begin(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Context:
        """The first prompt, rendered."""
        ...

    async def extend(
        self, context: Context, completion: Completion, results: Sequence[ToolResult], hint: str
    ) -> Context:
        """The next prompt: this one, what was sampled, and the results with the hint on the last.

        With no results (the policy neither called nor answered), the hint stands alone as a user message.
        """
        ...

    async def complete(self, context: Context, sampling: Sampling, *, max_tokens: int, final: bool) -> Completion:
        """Sample one completion of at most `max_tokens`; `final` withholds tools where the endpoint allows it."""
        ...

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens aside."""
        ...


class Models(Protocol):
    """The policies of an engine by name."""

    async def model(self, name: str) -> ChatModel:
        """The policy of this name. Raises `ModelUnavailable` when the engine is down."""
        ...


class Retrieval(Protocol):
    """Search and access over the run's corpora. Raises `RetrievalUnavailable` when the service is down."""

    async def search(self, queries: Sequence[str], count: int) -> SearchResponse:
        """Hits for each query."""
        ...

    async def access(self, urls: Sequence[str], info_to_extract: str | None) -> AccessResponse:
        """The pages behind the urls."""
        ...


class Subtask(Frozen):
    """What a lead hands a subagent."""

    subtask_id: str
    prompt: str
    turn: int
    index: int
    """Position in the lead's turn, counted over all its calls."""


class SubagentReport(Frozen):
    """What a subagent hands back: its last text after thinking, and why it stopped."""

    subtask_id: str
    text: str
    stop_reason: StopReason | None
    """None when the subagent could not be run (its failure is told in `text`)."""
    trajectory: Trajectory | None = None
    """The trajectory, where it is at hand (in process)."""


class Subagents(Protocol):
    """Runs subtasks in parallel. Outages raise; what the policy did is in the reports."""

    async def run(self, subtasks: Sequence[Subtask]) -> list[SubagentReport]:
        """Reports in the order of the subtasks."""
        ...


class Budget(Protocol):
    """A run's purse, shared by all its agents: reserve before spending, settle after."""

    async def reserve(self, *, tokens: int = 0, tool_calls: int = 0) -> bool:
        """Take from the purse; False, and nothing taken, when it does not hold so much."""
        ...

    async def settle(self, *, tokens: int) -> None:
        """Give back `tokens` that were reserved and not spent."""
        ...


class Alignment(Frozen):
    """Two vocabularies to be matched: what a response calls things, and what the gold calls them."""

    column: str
    """The key column whose values they are; empty for column headings."""
    found: tuple[str, ...]
    """Values of the response, each once."""
    wanted: tuple[str, ...]
    """Values of the gold, each once."""
    aliases: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Other spellings of wanted values, where the task states them."""


class ColumnPairs(Frozen):
    """The cells of one column, of matched rows, to be judged."""

    column: str
    criterion: str = ""
    """What counts as the same, in words."""
    pairs: tuple[tuple[str, str], ...]
    """Response and gold, a pair a matched row."""
    aliases: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


class AnswerPair(Frozen):
    """A question's given answer, and those accepted."""

    question: str
    given: str
    accepted: tuple[str, ...]


class Judge(Protocol):
    """Decides what means the same. Raises `JudgeUnavailable` when it is down, never answers 0 for that."""

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        """Found value -> wanted value, for those that mean the same; the others are left out."""
        ...

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        """A score a pair, in order, as the judge gave it; scorers clamp."""
        ...

    async def judge_answer(self, answer: AnswerPair) -> bool:
        """Whether a question's answer is right."""
        ...
