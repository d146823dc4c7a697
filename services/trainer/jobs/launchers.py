"""How a job's processes are started: one port, a local and a Kubernetes way."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from services.kit.logs import get_logger
from services.trainer.folder import JobFolder, JobRecord

_log = get_logger(__name__)

CONDUCTOR = "services.trainer.conduct.main"
"""Module that works on one job; its argument is the job's folder."""


class Launcher(Protocol):
    """Starts and ends the process of a job. Raises `UpstreamError` when it cannot."""

    async def start(self, record: JobRecord, folder: JobFolder) -> None:
        """Begin to work on the job, or go on from its last checkpoint."""
        ...

    async def stop(self, record: JobRecord, folder: JobFolder) -> None:
        """End what was started, whatever state it is in; the job can be resumed."""
        ...

    async def close(self) -> None:
        """End what cannot outlive the service."""
        ...


class LocalLauncher:
    """Jobs as processes of this machine, in sessions of their own; they end with the service."""

    def __init__(self, *, grace_s: float = 10) -> None:
        self._grace_s = grace_s
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, record: JobRecord, folder: JobFolder) -> None:
        """Start the conductor; its output goes to `logs/conductor.log`."""
        self._processes[record.job_id] = spawn_conductor(folder.path)
        _log.info("job_started", job_id=record.job_id, pid=self._processes[record.job_id].pid)

    async def stop(self, record: JobRecord, folder: JobFolder) -> None:  # noqa: ARG002  # the port's signature
        """Ask the conductor to end, and end it after the grace."""
        process = self._processes.pop(record.job_id, None)
        if process is not None:
            await asyncio.to_thread(end_process, process, self._grace_s)

    async def close(self) -> None:
        """End every job that this service started; each can be resumed."""
        processes = list(self._processes.values())
        self._processes.clear()
        await asyncio.gather(*(asyncio.to_thread(end_process, process, self._grace_s) for process in processes))


def spawn_conductor(folder: Path) -> "subprocess.Popen[bytes]":
    """The process that works on a job, in a session of its own."""
    log = folder / "logs" / "conductor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", CONDUCTOR, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def end_process(process: "subprocess.Popen[bytes]", grace_s: float) -> None:
    """SIGTERM, then SIGKILL after the grace; a learner whose conductor is gone ends by itself."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
