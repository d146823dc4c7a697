"""Crashes before and after each of the seven boundaries of a step: nothing is lost, nothing counts twice."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.trainer.conduct.lines import MetricsLines
from tests.conduct_parts import BOUNDARIES, JOB, Crash, Job, config_of, job_at, private_redis

SEEDS = 5
ROUNDS = 3
"""Crashes at every boundary for each seed: 5 * 3 * 14 = 210."""


@pytest.fixture(scope="module")
def socket_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of this module's own, on a Unix socket."""
    with private_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


async def crash_through(job: Job, seed: int) -> Counter[str]:
    """Live and crash until every boundary has been crashed at, then live to the end; how often where."""
    draw = random.Random(seed)
    planned = [boundary for boundary in BOUNDARIES for _ in range(ROUNDS)]
    draw.shuffle(planned)
    for boundary in planned:
        # Boundaries of single rollouts are passed several times a step.
        often = draw.randrange(1, 4) if boundary.startswith(("object", "index.before_xadd", "index.after_xadd")) else 1
        job.fuse.arm(boundary, often)
        with pytest.raises(Crash):
            await job.live()
    assert await job.live() == "completed"
    return job.fuse.blown


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_crash_at_any_boundary_loses_nothing_and_counts_nothing_twice(
    seed: int, tmp_path: Path, socket_redis: str
) -> None:
    config = config_of(steps=52, seed=seed)
    async with job_at(tmp_path, socket_redis, config, seed=seed) as job:
        await job.redis.flushall()

        crashes = await crash_through(job, seed)

        stored = {entry.rollout_id for entry in job.store.scan(JOB)}
        ledger = job.ledger()
        trained = [entry.rollout_id for manifest in ledger.manifests() for entry in manifest.entries]
        dropped = [drop for manifest in ledger.manifests() for drop in manifest.dropped]
        counts = job.counts()
        print(  # noqa: T201  # shown with -s: what the injections came to
            f"seed {seed}: {sum(crashes.values())} crashes, {len(trained)} rollouts trained on, {len(dropped)} dropped"
        )
        assert set(crashes.values()) == {ROUNDS}
        assert len(crashes) == len(BOUNDARIES)
        assert max(counts.values()) == 1
        assert set(counts) == set(trained)
        assert len(trained) == config.steps * config.planned
        assert stored == set(trained)
        assert not dropped
        versions = [record.version for record in job.registry.versions(config.policy)]
        assert versions == list(range(1, config.steps + 1))
        assert [manifest.policy_version for manifest in ledger.manifests()] == list(range(config.steps))
        assert job.states.newest(config.policy).current == config.steps
        assert sorted(MetricsLines(job.folder.metrics_file).steps) == list(range(1, config.steps + 1))
        assert len(job.folder.metrics_file.read_text().splitlines()) == config.steps
        assert await job.index.read(JOB) == []
