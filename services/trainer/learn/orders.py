"""What the learner does next, read off the job's folder. Imports no torch: the conductor's side uses it too.

stop                          -> end
scores/<name>.request.json    -> answer, between steps
steps/<k + 1>/manifest.json   -> train, k being the step whose weights are in memory
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.trainer.folder import ENDED, JobFolder, ScoreReply, ScoreRequest
from services.trainer.ledger.manifest import Manifest
from wideseek.errors import ContractViolation
from wideseek.values import Frozen

REFUSED = os.EX_DATAERR
"""Exit code of a learner that starting again will not mend."""


@dataclass(frozen=True)
class Train:
    """Train on the manifest of a step."""

    manifest: Manifest
    sha256: str


@dataclass(frozen=True)
class Score:
    """Answer a request for log-probabilities."""

    name: str
    request: ScoreRequest


@dataclass(frozen=True)
class Stop:
    """End."""

    reason: str


@dataclass(frozen=True)
class Idle:
    """Nothing to do yet; sent from time to time so that the other ranks do not wait past their timeout."""


Order = Train | Score | Stop | Idle


class Failure(Frozen):
    """Why a request for log-probabilities cannot be answered."""

    error: str


@dataclass(frozen=True)
class ScoreFiles:
    """Requests for log-probabilities and what became of them."""

    folder: JobFolder

    def request(self, name: str) -> Path:
        """What is asked: `ScoreRequest`."""
        return self.folder.scores / f"{name}.request.json"

    def reply(self, name: str) -> Path:
        """The answer: `ScoreReply`."""
        return self.folder.scores / f"{name}.reply.json"

    def failure(self, name: str) -> Path:
        """Written in place of a reply: `Failure`."""
        return self.folder.scores / f"{name}.failure.json"

    def answer(self, name: str) -> ScoreReply | Failure | None:
        """The reply or the reason there is none; None as long as neither is written."""
        if self.reply(name).exists():
            return ScoreReply.model_validate_json(self.reply(name).read_bytes())
        if self.failure(name).exists():
            return Failure.model_validate_json(self.failure(name).read_bytes())
        return None

    def open(self) -> list[str]:
        """Names of requests without an answer, oldest first."""
        if not self.folder.scores.is_dir():
            return []
        names = [path.name.removesuffix(".request.json") for path in self.folder.scores.glob("*.request.json")]
        unanswered = [name for name in names if not (self.reply(name).exists() or self.failure(name).exists())]
        return sorted(unanswered, key=lambda name: (_changed(self.request(name)), name))

    def remove(self, name: str) -> None:
        """Take request and answer away."""
        for path in (self.request(name), self.reply(name), self.failure(name)):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Take away what an earlier conductor asked: nobody waits for it."""
        if self.folder.scores.is_dir():
            for path in self.folder.scores.glob("*.json"):
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Orders:
    """Reads the folder on rank 0."""

    folder: JobFolder
    alive: Callable[[], bool]
    """Whether the conductor still runs."""
    drain: bool = False
    """End when there is nothing to do, instead of waiting for more."""

    def next(self, step: int) -> Order:
        """What to do with the weights of `step` in memory."""
        if self.folder.stop_file.exists():
            return Stop("asked to stop")
        if not self.alive():
            return Stop("the conductor is gone")
        files = ScoreFiles(self.folder)
        for name in files.open():
            try:
                request = ScoreRequest.model_validate_json(files.request(name).read_bytes())
            except FileNotFoundError:
                # Taken back by whoever asked.
                continue
            return Score(name, request)
        if self.folder.manifest_file(step + 1).exists():
            return self._train(step + 1)
        return Stop("nothing is left to do") if self.drain else Idle()

    def _train(self, step: int) -> Train:
        data = self.folder.manifest_file(step).read_bytes()
        try:
            manifest = Manifest.model_validate_json(data)
        except ValidationError as error:
            raise ContractViolation(f"steps/{step}/manifest.json is no manifest: {error}") from error
        return Train(manifest, hashlib.sha256(data).hexdigest())


def check_manifest(order: Train, *, step: int, previous: str, config_sha256: str) -> None:
    """Refuse a manifest that is not the next of this job's chain. Raises `ContractViolation`.

    `previous` is the hash of the manifest that the weights in memory come from.
    """
    manifest = order.manifest
    if manifest.step != step:
        raise ContractViolation(f"steps/{step}/manifest.json says it is of step {manifest.step}")
    if manifest.prev_sha256 != previous:
        raise ContractViolation(
            f"the manifest of step {step} follows {manifest.prev_sha256[:12]}, the weights come from {previous[:12]}"
        )
    if manifest.config_sha256 != config_sha256:
        raise ContractViolation(
            f"the manifest of step {step} was written for another configuration; start a new job for changed settings"
        )


def conductor_alive(pid: int | None) -> Callable[[], bool]:
    """A check whether the process of this id still runs; without one it always says yes.

    Where `/proc` tells when a process began, an id that was given to another process is not taken for it. Under
    torchrun, whose ranks a signal to its process group does not reach, it must live on as well.
    """
    if pid is None:
        return lambda: True
    began, launcher = _began(pid), os.getppid()
    return lambda: _runs(pid) and _began(pid) == began and os.getppid() == launcher


def job_open(folder: JobFolder) -> Callable[[], bool]:
    """A check whether a job still has somebody to learn for, where the conductor runs on another machine.

    An end that was there before this process is not taken for one: the job is being taken up again.
    """
    first = folder.state()
    return lambda: (state := folder.state()) == first or state.status not in ENDED


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _began(pid: int) -> str:
    """State-independent start time of a process in clock ticks, field 22 of `/proc/<pid>/stat`; "" without `/proc`."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    # A zombie runs no more, though its id is still taken.
    return "ended" if fields[0] == "Z" else fields[19]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
