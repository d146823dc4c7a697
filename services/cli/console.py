"""Where the commands write: results to standard output, everything else to standard error."""

import sys
import unicodedata
from typing import IO

from rich.console import Console


class CommandError(Exception):
    """A command cannot go on; the message is the one line a person gets to read."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def notes(stream: IO[str] | None = None) -> Console:
    """A console for progress and remarks, on standard error so that results can be piped."""
    return Console(file=stream or sys.stderr, highlight=False, soft_wrap=False)


def results(stream: IO[str] | None = None) -> Console:
    """A console for results, on standard output."""
    return Console(file=stream or sys.stdout, highlight=False)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `0.4 s`, `12 s`, `3 min 05 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def harmless(text: str) -> str:
    """Text of a model or a page without control characters, which a terminal would obey."""
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf"})
