"""`python -m services.trainer.conduct.main <job folder>`: works on one job until it has ended.

| exit code | what it says |
| --- | --- |
| 0 | the job has done all its steps, or was cancelled by its `stop` file |
| 1 | it failed; `state.json` says why, and starting it again goes on from the last checkpoint |
| 2 | it cannot be worked on as it is: bad settings, no such job, another conductor at work, a wrong configuration |
| 143 | the process was told to end (SIGTERM, Ctrl-C); starting it again goes on from the last checkpoint |
"""

import argparse
import asyncio
import fcntl
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from services.kit.logs import configure_logs, get_logger
from services.trainer.conduct.compose import opened
from services.trainer.conduct.loop import Conductor, beside
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.state import StateFile
from services.trainer.conduct.stop import Stopped, StopSign
from services.trainer.folder import JobFolder, JobRecord
from services.trainer.ledger.lineage import restart_from
from services.trainer.metrics.show import keep_shown, show
from services.trainer.settings import TrainerSettings
from wideseek.errors import Conflict, InvalidRequest, WideseekError

DONE, FAILED, REFUSED, TERMINATED = 0, 1, 2, 143
log = get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Work on the job whose folder is named; the exit code."""
    options = _options(arguments)
    try:
        settings = TrainerSettings()
        folder = JobFolder(options.folder.absolute())
        record = _record(folder)
    except (ValidationError, InvalidRequest) as error:
        sys.stderr.write(f"{_message(error)}\n")
        return REFUSED
    configure_logs("conductor", settings.log_level)
    try:
        with locked(folder):
            if options.from_step is not None:
                lineage = restart_from(folder, options.from_step, at=time.time())
                log.info("job_restarted", job_id=record.job_id, from_step=options.from_step, lineage=lineage)
            try:
                return asyncio.run(conduct(settings, folder, record, external=options.learner == "external"))
            finally:
                show(folder)
    except Conflict as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED


async def conduct(settings: TrainerSettings, folder: JobFolder, record: JobRecord, *, external: bool = False) -> int:
    """Work on a job whose lock is held; the exit code. `external`: something else starts the learner."""
    state = StateFile(folder)
    stop = StopSign(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.signal)
    patience = Patience(stop=stop, say=state.waiting)
    state.status("running")
    log.info("job_taken_up", job_id=record.job_id, committed=max(folder.committed(), default=0))
    try:
        stop.check()
        async with (
            beside(keep_shown(folder)),
            opened(settings, folder, record, stop, patience, external=external) as parts,
        ):
            await Conductor(folder, record, parts, state).run()
    except Stopped:
        state.status("cancelled")
        log.info("job_cancelled", signalled=stop.signalled)
        return TERMINATED if stop.signalled else DONE
    except WideseekError as error:
        state.status("failed", str(error))
        log.exception("job_failed", error=f"{type(error).__name__}: {error}")
        return REFUSED if isinstance(error, InvalidRequest) and not isinstance(error, Conflict) else FAILED
    except Exception as error:
        state.status("failed", f"{type(error).__name__}: {error}")
        raise
    state.status("completed")
    log.info("job_completed")
    return DONE


@contextmanager
def locked(folder: JobFolder) -> Iterator[None]:
    """Hold the job's lock. Raises `Conflict` when another conductor does."""
    with folder.lock_file.open("ab") as file:
        # A look whether the job is being conducted takes the lock, too, for a moment.
        for _ in range(50):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.02)
        else:
            raise Conflict(f"{folder.path}: another conductor works on this job")
        yield


def _record(folder: JobFolder) -> JobRecord:
    try:
        return folder.record()
    except FileNotFoundError as error:
        raise InvalidRequest(f"{folder.path} holds no job.json; name the folder of a job") from error


def _message(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.trainer.conduct.main", description="Work on a job.")
    parser.add_argument("folder", type=Path, help="folder of the job, with its job.json")
    parser.add_argument(
        "--from-step", type=int, metavar="K", help="go back to the checkpoint of step K and begin a new lineage there"
    )
    parser.add_argument(
        "--learner", choices=("child", "external"), default="child", help="external: a TrainJob runs the learner"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
