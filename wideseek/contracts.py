"""What crosses a process boundary as an HTTP body; twin of `proto/wideseek/v1/{run,retrieval}.proto`.

The bodies of the retrieval service stand in `wideseek.pages` and are named here too.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from wideseek.messages import Sampling
from wideseek.pages import (
    MAX_ONLY,
    MAX_QUERIES,
    MAX_URLS,
    AccessRequest,
    AccessResponse,
    AccessResult,
    CorporaResponse,
    CorpusInfo,
    Hit,
    Names,
    Page,
    Passage,
    SearchRequest,
    SearchResponse,
)
from wideseek.tables import Table
from wideseek.trajectory import Usage
from wideseek.values import Frozen

__all__ = [
    "MAX_ONLY",
    "MAX_QUERIES",
    "MAX_QUERY_CHARS",
    "MAX_URLS",
    "AccessRequest",
    "AccessResponse",
    "AccessResult",
    "Cancellation",
    "Column",
    "CorporaResponse",
    "CorpusInfo",
    "Hit",
    "Limits",
    "Mode",
    "Names",
    "Output",
    "Page",
    "Passage",
    "Problem",
    "Progress",
    "PromptProfile",
    "Run",
    "RunError",
    "RunRequest",
    "RunStatus",
    "SearchRequest",
    "SearchResponse",
    "SourcePage",
    "Sources",
    "SubagentCounts",
    "Training",
]  # fmt: skip

MAX_QUERY_CHARS = 16_000


class Output(StrEnum):
    """What a run produces."""

    TABLE = "table"
    ANSWER = "answer"


class Mode(StrEnum):
    """How a run is worked on."""

    MULTI_AGENT = "multi_agent"
    SINGLE_AGENT = "single_agent"
    SEQUENTIAL = "sequential"
    CLOSED_BOOK = "closed_book"
    ORACLE_RETRIEVAL = "oracle_retrieval"


class PromptProfile(StrEnum):
    """How much agents are told: `compact` has short prompts, results and reports, for policies trained on them."""

    FULL = "full"
    COMPACT = "compact"


class Column(Frozen):
    """A column the caller wants."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=1_000)


def _column(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Sources(Frozen):
    """Where a run may look."""

    corpora: Names = Field(default=(), max_length=16)
    """Corpora to search; empty means the default corpus."""
    urls: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(default=(), max_length=MAX_ONLY)
    """Pages that agents may open without having searched for them; in `oracle_retrieval` the only pages there are."""


class Limits(Frozen):
    """Caps a run stops at. They are outcomes, not errors."""

    max_rows: int = Field(default=500, ge=1, le=5_000)
    max_width: int = Field(default=20, ge=1, le=256)
    """Subtasks a lead may hand out in one `call_subagent`; with the compact profile 40 unless told."""
    max_turns: int = Field(default=10, ge=1, le=100)
    """Turns of the agent that answers: the lead, or in `single_agent` the one there is, which gets 50 unless told."""
    max_seconds: float = Field(default=900, gt=0, le=86_400)
    max_tokens: int = Field(default=5_000_000, ge=1)
    """Prompt and completion tokens of all agents together."""
    max_tool_calls: int = Field(default=5_000, ge=1)


class Training(Frozen):
    """Where a training run belongs; needs the admin key."""

    opt_in: bool = False
    job_id: str | None = None
    group_id: str | None = None
    index_in_group: int | None = Field(default=None, ge=0)
    attempt: int = Field(default=0, ge=0)
    task_id: str | None = None
    split: str | None = None


class RunRequest(Frozen):
    """Body of `POST /v1/widesearch`; `{"query": "…"}` is enough."""

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS)
    output: Output = Output.TABLE
    columns: tuple[Annotated[Column, BeforeValidator(_column)], ...] | None = Field(
        default=None, min_length=1, max_length=50
    )
    primary_key: Names | None = None
    sources: Sources = Sources()
    limits: Limits = Limits()
    mode: Mode = Mode.MULTI_AGENT
    model: str | None = Field(default=None, min_length=1, max_length=200)
    subagent_model: str | None = Field(default=None, min_length=1, max_length=200)
    """The subagents' model where it is not the lead's."""
    prompt_profile: PromptProfile | None = None
    """How agents are prompted; None leaves it to the deployment, which has one for the policy that it serves."""
    sampling: Sampling = Sampling()
    metadata: dict[str, str] = Field(default_factory=dict, max_length=32)
    training: Training = Training()
    wait: float = Field(default=0, ge=0, le=600)
    """Seconds to hold the response open for the run to end."""
    stream: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "RunRequest":
        if not self.query.strip():
            raise ValueError("query: must contain more than white space")
        names = [column.name for column in self.columns or ()]
        folded = [" ".join(name.split()).casefold() for name in names]
        if len(set(folded)) != len(folded):
            raise ValueError("columns: names must differ (spelling case and spaces aside)")
        unknown = [key for key in self.primary_key or () if names and key not in names]
        if unknown:
            raise ValueError(f"primary_key: {', '.join(unknown)} not among the columns {', '.join(names)}")
        return self


