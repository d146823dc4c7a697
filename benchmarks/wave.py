"""What the cluster adds to a wave of subagents: `python -m benchmarks.wave [--width 100] [--seconds 5] [--runs 5]`.

One real worker process of 128 slots, a real Redis, log, lease and fencing on; the model is a stub inside
the worker that thinks for `--seconds`. Measured from the first `subagent.queued` to the last
`subagent.completed` in the run log, beside the same wave in plain asyncio in one process.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from services.kit.keys import Keys
from services.kit.queue import create_producer
from services.kit.redis import connect
from services.kit.runlog import LEAD, Fence, RunLog
from services.orchestrator.rows import ProvisionalRows
from services.orchestrator.subagents import LoggedSubagents
from tests.servers import running_redis
from wideseek.contracts import RunRequest
from wideseek.delegation import subtask_id
from wideseek.events import RunCreated, SubagentCompleted, SubagentQueued
from wideseek.ports import Subtask

ENV = "bench"


@contextmanager
def stub_worker(redis_url: str, seconds: float, slots: int) -> Iterator[int]:
    """A worker process, ended by its id."""
    command = [sys.executable, "-m", "benchmarks.stub_worker", "--redis", redis_url, "--env", ENV]
    process = subprocess.Popen([*command, "--seconds", str(seconds), "--slots", str(slots)])
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now and at its peak, in MB."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(status["VmRSS"].split()[0]) / 1024, int(status["VmHWM"].split()[0]) / 1024


async def cluster_wave(redis_url: str, run_id: str, width: int) -> float:
    """Seconds of one wave through queue, worker and log."""
    log, producer = RunLog(connect(redis_url), Keys(ENV)), create_producer(redis_url, ENV)
    deadline = time.time() + 600
    request = RunRequest(query="a benchmark")
    await log.create(RunCreated(run_id=run_id, request=request, model="stub", deadline=deadline))
    fence = Fence(LEAD, await log.claim(run_id, LEAD))
    subagents = LoggedSubagents(log, producer, run_id, fence, ProvisionalRows(request), deadline)
    prompts = [f"subtask {number}" for number in range(width)]
    await subagents.run(
        [
            Subtask(subtask_id=subtask_id(run_id, 1, n, text), prompt=text, turn=1, index=n)
            for n, text in enumerate(prompts)
        ]
    )
    events = [logged.event for logged in await log.read(run_id)]
    queued = [event.at for event in events if isinstance(event, SubagentQueued)]
    completed = [event.at for event in events if isinstance(event, SubagentCompleted)]
    assert len(queued) == len(completed) == width
    await producer.aclose()
    return max(completed) - min(queued)


async def asyncio_wave(seconds: float, width: int) -> float:
    """Seconds of the same wave with nothing around it."""
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(asyncio.sleep(seconds))
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slots", type=int, default=128)
    arguments = parser.parse_args()
    with running_redis() as port:
        url = f"redis://127.0.0.1:{port}/0"
        with stub_worker(url, arguments.seconds, arguments.slots) as pid:
            asyncio.run(cluster_wave(url, "ws_warm", 1))
            waves = [
                asyncio.run(cluster_wave(url, f"ws_{number}", arguments.width)) for number in range(arguments.runs)
            ]
            now_mb, peak_mb = memory_mb(pid)
    plain = [asyncio.run(asyncio_wave(arguments.seconds, arguments.width)) for _ in range(arguments.runs)]
    table = RichTable(
        "wave", "min s", "median s", "max s", title=f"{arguments.width} subagents of {arguments.seconds} s"
    )
    for name, values in {"cluster": waves, "plain asyncio": plain}.items():
        table.add_row(name, *(f"{value:.2f}" for value in (min(values), statistics.median(values), max(values))))
    console = Console()
    console.print(table)
    ratio = statistics.median(waves) / statistics.median(plain)
    console.print(f"ratio of medians {ratio:.3f}; worker memory {now_mb:.0f} MB, at its peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
