"""The facts of a run, in the order they happened: what the log, the stream, metrics and replay are made of.

Names are dotted and in the past tense. `public()` leaves out what only training and replay need.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from wideseek.contracts import RunError, RunRequest
from wideseek.messages import Completion, ToolCall
from wideseek.rollout import RolloutSource
from wideseek.tables import Table
from wideseek.trajectory import Role, StopReason, ToolResult
from wideseek.values import Frozen


class _Fact(Frozen):
    at: float = 0.0
    """Unix seconds when the log took it; 0 before."""

    def public(self) -> dict[str, Any]:
        """The event as an application sees it."""
        return self.model_dump(mode="json", exclude_none=True)


class Weights(Frozen):
    """What is known of the weights behind a model's name; a hash that nobody states is empty."""

    source: RolloutSource = RolloutSource.POLICY
    """What the engine's model card says of them."""
    base_model_hash: str = ""
    adapter_hash: str = ""
    tokenizer_hash: str = ""
    template_hash: str = ""
    version: int = Field(default=0, ge=0)
    """Of the policy; 0 is the base model, and any model that is no policy's."""


class RunCreated(_Fact):
    """Everything a worker needs to know of the run."""

    type: Literal["run.created"] = "run.created"
    run_id: str
    request: RunRequest
    model: str
    """The model name, resolved once."""
    subagent_model: str | None = None
    """The subagents' model, resolved once; None: theirs is `model`."""
    deadline: float
    """Unix seconds after which nothing more is begun."""
    weights: dict[str, Weights] = Field(default_factory=dict)
    """Of the run's models, by name; only where the run writes a rollout."""
    corpus_hash: str = ""
    """SHA-256 over the corpora served, where the run writes a rollout."""
    code_version: str = ""
    """Version of this package, where the run writes a rollout."""

    def public(self) -> dict[str, Any]:
        """The request and the models; what the rollout's record needs stays in the log."""
        hidden = {"weights", "corpus_hash", "code_version"}
        return self.model_dump(mode="json", exclude=hidden, exclude_none=True)


class RunClaimed(_Fact):
    """An orchestrator replica took the run."""

    type: Literal["run.claimed"] = "run.claimed"
    replica: str
    claim: int
    """1 for the first claim; more means the run was taken over."""


class TurnStarted(_Fact):
    """An agent asked the model for its next completion."""

    type: Literal["turn.started"] = "turn.started"
    agent_id: str
    role: Role
    turn: int
    attempt: int = 1


class TurnCompleted(_Fact):
    """A completion arrived, with its exact tokens."""

    type: Literal["turn.completed"] = "turn.completed"
    agent_id: str
    role: Role
    turn: int
    completion: Completion
    attempt: int = 1
    max_tokens: int = 0
    """The longest completion that was asked for; 0 in logs that do not say."""

    def public(self) -> dict[str, Any]:
        """The text and the counts; token ids and log-probabilities stay in the log."""
        hidden = {"completion": {"token_ids", "logprobs", "prompt_token_ids", "calls"}}
        return self.model_dump(mode="json", exclude=hidden, exclude_none=True)


class ToolCalled(_Fact):
    """An agent's call is about to be served."""

    type: Literal["tool.called"] = "tool.called"
    agent_id: str
    role: Role
    turn: int
    index: int
    call: ToolCall
    attempt: int = 1


class ToolCompleted(_Fact):
    """A tool's result, as it enters the agent's context."""

    type: Literal["tool.completed"] = "tool.completed"
    agent_id: str
    role: Role
    turn: int
    index: int
    result: ToolResult
    attempt: int = 1

    def public(self) -> dict[str, Any]:
        """Where the text came from; the text itself stays in the log."""
        public = self.model_dump(mode="json", exclude={"result": {"content"}}, exclude_none=True)
        public["result"]["content_chars"] = len(self.result.content)
        return public


class SubagentQueued(_Fact):
    """A subtask was handed out."""

    type: Literal["subagent.queued"] = "subagent.queued"
    subtask_id: str
    turn: int
    index: int
    prompt: str


