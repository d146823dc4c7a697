"""A conductor that is killed with SIGKILL at random moments, as a process, and started again."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.trainer.folder import JobFolder
from tests.conduct_parts import JOB, config_of, make_job, private_redis, quick_folder, reopened
from tests.integration.test_crash_injection import check_nothing_lost_or_doubled
from tests.servers import wait_until

KILLS = 12


def _moment(folder: JobFolder, draw: random.Random) -> None:
    """Wait until the job has come a little further, then a few milliseconds more."""
    steps = draw.randrange(1, 3)
    before = folder.state().step
    wait_until(lambda: folder.state().step >= before + steps, seconds=60, what="the next step")
    spin = draw.randrange(4_000)
    while spin:
        os.stat(folder.path)
        spin -= 1


@pytest.mark.parametrize("seed", [0])
def test_a_job_killed_at_random_moments_goes_on_with_an_unbroken_sequence_of_policies(
    seed: int, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    with quick_folder(tmp_path) as folder, private_redis(tmp_path) as redis_url:
        job_folder = make_job(folder, config_of(steps=3 * KILLS + 4))
        command = [sys.executable, "-m", "tests.conduct_process", str(folder), redis_url]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as host:
            assert host.stdin is not None
            assert host.stdout is not None
            for killed in range(KILLS + 1):
                host.stdin.write(b"live\n")
                host.stdin.flush()
                pid = int(host.stdout.readline())
                if killed < KILLS:
                    _moment(job_folder, draw)
                    os.kill(pid, signal.SIGKILL)
                status = int(host.stdout.readline())
                assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if killed < KILLS else 0)
            host.stdin.close()

        asyncio.run(_check(folder, redis_url))


async def _check(folder: Path, redis_url: str) -> None:
    async with reopened(folder, redis_url) as job:
        check_nothing_lost_or_doubled(job)
        assert await job.index.read(JOB) == []
