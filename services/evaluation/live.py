"""An evaluation as it is watched: a display that redraws itself on a terminal, a line every so often elsewhere."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.evaluation.results import Trial
from services.evaluation.summary import headline

_LINE_S = 5.0
"""Where nothing can be redrawn, progress is said this often."""


def duration(seconds: float) -> str:
    """Seconds in words: `12 s`, `3 min 05 s`, `2 h 07 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@dataclass
class Board:
    """Where an evaluation is."""

    total: int
    """Trials to be had in all."""
    name: str = ""
    """The setting, in a sweep."""
    kept: int = 0
    """Trials that an earlier call had finished."""
    done: int = 0
    running: int = 0
    failed: int = 0
    """Trials left unfinished."""
    tokens: int = 0
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Group -> item F1 (of a question, token F1) of each trial so far."""
    measures: set[str] = field(default_factory=set)
    """What those numbers are."""
    began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """A trial is being run."""
        self.running += 1

    def leave(self) -> None:
        """A trial has been given up, or stopped."""
        self.running -= 1
        self.failed += 1

    def end(self, trial: Trial) -> None:
        """A trial has ended."""
        self.running -= 1
        self.done += 1
        self.count(trial)

    def keep(self, trials: Iterable[Trial]) -> None:
        """Trials that were there before."""
        for trial in trials:
            self.kept += 1
            self.count(trial)

    def count(self, trial: Trial) -> None:
        """Take a trial's number into the means."""
        self.measures.add("item F1" if trial.answer is None else "answer F1")
        self.values[trial.group or trial.suite or "all"].append(headline(trial))
        self.tokens += trial.cost.tokens

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at the pace so far; None while there is no pace."""
        rest = self.total - self.kept - self.done - self.failed
        return (time.monotonic() - self.began) / self.done * rest if self.done else None

    def score(self) -> str:
        """The running mean, by group where there are several: `item F1 0.912 (n=5: filter 0.800, named 1.000)`."""
        every = [value for some in self.values.values() for value in some]
        if not every:
            return "no score yet"
        parts = [f"{name} {_mean(some):.3f}" for name, some in sorted(self.values.items())]
        groups = f": {', '.join(parts)}" if len(parts) > 1 else ""
        measure = " and ".join(sorted(self.measures))
        return f"{measure} {_mean(every):.3f} (n={len(every)}{groups})"

    def state(self) -> str:
        """What has been done and what has not."""
        parts = [f"{self.kept + self.done} of {self.total} done", f"{self.running} running"]
        if self.failed:
            parts.append(f"{self.failed} unfinished")
        return ", ".join(parts)

    def line(self) -> str:
        """All of it in one line."""
        left = "" if self.left_s is None else f", about {duration(self.left_s)} left"
        name = f"{self.name}: " if self.name else ""
        elapsed = duration(time.monotonic() - self.began)
        return f"{name}{elapsed}: {self.state()}, {self.score()}, {self.tokens:,} tokens{left}"

    def __rich__(self) -> RenderableType:
        """A bar, the running scores, tokens and time."""
        head = Table.grid(padding=(0, 2))
        head.add_row(self.name, ProgressBar(max(1, self.total), self.kept + self.done, width=32), self.state())
        left = "" if self.left_s is None else f", about {duration(self.left_s)} left"
        spent = f"{self.tokens:,} tokens, {duration(time.monotonic() - self.began)}{left}"
        return Group(head, Text(f"  {self.score()}"), Text(f"  {spent}", "dim"))


@asynccontextmanager
async def shown(board: Board, console: Console) -> AsyncIterator[None]:
    """Show the board for as long as the block runs."""
    if console.is_terminal:
        with Live(board, console=console, refresh_per_second=4):
            yield
        return
    ticker = asyncio.ensure_future(_lines(board, console))
    try:
        yield
    finally:
        ticker.cancel()
        await asyncio.wait({ticker})
    console.print(board.line(), soft_wrap=True, markup=False)


async def _lines(board: Board, console: Console) -> None:
    while True:
        await asyncio.sleep(_LINE_S)
        console.print(board.line(), soft_wrap=True, markup=False)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
