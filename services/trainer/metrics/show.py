"""Keeps what people look at beside the metrics of a job at work: TensorBoard's files and the report."""

import asyncio

from services.kit.logs import get_logger
from services.trainer.folder import JobFolder
from services.trainer.metrics.report import write_report
from services.trainer.metrics.tensorboard import export_tensorboard

log = get_logger(__name__)


def show(folder: JobFolder) -> None:
    """Bring both up to date. A disk that refuses is said and holds up no training."""
    try:
        export_tensorboard(folder)
        write_report(folder)
    except OSError as error:
        log.warning("metrics_not_shown", error=str(error))


async def keep_shown(folder: JobFolder, *, every_s: float = 30) -> None:
    """Bring both up to date whenever a step was done, for ever."""
    shown = -1
    while True:
        size = folder.metrics_file.stat().st_size if folder.metrics_file.exists() else 0
        if size != shown:
            shown = size
            await asyncio.to_thread(show, folder)
        await asyncio.sleep(every_s)
