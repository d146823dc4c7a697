"""TensorBoard event files beside a job's metrics: every line of the source once, also after a resume."""

from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

from services.trainer.folder import JobFolder, write_atomically
from services.trainer.metrics.read import read_metrics
from services.trainer.metrics.record import StepMetrics

_CURSOR = "cursor"


def export_tensorboard(folder: JobFolder) -> Path:
    """Write the lines that are not exported yet; the folder for `tensorboard --logdir` comes back."""
    target = folder.path / "tensorboard"
    cursor = target / _CURSOR
    done = int(cursor.read_text()) if cursor.exists() else 0
    steps = read_metrics(folder.metrics_file)
    if len(steps) > done:
        target.mkdir(exist_ok=True)
        # Its own name holds whole seconds only: a second file within one would replace the first.
        with SummaryWriter(logdir=str(target), filename_suffix=f".{done}") as writer:
            for step in steps[done:]:
                _write(writer, step)
        write_atomically(cursor, str(len(steps)).encode())
    return target


def _write(writer: SummaryWriter, step: StepMetrics) -> None:
    for name, value in step.scalars.items():
        writer.add_scalar(name, value, step.step, walltime=step.at)
    for name, values in step.histograms.items():
        if values:
            writer.add_histogram(name, np.asarray(values, dtype=np.float64), step.step, walltime=step.at)
    for reason, count in step.drops.items():
        writer.add_scalar(f"drops/{reason}", count, step.step, walltime=step.at)
    for result in step.evaluation:
        writer.add_scalar(f"evaluation/{result.metric}", result.mean, step.step, walltime=step.at)
