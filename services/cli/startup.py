"""Watches a cluster start: which service can do its work, since when, and what the others wait for."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from services.cli.console import CommandError, duration
from services.cli.logs import last_lines
from services.cli.plan import Plan, Service
from services.cli.probes import probe
from services.cli.state import Failure, read_state

_POLL_S = 0.2
_REMARK_S = 10.0
"""Where nothing can be redrawn, what a service waits for is said this often."""


@dataclass
class Progress:
    """How far the start of one service has come."""

    service: Service
    ready_after: float | None = None
    """Seconds from the start until the service was ready."""
    detail: str = ""


@dataclass
class Startup:
    """All services of a plan that is being started."""

    plan: Plan
    began: float = field(default_factory=time.monotonic)
    services: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.services = [Progress(service) for service in self.plan.services]

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    @property
    def ready(self) -> bool:
        """Whether every service can do its work."""
        return all(progress.ready_after is not None for progress in self.services)

    def poll(self) -> None:
        """Ask every service that was not ready so far."""
        for progress in self.services:
            if progress.ready_after is None:
                answer = probe(progress.service.probe)
                said = "" if answer.ready else self._said(progress.service)
                progress.detail = " · ".join(part for part in (answer.detail if answer.checks else "", said) if part)
                if answer.ready:
                    progress.ready_after = self.elapsed

    def _said(self, service: Service) -> str:
        """The last thing a service that does not listen yet has logged."""
        return next(iter(last_lines(self.plan.log_file(service.name), 1)), "")

    def table(self, *, spinner: Spinner | None = None) -> Table:
        """One line a service: state, name, address, and after how long it was ready or what it waits for."""
        table = Table.grid(padding=(0, 2), pad_edge=True)
        for progress in self.services:
            done = progress.ready_after is not None
            mark = Text("✓", "green") if done else (spinner or Text("…"))
            said = Text(progress.detail, "dim", overflow="ellipsis", no_wrap=True)
            state = Text(f"ready after {duration(progress.ready_after)}" if progress.ready_after is not None else "")
            table.add_row(mark, progress.service.name, Text(progress.service.url, "cyan"), state if done else said)
        return table

    def __rich__(self) -> Table:
        """The table as it stands, for a live display."""
        self._spinner = getattr(self, "_spinner", None) or Spinner("dots")
        return self.table(spinner=self._spinner)


def wait_ready(startup: Startup, supervisor: "subprocess.Popen[bytes]", console: Console, *, timeout_s: float) -> None:
    """Return when all services are ready. Raises CommandError when one dies or the time is up."""
    with _shown(startup, console) as told:
        while not startup.ready:
            if supervisor.poll() is not None:
                raise CommandError(describe_failure(startup.plan))
            if startup.elapsed > timeout_s:
                waiting = [progress for progress in startup.services if progress.ready_after is None]
                names = ", ".join(f"{item.service.name} ({item.detail or 'says nothing'})" for item in waiting)
                raise CommandError(f"not ready after {duration(timeout_s)}: {names}")
            startup.poll()
            told.update(startup)
            time.sleep(_POLL_S)


class _Remarks:
    """Says in lines what cannot be redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ready: set[str] = set()
        self._said: dict[str, tuple[float, str]] = {}

    def update(self, startup: Startup) -> None:
        for progress in startup.services:
            name, after = progress.service.name, progress.ready_after
            if after is not None and name not in self._ready:
                self._ready.add(name)
                line = f"[green]✓[/] {name} ready after {duration(after)} at {progress.service.url}"
                self._console.print(line, soft_wrap=True)
            elif after is None and self._due(progress, startup.elapsed):
                self._said[name] = (startup.elapsed, progress.detail)
                line = f"… {name} after {duration(startup.elapsed)}: {progress.detail or 'starting'}"
                self._console.print(Text(line), overflow="ellipsis", no_wrap=True)

    def _due(self, progress: Progress, elapsed: float) -> bool:
        """Every so often, and seldom where there is nothing new to say."""
        when, what = self._said.get(progress.service.name, (0.0, ""))
        return elapsed - when >= (_REMARK_S if what != progress.detail else 6 * _REMARK_S)


class _Redrawn:
    """The table of a live display redraws itself."""

    def update(self, startup: Startup) -> None:
        """Nothing to do: the display asks the table for its state."""


@contextmanager
def _shown(startup: Startup, console: Console) -> Iterator[_Remarks | _Redrawn]:
    if not console.is_terminal:
        yield _Remarks(console)
        return
    with Live(startup, console=console, refresh_per_second=8, transient=True):
        yield _Redrawn()


def describe_failure(plan: Plan) -> str:
    """Which service died, with the last lines of its log."""
    state = read_state(plan.home)
    failure: Failure | None = state.failure if state else None
    if failure is None:
        lines = last_lines(plan.log_file("supervisor"))
        return "\n  ".join(["the cluster was ended while it started", *lines])
    log = plan.log_file(failure.service)
    return "\n  ".join([f"{failure}; the last lines of {log}:", *last_lines(log)])
