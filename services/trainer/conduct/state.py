"""`state.json`: where the job is, for whoever looks at it from outside."""

import time
from collections.abc import Callable

from services.trainer.folder import JobFolder, JobState, JobStatus, write_model

_LONGEST = 500


class StateFile:
    """Written by the conductor only; somebody who cancels may write `cancelling` into it, which stays."""

    def __init__(self, folder: JobFolder, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._state = folder.state()

    def status(self, status: JobStatus, error: str = "") -> None:
        """The job has begun, or come to an end."""
        self._write(status=status, error=one_line(error))

    def progress(self, step: int, version: int, lineage: int) -> None:
        """The last committed step and the last published version."""
        self._write(status=self._going(), step=step, policy_version=version, lineage=lineage)

    def waiting(self, what: str) -> None:
        """The job waits for something; nothing ("") once it goes on."""
        self._write(status=self._going(), error=one_line(what))

    def _going(self) -> JobStatus:
        return "cancelling" if self._folder.stop_file.exists() else "running"

    def _write(self, **changed: object) -> None:
        self._state = JobState.model_validate(self._state.model_dump() | changed | {"updated_at": self._clock()})
        write_model(self._folder.state_file, self._state)


def one_line(text: str) -> str:
    """A message as one line of bounded length."""
    return " ".join(text.split())[:_LONGEST]
