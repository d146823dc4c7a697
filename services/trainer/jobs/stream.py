"""A job's metrics as server-sent events: one event a step, resumable by the number of its line."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from services.kit.sse import RETRY_MS, frame
from services.trainer.folder import ENDED, JobFolder
from services.trainer.jobs.book import shown_status
from services.trainer.jobs.views import view


def lines_after(path: Path, after: int) -> list[tuple[int, Any]]:
    """Whole lines numbered above `after` (from 1); one that is still being written is left for the next look."""
    if not path.exists():
        return []
    whole = path.read_bytes().split(b"\n")[:-1]
    return [(number, json.loads(line)) for number, line in enumerate(whole, 1) if number > after and line]


async def metric_events(
    folder: JobFolder, after: int, *, ping_s: float = 10, poll_s: float = 0.5
) -> AsyncIterator[str]:
    """Steps numbered above `after`, live; `job.updated` whenever the job's state changes, and last when it has ended.

    An interrupted job keeps its stream open: it may be resumed.
    """
    yield f"retry: {RETRY_MS}\n: open\n\n"
    shown: dict[str, Any] = {}
    quiet_s = 0.0
    while True:
        ended = shown_status(folder) in ENDED
        news = lines_after(folder.metrics_file, after)
        for number, line in news:
            yield frame("step.completed", line, number)
            after = number
        job = view(folder).model_dump(mode="json", exclude={"config"})
        if job != shown:
            shown, quiet_s = job, 0.0
            yield frame("job.updated", job)
        if ended:
            return
        quiet_s = 0.0 if news else quiet_s + poll_s
        if quiet_s >= ping_s:
            quiet_s = 0.0
            yield ": ping\n\n"
        await asyncio.sleep(poll_s)
