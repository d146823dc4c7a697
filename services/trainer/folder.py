"""The folder of a job: the files through which conductor and learner speak, and the names they go by.

```
<home>/jobs/<job id>/
    job.json                 `JobRecord`: the resolved configuration, written once
    state.json               `JobState`: where the job is, replaced atomically
    stop                     exists once somebody has asked the job to stop
    conductor.lock           held by the conductor while it lives
    groups.jsonl             by the collector: every group, before it is asked for (`services.trainer.collect.journal`)
    metrics.jsonl            one line a step (`services.trainer.metrics`)
    report.html
    logs/{conductor,learner}.log
    steps/<k>/manifest.json  by the conductor, create-exclusive
    steps/<k>/learner.json   by the learner: `LearnerReport`
    ckpt/<k>/                by the learner: weights, optimiser, RNG, `adapter/`; counts once `COMMITTED` is in it
    scores/<name>.request.json -> scores/<name>.reply.json    log-probabilities asked of the learner
```

The learner trains every step whose manifest exists and whose checkpoint does not, in order, and between steps
answers score requests. Numbers of steps are written without leading zeros. A file that is read by another process
is written beside its place and renamed.
"""

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.kit.durable import sync_folder, written_beside
from services.trainer.config import JobConfig
from wideseek.values import Frozen

JobStatus = Literal["queued", "running", "cancelling", "completed", "failed", "cancelled"]
ENDED = frozenset({"completed", "failed", "cancelled"})
COMMITTED = "COMMITTED"


class JobRecord(Frozen):
    """What a job is; never changed."""

    job_id: str
    created_at: float
    config: JobConfig
    rollouts_root: str
    """Where the rollout store is: a folder or any address that fsspec opens."""


class JobState(Frozen):
    """Where a job is."""

    status: JobStatus = "queued"
    step: int = Field(default=0, ge=0)
    """Last committed step."""
    policy_version: int = Field(default=0, ge=0)
    """Last published version."""
    lineage: int = Field(default=0, ge=0)
    error: str = ""
    """Why it failed, in one line."""
    updated_at: float = 0.0


class LearnerReport(Frozen):
    """What the learner says of one step."""

    step: int
    manifest_sha256: str
    scalars: dict[str, float]
    """By name, as `services.trainer.metrics.names` lists them."""
    histograms: dict[str, tuple[float, ...]] = Field(default_factory=dict)


class ScoreRow(Frozen):
    """Token ids whose log-probabilities are wanted from `start` on."""

    token_ids: tuple[int, ...]
    start: int = Field(ge=1)
    """The first token that is scored; those before are context."""


class ScoreRequest(Frozen):
    """Log-probabilities under the weights of a step."""

    step: int = Field(ge=0)
    """Checkpoint whose weights score; 0 is the model the job started from."""
    rows: tuple[ScoreRow, ...]


class ScoreReply(Frozen):
    """Natural-log probabilities, one tuple a row, one number a scored token."""

    step: int
    logprobs: tuple[tuple[float, ...], ...]
    precision: str


@dataclass(frozen=True)
class JobFolder:
    """Paths of one job."""

    path: Path

    @property
    def record_file(self) -> Path:
        """`JobRecord`."""
        return self.path / "job.json"

    @property
    def state_file(self) -> Path:
        """`JobState`."""
        return self.path / "state.json"

    @property
    def stop_file(self) -> Path:
        """Exists once the job shall stop."""
        return self.path / "stop"

    @property
    def lock_file(self) -> Path:
        """Locked (flock) by the conductor as long as it lives; the system lets go of it when the process dies."""
        return self.path / "conductor.lock"

    @property
    def metrics_file(self) -> Path:
        """One line a step."""
        return self.path / "metrics.jsonl"

    @property
    def report_file(self) -> Path:
        """The report as a page."""
        return self.path / "report.html"

    @property
    def logs(self) -> Path:
        """Folder of the processes' output."""
        return self.path / "logs"

    @property
    def scores(self) -> Path:
        """Folder of score requests and replies."""
        return self.path / "scores"

    def manifest_file(self, step: int) -> Path:
        """The manifest of a step."""
        return self.path / "steps" / str(step) / "manifest.json"

    def learner_file(self, step: int) -> Path:
        """What the learner says of a step."""
        return self.path / "steps" / str(step) / "learner.json"

    def checkpoint(self, step: int) -> Path:
        """Folder of a checkpoint, which counts once it holds `COMMITTED`."""
        return self.path / "ckpt" / str(step)

    def adapter(self, step: int) -> Path:
        """The policy that a step has made, in PEFT's format (or the whole model, with full fine-tuning)."""
        return self.checkpoint(step) / "adapter"

    def committed(self) -> list[int]:
        """Committed steps whose checkpoints are kept, ascending."""
        folder = self.path / "ckpt"
        steps = (int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()) if folder.is_dir() else ()
        return sorted(step for step in steps if (self.checkpoint(step) / COMMITTED).exists())

    def conducted(self) -> bool:
        """Whether a conductor is at work on the job right now."""
        if not self.lock_file.exists():
            return False
        with self.lock_file.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def record(self) -> JobRecord:
        """The job's record."""
        return JobRecord.model_validate_json(self.record_file.read_bytes())

    def state(self) -> JobState:
        """Where the job is."""
        return JobState.model_validate_json(self.state_file.read_bytes()) if self.state_file.exists() else JobState()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its place, flush it to disk and rename it: readers see all of it or nothing."""
    with written_beside(path, data) as beside:
        beside.chmod(0o644)  # learners, engines and people are other users
        beside.replace(path)
    sync_folder(path.parent)


def write_model(path: Path, value: Frozen) -> None:
    """Write a value as JSON, atomically."""
    write_atomically(path, value.model_dump_json(indent=1).encode() + b"\n")
