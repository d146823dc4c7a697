"""One run, folded from its events: pure, and fed one event at a time."""

from collections.abc import Iterable

from wideseek.contracts import (
    Cancellation,
    Output,
    Progress,
    Run,
    RunError,
    RunStatus,
    SourcePage,
    SubagentCounts,
)
from wideseek.events import (
    Event,
    Logged,
    RowUpserted,
    RunCancelled,
    RunCancelling,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunIncomplete,
    SubagentCancelled,
    SubagentCompleted,
    SubagentFailed,
    SubagentQueued,
    SubagentStarted,
    TableSchema,
    TerminalEvent,
    ToolCompleted,
    TurnCompleted,
    TurnStarted,
)
from wideseek.questions import boxed
from wideseek.tables import Table, aligned, fold
from wideseek.trajectory import Role, Usage

_STATUS: dict[type[Event], RunStatus] = {
    RunCompleted: RunStatus.COMPLETED,
    RunIncomplete: RunStatus.INCOMPLETE,
    RunFailed: RunStatus.FAILED,
    RunCancelled: RunStatus.CANCELLED,
}
_PLACE: dict[type[Event], str] = {
    SubagentQueued: "queued",
    SubagentStarted: "running",
    SubagentCompleted: "completed",
    SubagentFailed: "failed",
    SubagentCancelled: "cancelled",
}


