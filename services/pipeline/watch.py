"""How far a stage is: a bar on a terminal, a line at its end elsewhere, and a line a stage in `log.jsonl`."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from wideseek.errors import UpstreamError

LOG = "log.jsonl"


class Step:
    """A part of the work under way."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task
        self.facts: dict[str, Any] = {}
        """What is said of it at its end."""

    def at(self, done: int) -> None:
        """So much is done."""
        self._bar.update(self._task, completed=done)


@dataclass(frozen=True)
class Watch:
    """Where progress is shown and logged."""

    folder: Path
    console: Console

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Step]:
        """A part of the work; what it took is said and logged when it ends without an error.

        An outage is logged, and carries the name of the part as its note.
        """
        began = time.monotonic()
        shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*shown, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            step = Step(bar, bar.add_task(name, total=total))
            self.log(name, "began")
            try:
                yield step
            except UpstreamError as outage:
                self.log(name, "stopped", why=f"{outage.service}: {outage}")
                outage.add_note(name)
                raise
        seconds = round(time.monotonic() - began, 3)
        self.log(name, "ended", seconds=seconds, **step.facts)
        said = ", ".join(f"{what.replace('_', ' ')} {_shown(value)}" for what, value in step.facts.items())
        self.console.print(f"{name}: {said} ({seconds:.1f} s)", markup=False, soft_wrap=True)

    def log(self, name: str, event: str, **facts: Any) -> None:
        """Add a line to the log."""
        line = {"at": round(time.time(), 3), "step": name, "event": event, **facts}
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
