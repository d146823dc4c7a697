"""Restarting a job from an older checkpoint: what came after it is kept aside, and a new lineage begins.

```
<job>/abandoned/<lineage>/restart.json    from which step, written first
<job>/abandoned/<lineage>/steps/<k>/      manifests beyond it; their rollouts may be used again
<job>/abandoned/<lineage>/ckpt/<k>/       checkpoints beyond it
<job>/abandoned/<lineage>/metrics.jsonl   all lines there were
```

The newest step is moved first, so that at any moment the steps that are left have no gap; a restart that was cut off
is finished when the ledger is opened.
"""

import math
import os
from pathlib import Path

from pydantic import ValidationError

from services.kit.durable import sync_folder
from services.trainer.folder import COMMITTED, JobFolder, write_atomically, write_model
from services.trainer.metrics.record import StepMetrics
from wideseek.errors import Conflict
from wideseek.values import Frozen

_RESTART = "restart.json"


class Restart(Frozen):
    """A restart."""

    lineage: int
    """The lineage that ended."""
    from_step: int
    at: float


def restart_from(folder: JobFolder, step: int, *, at: float) -> int:
    """Give up all steps beyond `step`; returns the number of the lineage that begins.

    To be called by whoever holds the job's lock. Raises `Conflict` when there is no checkpoint to go on from.
    """
    if step and not (folder.checkpoint(step) / COMMITTED).exists():
        there = ", ".join(map(str, folder.committed())) or "none"
        raise Conflict(f"there is no checkpoint of step {step}; checkpoints: {there}")
    lineage = finish_restart(folder)
    write_model(_aside(folder, lineage) / _RESTART, Restart(lineage=lineage, from_step=step, at=at))
    return finish_restart(folder)


def finish_restart(folder: JobFolder) -> int:
    """Move aside what the newest restart has given up; returns the number of the lineage that is alive."""
    restarts = abandoned(folder)
    if not restarts:
        return 0
    newest = restarts[-1]
    if not (_aside(folder, newest.lineage) / "done").exists():
        _move(folder, newest)
        write_atomically(_aside(folder, newest.lineage) / "done", b"")
    return newest.lineage + 1


def abandoned(folder: JobFolder) -> list[Restart]:
    """All restarts of a job, the oldest first."""
    files = (folder.path / "abandoned").glob(f"*/{_RESTART}")
    restarts = (Restart.model_validate_json(file.read_bytes()) for file in files)
    return sorted(restarts, key=lambda restart: restart.lineage)


def _move(folder: JobFolder, restart: Restart) -> None:
    aside = _aside(folder, restart.lineage)
    for kind in ("ckpt", "steps"):
        (aside / kind).mkdir(exist_ok=True)
        for number in sorted(_numbers(folder.path / kind), reverse=True):
            if number > restart.from_step:
                os.rename(folder.path / kind / str(number), aside / kind / str(number))
        sync_folder(aside / kind)
        if (folder.path / kind).is_dir():
            sync_folder(folder.path / kind)
    if folder.metrics_file.exists():
        lines = folder.metrics_file.read_bytes().splitlines(keepends=True)
        if not (aside / "metrics.jsonl").exists():
            write_atomically(aside / "metrics.jsonl", b"".join(lines))
        kept = [line for line in lines if _step_of(line) <= restart.from_step]
        write_atomically(folder.metrics_file, b"".join(kept))


def _step_of(line: bytes) -> float:
    """The step of a line of metrics; a torn one counts as of no step that is kept."""
    try:
        return StepMetrics.model_validate_json(line).step
    except ValidationError:
        return math.inf


def _numbers(folder: Path) -> list[int]:
    return [int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()] if folder.is_dir() else []


def _aside(folder: JobFolder, lineage: int) -> Path:
    return folder.path / "abandoned" / str(lineage)
