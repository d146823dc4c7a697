"""What `up` started, kept in `<home>/cluster.json`, so that `down` ends exactly that.

A process is recorded by id and start time: an id that the system has given to another process since
does not match and is left alone.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil
from pydantic import Field, ValidationError

from services.cli.console import CommandError
from services.cli.plan import Plan
from wideseek.values import Frozen

_SAME_START_S = 0.02
"""psutil reads start times in clock ticks (10 ms)."""


class Recorded(Frozen):
    """A process that was started by us."""

    pid: int
    started_at: float
    """Start time the system gives for the process, Unix seconds."""

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process as it runs now, or None when it has ended."""
        try:
            return cls(pid=pid, started_at=psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def process(self) -> psutil.Process | None:
        """The process, or None when it has ended or its id belongs to another by now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) <= _SAME_START_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class Failure(Frozen):
    """The service whose end brought the cluster down."""

    service: str
    returncode: int

    def __str__(self) -> str:
        ended = f"exit code {self.returncode}" if self.returncode >= 0 else f"signal {-self.returncode}"
        return f"{self.service} died ({ended})"


class ClusterState(Frozen):
    """A cluster that was started."""

    plan: Plan
    supervisor: Recorded | None = None
    children: dict[str, Recorded] = Field(default_factory=dict)
    failure: Failure | None = None

    def supervised(self) -> bool:
        """Whether the supervisor runs."""
        return self.supervisor is not None and self.supervisor.process() is not None

    def alive(self) -> dict[str, psutil.Process]:
        """The recorded services that still run, by name."""
        found = {name: child.process() for name, child in self.children.items()}
        return {name: process for name, process in found.items() if process is not None}


def state_file(home: Path) -> Path:
    """Where the state of the cluster of this home is kept."""
    return home / "cluster.json"


def read_state(home: Path) -> ClusterState | None:
    """The cluster that was started last and not ended by `down`, or None."""
    try:
        text = state_file(home).read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        return ClusterState.model_validate_json(text)
    except ValidationError as error:
        raise CommandError(
            f"{state_file(home)} cannot be read (another version wrote it?): "
            "end the processes it names, then remove the file"
        ) from error


def write_state(state: ClusterState) -> None:
    """Replace the state file in one step."""
    path = state_file(state.plan.home)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(state.model_dump_json(indent=1), "utf-8")
    draft.replace(path)


def forget_state(home: Path) -> None:
    """Remove the state file."""
    state_file(home).unlink(missing_ok=True)


@contextmanager
def starting(home: Path) -> Iterator[None]:
    """Hold the home while a cluster is being started. Raises CommandError when another `up` does."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "cluster.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"another `wideseek up` or `down` is at work on {home}") from error
        yield
