"""All jobs of a home: made, found, listed; one at a time works on a policy.

A job is its folder (`services.trainer.folder`); nothing of it is kept anywhere else, so the service that
started it may be restarted, and `wideseek train` works without one.
"""

import fcntl
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.trainer.config import JobConfig
from services.trainer.folder import ENDED, JobFolder, JobRecord, JobState, write_model
from wideseek.errors import Conflict, JobNotFound

_JOB_ID = re.compile(r"tj_[0-9]{14}_[0-9a-f]{6}")


def new_job_id() -> str:
    """`tj_`, the second in UTC, and six random digits, so that ids sort by time."""
    return f"tj_{time.strftime('%Y%m%d%H%M%S', time.gmtime())}_{secrets.token_hex(3)}"


class JobBook:
    """The jobs below one folder."""

    def __init__(self, folder: Path, rollouts_root: str) -> None:
        self._folder = folder
        self._rollouts_root = rollouts_root

    def folder(self, job_id: str) -> JobFolder:
        """A job's folder. Raises `JobNotFound`."""
        found = JobFolder(self._folder / job_id)
        if not _JOB_ID.fullmatch(job_id) or not found.record_file.exists():
            raise JobNotFound(f"no training job {job_id}")
        return found

    def all(self) -> list[JobFolder]:
        """Every job, the newest first."""
        names = (entry.name for entry in self._folder.iterdir()) if self._folder.is_dir() else ()
        folders = (JobFolder(self._folder / name) for name in sorted(names, reverse=True) if _JOB_ID.fullmatch(name))
        return [folder for folder in folders if folder.record_file.exists()]

    def create(self, config: JobConfig) -> JobFolder:
        """A new job, queued. Raises `Conflict` when another is at work on the same policy."""
        with self._locked():
            self._refuse_second(config.policy, besides="")
            record = JobRecord(
                job_id=new_job_id(), created_at=time.time(), config=config, rollouts_root=self._rollouts_root
            )
            folder = JobFolder(self._folder / record.job_id)
            write_model(folder.state_file, JobState(updated_at=record.created_at))
            write_model(folder.record_file, record)
        return folder

    def reopen(self, job_id: str) -> JobFolder:
        """A job that is to go on from its last checkpoint. Raises `JobNotFound` or `Conflict`."""
        folder = self.folder(job_id)
        with self._locked():
            state = folder.state()
            if state.status == "completed":
                raise Conflict(f"{job_id} has done all its steps; start a new job from its policy")
            if is_active(folder):
                raise Conflict(f"{job_id} is at work already")
            self._refuse_second(folder.record().config.policy, besides=job_id)
            folder.stop_file.unlink(missing_ok=True)
            reopened = state.model_copy(update={"status": "queued", "error": "", "updated_at": time.time()})
            write_model(folder.state_file, reopened)
        return folder

    def _refuse_second(self, policy: str, *, besides: str) -> None:
        for folder in self.all():
            record = folder.record()
            if record.config.policy == policy and record.job_id != besides and is_active(folder):
                raise Conflict(
                    f"{record.job_id} is training {policy!r}; wait for it, cancel it, or name another policy"
                )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


START_S = 120.0
"""Seconds a queued job has to begin; after that nobody is taken to be starting it."""


def is_active(folder: JobFolder) -> bool:
    """Whether somebody works on the job, or has just been told to.

    A job whose conductor was killed is not active, whatever its state says: the lock died with the process.
    """
    if folder.conducted():
        return True
    state = folder.state()
    return state.status == "queued" and time.time() - state.updated_at < START_S


def shown_status(folder: JobFolder) -> str:
    """The job's status; `interrupted` when it should be at work and nobody is."""
    status = folder.state().status
    return status if status in ENDED or is_active(folder) else "interrupted"
