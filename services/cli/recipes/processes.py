"""Commands of a recipe as processes: seen on the terminal, interrupted in order, never two runs at once.

A command inherits the lock of the work folder, so that what a killed run has left behind keeps another from starting
beside it. A detached cluster does not: it is ended by `wideseek down`.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from services.cli.console import CommandError

INTERRUPTED = 130
_OURSELVES = (sys.executable, "-m", "services.cli.main")


class Interrupted(Exception):
    """Somebody asked the run to end; what was under way has ended."""


@dataclass
class Processes:
    """Runs commands one at a time."""

    env: Mapping[str, str]
    lock: int
    """File descriptor of the lock that commands inherit."""
    asked_to_end: bool = False
    _running: "subprocess.Popen[bytes] | None" = None

    def run(self, words: Sequence[str], *, env: Mapping[str, str] | None = None, lasting: bool = False) -> int:
        """Run a command to its end; its exit code. `lasting`: it leaves processes that outlive it.

        Raises `Interrupted` when the run was asked to end before this command had, CommandError when there is no such
        program.
        """
        if self.asked_to_end and not lasting:
            raise Interrupted
        inherited = () if lasting else (self.lock,)
        try:
            # A group of its own: Ctrl-C reaches us alone, and we pass it on once.
            process = subprocess.Popen(
                programme(words),
                stdin=subprocess.DEVNULL,
                env={**self.env, **(env or {})},
                pass_fds=inherited,
                process_group=0,
            )
        except OSError as error:
            raise CommandError(f"{words[0]}: {error.strerror}", exit_code=2) from error
        self._running = process
        code = process.wait()
        self._running = None
        if code and self.asked_to_end and not lasting:
            raise Interrupted
        return code

    def interrupt(self, *_: int | FrameType | None) -> None:
        """Ask what is under way to end in order; asked again, it is asked again."""
        self.asked_to_end = True
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)


def programme(words: Sequence[str]) -> list[str]:
    """The words with `wideseek` and `python` as this very interpreter runs them."""
    first, *rest = words
    return [*{"wideseek": _OURSELVES, "python": (sys.executable,)}.get(first, (first,)), *rest]


@contextmanager
def only_run(work: Path) -> Iterator[int]:
    """The lock of a work folder, for the block. Raises CommandError while another run, or a command of it, lives."""
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"{work}: another run, or a command that one has left behind, is at work") from error
        yield handle
    finally:
        os.close(handle)


@contextmanager
def interruptible(processes: Processes) -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is under way, then the run."""
    before = {number: signal.signal(number, processes.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