class RunFold:
    """What the events so far add up to. Events must come in the order of the log; repeats are passed over."""

    def __init__(self, created: RunCreated) -> None:
        self._created = created
        self._turns: set[int] = set()
        self._subtasks: dict[str, str] = {}
        self._usage: dict[str, Usage] = {}
        self._sources: dict[tuple[str, str], SourcePage] = {}
        self._columns = tuple(column.name for column in created.request.columns or ())
        self._rows: dict[str, tuple[str, ...]] = {}
        self._answered: Table | None = None
        self._started_at: float | None = None
        self._completed_at: float | None = None
        self._answer_text: str | None = None
        self._incomplete_reason: str | None = None
        self._cancellation: Cancellation | None = None
        self._rollout_id: str | None = None
        self.error: RunError | None = None
        """Why the run failed."""
        self.status = RunStatus.QUEUED
        self.last_seq = 0
        """Number of the last event folded in."""
        self.terminal_seq: int | None = None
        """Number of the event that ended the run."""

    def add_all(self, batch: Iterable[Logged]) -> None:
        """Fold in those events of `batch` that come next."""
        for logged in batch:
            if logged.seq == self.last_seq + 1:
                self._add(logged.event)
                self.last_seq = logged.seq
                if self.status.terminal and self.terminal_seq is None:
                    self.terminal_seq = logged.seq

    def _add(self, event: Event) -> None:
        if isinstance(event, TurnStarted | TurnCompleted | ToolCompleted):
            self._add_work(event)
        elif isinstance(event, TableSchema | RowUpserted):
            self._add_rows(event)
        elif isinstance(event, RunCompleted | RunIncomplete | RunFailed | RunCancelled):
            self._add_end(event)
        elif type(event) in _PLACE:
            self._move(event)
        elif isinstance(event, RunClaimed):
            self._started_at = self._started_at or event.at
            if self.status is RunStatus.QUEUED:
                self.status = RunStatus.RUNNING
        elif isinstance(event, RunCancelling) and not self.status.terminal:
            self.status = RunStatus.CANCELLING
            self._cancellation = Cancellation(requested_at=event.at)

    def _add_work(self, event: TurnStarted | TurnCompleted | ToolCompleted) -> None:
        if event.role is not Role.SUBAGENT:
            self._turns.add(event.turn)
        if isinstance(event, TurnCompleted):
            done = event.completion
            spent = Usage(prompt_tokens=done.prompt_tokens, completion_tokens=done.completion_tokens, model_calls=1)
            self._spend(event.role, spent)
        elif isinstance(event, ToolCompleted):
            self._spend(event.role, Usage(tool_calls=1))
            if event.result.call is not None and event.result.call.name == "access":
                for source in event.result.sources:
                    page = SourcePage(url=source.url, title=source.title, content_sha256=source.content_sha256)
                    self._sources.setdefault((page.url, page.content_sha256), page)

    def _spend(self, role: Role, spent: Usage) -> None:
        for name in (role.value, "total"):
            self._usage[name] = self._usage.get(name, Usage()) + spent

    def _move(self, event: Event) -> None:
        """A subtask counts once, whatever its attempts; one that has completed stays so."""
        subtask_id = getattr(event, "subtask_id", "")
        if self._subtasks.get(subtask_id) != "completed":
            self._subtasks[subtask_id] = _PLACE[type(event)]

    def _add_rows(self, event: TableSchema | RowUpserted) -> None:
        if isinstance(event, RowUpserted):
            width = len(self._columns)
            if width:
                self._rows[fold(event.key)] = (*event.cells[:width], *[""] * (width - len(event.cells)))
        elif event.columns != self._columns:
            before = Table(columns=self._columns, rows=tuple(self._rows.values()))
            self._rows = dict(zip(self._rows, aligned(before, event.columns).rows, strict=True))
            self._columns = event.columns

    def _add_end(self, event: TerminalEvent) -> None:
        if self.status.terminal:
            return
        self.status = _STATUS[type(event)]
        self._completed_at = event.at
        if isinstance(event, RunFailed):
            self.error = event.error
        else:
            self._answered = event.table
        if isinstance(event, RunCompleted | RunIncomplete):
            self._answer_text = event.answer_text
        if not isinstance(event, RunCancelled):
            self._rollout_id = event.rollout_id
        if isinstance(event, RunIncomplete):
            self._incomplete_reason = event.reason
        if isinstance(event, RunCancelled):
            proof = event.model_dump(include={"requested_at", "stopped_at", "workers_stopped", "tokens_after_cancel"})
            self._cancellation = Cancellation(**proof)

    @property
    def claimed(self) -> bool:
        """Whether a replica has begun to work on the run."""
        return self._started_at is not None

    @property
    def answers_question(self) -> bool:
        """Whether the run's outcome is an answer, not a table."""
        return self._created.request.output is Output.ANSWER

    def table(self) -> Table | None:
        """The lead's table, or the rows reported so far; None when there are neither."""
        if self._answered is not None or self.status is RunStatus.COMPLETED:
            return self._answered
        return Table(columns=self._columns, rows=tuple(self._rows.values())) if self._rows else None

    def run(self) -> Run:
        """The run object."""
        created, path = self._created, f"/v1/widesearch/{self._created.run_id}"
        links = {"self": path, **{name: f"{path}/{name}" for name in ("events", "table", "cancel")}}
        return Run(
            id=created.run_id,
            status=self.status,
            query=created.request.query,
            output=created.request.output,
            mode=created.request.mode,
            model=created.model,
            subagent_model=created.subagent_model,
            created_at=created.at,
            started_at=self._started_at,
            completed_at=self._completed_at,
            progress=self._progress(),
            usage=dict(self._usage),
            limits=created.request.limits,
            metadata=created.request.metadata,
            table=self.table(),
            answer_text=self._answer_text,
            answer=(boxed(self._answer_text or "") or None) if self.answers_question else None,
            sources=tuple(self._sources.values()),
            incomplete_reason=self._incomplete_reason,
            error=self.error,
            cancellation=self._cancellation,
            rollout_id=self._rollout_id,
            last_event_seq=self.last_seq,
            links=links,
        )

    def _progress(self) -> Progress:
        table = self.table()
        places = list(self._subtasks.values())
        return Progress(
            turn=len(self._turns),
            rows=len(table.rows) if table else 0,
            cells_filled=table.cells_filled if table else 0,
            cells_total=len(table.rows) * len(table.columns) if table else 0,
            pages_read=len(self._sources),
            subagents=SubagentCounts(**{name: places.count(name) for name in _PLACE.values()}),
        )
