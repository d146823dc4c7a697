"""The conductor's hand on the learner: starts the process, waits for steps, asks for log-probabilities.

Imports no torch. Everything goes through the job's folder (`services.trainer.folder`); whether a learner that
died is started again is the caller's decision.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import time
import uuid
from abc import ABC, abstractmethod
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeVar

from services.kit.logs import get_logger
from services.trainer.config import HardwareConfig, JobConfig
from services.trainer.folder import COMMITTED, JobFolder, LearnerReport, ScoreReply, ScoreRequest, ScoreRow, write_model
from services.trainer.learn.orders import REFUSED, Failure, ScoreFiles
from services.trainer.learn.schedule import checkpoint_due
from wideseek.errors import ContractViolation, TrainerUnavailable

MODULE = "services.trainer.learn.main"
_SHORTEST_S, _LONGEST_S = 0.01, 0.25
_TAIL = 65_536
"""Bytes of the log in which the reason of a death is looked for."""

Found = TypeVar("Found")
log = get_logger(__name__)


class LearnerRefused(TrainerUnavailable):
    """The learner ended over something that starting it again will not mend: a corrupt rollout, a wrong setting."""

    retryable = False


def learner_command(folder: JobFolder, hardware: HardwareConfig, launch: Sequence[str] = ("-m", MODULE)) -> list[str]:
    """The command line of a job's learner: plain Python for one process, torchrun for several.

    `launch` is how Python is told what to run. torchrun picks a free port itself.
    """
    arguments = [*launch, str(folder.path), "--parent", str(os.getpid())]
    if hardware.processes == 1:
        return [sys.executable, *arguments]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(hardware.processes)]
    return [sys.executable, *torchrun, *arguments]


class _Asking(ABC):
    """Steps and log-probabilities through the job's folder, whoever answers."""

    def __init__(self, folder: JobFolder, config: JobConfig) -> None:
        self._folder = folder
        self._config = config

    async def trained(self, step: int) -> LearnerReport:
        """What the learner says of a step, once it is trained (and committed, where a checkpoint is due).

        Raises `TrainerUnavailable` when the process ends before that, `LearnerRefused` when restarting is no use.
        """
        return await self._wait(lambda: self._report(step))

    async def score(self, rows: Sequence[ScoreRow], *, step: int) -> list[tuple[float, ...]]:
        """Natural-log probabilities of the rows under the weights of a step; 0 is the model the job started from.

        Raises `ContractViolation` when the learner cannot give them, `TrainerUnavailable` when it dies.
        """
        files = ScoreFiles(self._folder)
        name = uuid.uuid4().hex
        write_model(files.request(name), ScoreRequest(step=step, rows=tuple(rows)))
        try:
            answer: ScoreReply | Failure = await self._wait(lambda: files.answer(name))
        finally:
            files.remove(name)
        if isinstance(answer, Failure):
            raise ContractViolation(f"the learner cannot score step {step}: {answer.error}")
        _check(answer, rows, step)
        return list(answer.logprobs)

    @abstractmethod
    def _gone(self) -> TrainerUnavailable | None:
        """Why nobody will answer any more; None as long as somebody may."""

    async def _wait(self, look: Callable[[], Found | None]) -> Found:
        pause = _SHORTEST_S
        while True:
            # Asked before the files are looked at: what a dying process had still written is found.
            gone = self._gone()
            found = look()
            if found is not None:
                return found
            if gone is not None:
                raise gone
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_S)

    def _report(self, step: int) -> LearnerReport | None:
        try:
            manifest = self._folder.manifest_file(step).read_bytes()
            report = LearnerReport.model_validate_json(self._folder.learner_file(step).read_bytes())
        except FileNotFoundError:
            return None
        if report.manifest_sha256 != hashlib.sha256(manifest).hexdigest():
            # Left over from a lineage that was given up; this step's own will replace it.
            return None
        marker = self._folder.checkpoint(step) / COMMITTED
        return report if marker.exists() or not checkpoint_due(self._config, step) else None


