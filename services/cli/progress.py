"""A run as it is watched: its public events folded into what a person wants to see of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from services.cli.console import duration

_SHOWN_SUBTASKS = 5
_ENDED = {"completed", "failed", "cancelled"}


@dataclass
class Subtask:
    """One subagent's work."""

    prompt: str
    place: str = "queued"
    """`queued`, `running`, `completed`, `failed` or `cancelled`."""
    doing: str = ""
    """The tool it used last."""


@dataclass
class RunView:
    """What the events so far add up to. Events of types it does not know are passed over."""

    status: str = "queued"
    turn: int = 0
    """Turns the lead, or the single agent, has begun."""
    seq: int = 0
    """Number of the last event seen; a broken stream is resumed after it."""
    subtasks: dict[str, Subtask] = field(default_factory=dict)
    pages: set[str] = field(default_factory=set)
    columns: tuple[str, ...] = ()
    rows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tokens: int = 0
    began: float = field(default_factory=time.monotonic)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take in one event, as the stream's `data` has it."""
        seq = event.get("sequence_number")
        if isinstance(seq, int):
            if seq <= self.seq:
                return
            self.seq = seq
        kind = str(event.get("type", ""))
        family, _, what = kind.partition(".")
        if family == "run":
            self._run(what)
        elif family == "subagent":
            self._subagent(what, event)
        elif family in {"turn", "tool"}:
            self._work(kind, event)
        elif kind == "table.schema":
            self.columns = tuple(event["columns"])
        elif kind == "row.upserted":
            self.rows[event["key"]] = tuple(event["cells"])

    def _run(self, what: str) -> None:
        self.status = {"created": "queued", "claimed": "working"}.get(what, what)

    def _subagent(self, what: str, event: Mapping[str, Any]) -> None:
        subtask = self.subtasks.setdefault(event["subtask_id"], Subtask(prompt=str(event.get("prompt", ""))))
        place = {"started": "running"}.get(what, what)
        # A subtask that ran twice stays done.
        subtask.place = subtask.place if subtask.place == "completed" else place

    def _work(self, kind: str, event: Mapping[str, Any]) -> None:
        subagent = event.get("role") == "subagent"
        if kind == "turn.started" and not subagent:
            self.turn = max(self.turn, int(event["turn"]))
        elif kind == "turn.completed":
            completion = event.get("completion", {})
            self.tokens += int(completion.get("prompt_tokens", 0)) + int(completion.get("completion_tokens", 0))
        elif kind == "tool.called" and event.get("agent_id") in self.subtasks:
            self.subtasks[event["agent_id"]].doing = str(event.get("call", {}).get("name", ""))
        elif kind == "tool.completed":
            result = event.get("result", {})
            if (result.get("call") or {}).get("name") == "access":
                self.pages.update(source["url"] for source in result.get("sources", ()))

    def count(self, *places: str) -> int:
        """Subtasks in these places."""
        return sum(1 for subtask in self.subtasks.values() if subtask.place in places)

    @property
    def cells(self) -> tuple[int, int]:
        """Cells filled, and cells in all, of the rows reported so far."""
        filled = sum(1 for row in self.rows.values() for cell in row if cell)
        return filled, len(self.rows) * len(self.columns)

    @property
    def elapsed(self) -> float:
        """Seconds since the run was first watched."""
        return time.monotonic() - self.began

    def line(self) -> str:
        """The state in one line, for where nothing can be redrawn."""
        filled, total = self.cells
        parts = [self.status, f"turn {self.turn}"]
        if self.subtasks:
            parts.append(
                f"subagents {self.count('queued')} queued, {self.count('running')} running, "
                f"{self.count(*_ENDED)} of {len(self.subtasks)} done"
            )
        parts += [f"{len(self.pages)} pages read", f"{filled} of {total} cells filled"]
        return f"{duration(self.elapsed)}: {', '.join(parts)}"


class LiveView:
    """A run's view as a display that redraws itself."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._spinner = Spinner("dots")

    def __rich__(self) -> RenderableType:
        """A line on the whole, bars for subagents and cells, and some of the work under way."""
        view = self._view
        head = Text(f"{view.status}, lead turn {view.turn}, {len(view.pages)} pages read, {duration(view.elapsed)}")
        self._spinner.update(text=head)
        bars = Table.grid(padding=(0, 2))
        if view.subtasks:
            done, queued = view.count(*_ENDED), view.count("queued")
            said = f"{done} of {len(view.subtasks)} done, {view.count('running')} running, {queued} queued"
            bars.add_row("  subagents", ProgressBar(len(view.subtasks), done, width=24), said)
        filled, total = view.cells
        if total:
            said = f"{filled} of {total} filled, {len(view.rows)} rows"
            bars.add_row("  cells", ProgressBar(total, filled, width=24), said)
        return Group(self._spinner, bars, *self._work())

    def _work(self) -> list[Text]:
        running = [subtask for subtask in self._view.subtasks.values() if subtask.place == "running"]
        lines = [self._line(subtask) for subtask in running[:_SHOWN_SUBTASKS]]
        more = len(running) - len(lines)
        return [*lines, *([Text(f"    and {more} more", "dim")] if more > 0 else [])]

    @staticmethod
    def _line(subtask: Subtask) -> Text:
        doing = f"{subtask.doing}: " if subtask.doing else ""
        return Text(f"    {doing}{' '.join(subtask.prompt.split())}", "dim", overflow="ellipsis", no_wrap=True)