class SubagentStarted(_Fact):
    """A worker began on a subtask."""

    type: Literal["subagent.started"] = "subagent.started"
    subtask_id: str
    attempt: int
    worker: str


class SubagentCompleted(_Fact):
    """A subagent handed back its report; `stop_reason` says whether it had finished."""

    type: Literal["subagent.completed"] = "subagent.completed"
    subtask_id: str
    attempt: int
    report: str
    stop_reason: StopReason
    num_turns: int


class SubagentFailed(_Fact):
    """A subtask could not be worked on; the fault is the cluster's, not the policy's."""

    type: Literal["subagent.failed"] = "subagent.failed"
    subtask_id: str
    attempt: int
    error: RunError


class SubagentCancelled(_Fact):
    """A worker stopped a subtask because its run was cancelled."""

    type: Literal["subagent.cancelled"] = "subagent.cancelled"
    subtask_id: str
    attempt: int


class TableSchema(_Fact):
    """The headings the rows of `row.upserted` have."""

    type: Literal["table.schema"] = "table.schema"
    columns: tuple[str, ...]


class RowUpserted(_Fact):
    """A row that a subagent reported; provisional until the run has ended."""

    type: Literal["row.upserted"] = "row.upserted"
    key: str
    cells: tuple[str, ...]
    subtask_id: str | None = None


class RunCancelling(_Fact):
    """Somebody asked for the run to be cancelled."""

    type: Literal["run.cancelling"] = "run.cancelling"


class RunCompleted(_Fact):
    """The lead answered."""

    type: Literal["run.completed"] = "run.completed"
    table: Table | None = None
    answer_text: str
    rollout_id: str | None = None
    """The rollout in the store, when one was written."""


class RunIncomplete(_Fact):
    """A limit ended the run; what there is is handed over."""

    type: Literal["run.incomplete"] = "run.incomplete"
    reason: str
    """`budget`, `deadline`, `width_starved`, `tool_outage`, `turn_limit`, `context_limit`,
    `no_table` (the lead answered without one), `no_facts` (its rows are names and nothing else) or
    `no_answer` (a question was asked, and the final text has nothing in a box)."""
    table: Table | None = None
    answer_text: str
    rollout_id: str | None = None
    """The rollout in the store, when one was written."""


class RunFailed(_Fact):
    """The cluster could not do its part."""

    type: Literal["run.failed"] = "run.failed"
    error: RunError
    rollout_id: str | None = None
    """The rollout in the store, when one was written."""


class RunCancelled(_Fact):
    """Every agent of the run has stopped."""

    type: Literal["run.cancelled"] = "run.cancelled"
    requested_at: float
    stopped_at: float
    workers_stopped: int
    tokens_after_cancel: int
    table: Table | None = None


class RolloutSealed(_Fact):
    """What a run's rollout will hold is settled: the log up to here, and this end.

    Written before the object, so that whoever takes the run over writes the same object again.
    """

    type: Literal["rollout.sealed"] = "rollout.sealed"
    end: Annotated[RunCompleted | RunIncomplete | RunFailed, Field(discriminator="type")]

    def public(self) -> dict[str, Any]:
        """Only that it happened: the end follows as an event of its own."""
        return self.model_dump(mode="json", exclude={"end"}, exclude_none=True)


AgentEvent = TurnStarted | TurnCompleted | ToolCalled | ToolCompleted
"""What an agent emits while it runs."""

TerminalEvent = RunCompleted | RunIncomplete | RunFailed | RunCancelled

SubagentEnd = SubagentCompleted | SubagentFailed | SubagentCancelled

Event = Annotated[
    RunCreated
    | RunClaimed
    | AgentEvent
    | SubagentQueued
    | SubagentStarted
    | SubagentEnd
    | TableSchema
    | RowUpserted
    | RunCancelling
    | RolloutSealed
    | TerminalEvent,
    Field(discriminator="type"),
]
"""Any fact of a run."""

EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Logged(Frozen):
    """An event with its place in the log: `seq` counts from 1 without gaps."""

    seq: int
    event: Event

    def public(self) -> dict[str, Any]:
        """The event with its number, as the stream's `data`."""
        return {**self.event.public(), "sequence_number": self.seq}