def profile_of(request: RunRequest) -> PromptProfile:
    """The profile that a run was taken in with; a request that was never resolved has the full one."""
    return request.prompt_profile or PromptProfile.FULL


class RunStatus(StrEnum):
    """Where a run is; the last four are terminal."""

    QUEUED = "queued"
    RUNNING = "in_progress"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will happen."""
        return self in {RunStatus.COMPLETED, RunStatus.INCOMPLETE, RunStatus.FAILED, RunStatus.CANCELLED}


class SubagentCounts(Frozen):
    """How many subagents are where."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0


class Progress(Frozen):
    """How far a run has come."""

    turn: int = 0
    """The lead's turns so far."""
    rows: int = 0
    cells_filled: int = 0
    cells_total: int = 0
    pages_read: int = 0
    subagents: SubagentCounts = SubagentCounts()


class RunError(Frozen):
    """Why a run failed."""

    code: str
    message: str
    service: str | None = None
    """The service that was down, when one was."""


class Cancellation(Frozen):
    """The proof of a cancel."""

    requested_at: float
    stopped_at: float | None = None
    workers_stopped: int = 0
    tokens_after_cancel: int = 0


class SourcePage(Frozen):
    """A page that an agent of the run read."""

    url: str
    title: str = ""
    content_sha256: str


class Run(Frozen):
    """What `GET /v1/widesearch/{id}` returns."""

    id: str
    object: str = "widesearch"
    status: RunStatus
    query: str
    output: Output = Output.TABLE
    mode: Mode
    model: str
    subagent_model: str | None = None
    """The subagents' model where the caller named one; else they use `model`."""
    created_at: float
    started_at: float | None = None
    completed_at: float | None = None
    progress: Progress = Progress()
    usage: dict[str, Usage] = Field(default_factory=dict)
    """Usage by agent role, and `total`."""
    limits: Limits = Limits()
    metadata: dict[str, str] = Field(default_factory=dict)
    table: Table | None = None
    """The table: the lead's when it has answered, else the rows that subagents reported so far."""
    answer_text: str | None = None
    """The lead's final text, verbatim."""
    answer: str | None = None
    """With `output: answer`, what the final text has in its box."""
    sources: tuple[SourcePage, ...] = ()
    incomplete_reason: str | None = None
    error: RunError | None = None
    cancellation: Cancellation | None = None
    rollout_id: str | None = None
    last_event_seq: int = 0
    links: dict[str, str] = Field(default_factory=dict)


class Problem(Frozen):
    """RFC 9457 problem+json."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    code: str
    retryable: bool = False
    errors: tuple[dict[str, str], ...] = ()
    """One entry a bad field: `pointer` (JSON pointer) and `detail`."""
    request_id: str | None = None