class Learner(_Asking):
    """The learner of one job, running while the context is open.

    The child is the leader of a process group of its own, writes to `logs/learner.log`, and ends by itself once this
    process is gone.
    """

    def __init__(
        self, folder: JobFolder, config: JobConfig, *, launch: Sequence[str] = ("-m", MODULE), grace_s: float = 10
    ) -> None:
        super().__init__(folder, config)
        self._launch = launch
        self._grace_s = grace_s
        self._log_start = 0
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        ScoreFiles(self._folder).clear()
        self._folder.logs.mkdir(parents=True, exist_ok=True)
        command = learner_command(self._folder, self._config.hardware, self._launch)
        descriptor = os.open(self._log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            self._log_start = os.fstat(descriptor).st_size
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=os.environ | _threads(self._config.hardware),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        log.info("learner_started", pid=self._process.pid, processes=self._config.hardware.processes)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        _signal_group(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._grace_s)
        except TimeoutError:
            log.warning("learner_killed", pid=process.pid, waited_s=self._grace_s)
        finally:
            # Whatever is left of the group; a group without members cannot be signalled.
            _signal_group(process.pid, signal.SIGKILL)
            await process.wait()

    @property
    def pid(self) -> int:
        """Process id of the child, which leads its group. Raises `TrainerUnavailable` when none was started."""
        return self._running().pid

    @property
    def _log_file(self) -> Path:
        return self._folder.logs / "learner.log"

    def _running(self) -> Process:
        if self._process is None:
            raise TrainerUnavailable("the learner is not running")
        return self._process

    def _gone(self) -> TrainerUnavailable | None:
        code = self._running().returncode
        if code is None:
            return None
        with self._log_file.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, end - _TAIL))
            reason, refused = last_words(file.read().decode(errors="replace"))
        kind = LearnerRefused if refused or code == REFUSED else TrainerUnavailable
        if code == -signal.SIGKILL:
            reason = (
                "killed; if memory was short, lower batching.tokens or set batching.activation_checkpointing. "
                f"Last said: {reason}"
            )
        return kind(f"the learner ended with code {code}: {reason}")


class ExternalLearner(_Asking):
    """A learner that something else has started on the same folder: a TrainJob, or torchrun on several nodes.

    It ends by itself once the job has ended or is stopped.
    """

    def __init__(self, folder: JobFolder, config: JobConfig, *, patience_s: float = 4 * 3_600) -> None:
        super().__init__(folder, config)
        self._patience_s = patience_s
        self._asked_at = 0.0

    async def __aenter__(self) -> Self:
        ScoreFiles(self._folder).clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def _wait(self, look: Callable[[], Found | None]) -> Found:
        self._asked_at = time.monotonic()
        return await super()._wait(look)

    def _gone(self) -> TrainerUnavailable | None:
        waited = time.monotonic() - self._asked_at
        if waited < self._patience_s:
            return None
        return TrainerUnavailable(f"no learner has answered for {waited:.0f} s; see the pods of the TrainJob")


def last_words(text: str) -> tuple[str, bool]:
    """Why a learner ended, from the end of its log, and whether it refused rather than failed.

    The newest `learner_ended` event tells; without one (a kill, a crash) it is the last line that says anything.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "learner_ended":
            return str(event.get("error", "")), bool(event.get("refused"))
    return (lines[-1] if lines else "it wrote nothing"), False


def _check(reply: ScoreReply, rows: Sequence[ScoreRow], step: int) -> None:
    wanted = [len(row.token_ids) - row.start for row in rows]
    if reply.step != step or [len(row) for row in reply.logprobs] != wanted:
        raise ContractViolation(f"the learner's reply does not fit the {len(wanted)} rows asked of step {step}")


def _threads(hardware: HardwareConfig) -> dict[str, str]:
    return {} if hardware.threads is None else {"OMP_NUM_THREADS": str(hardware.threads)}


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return
