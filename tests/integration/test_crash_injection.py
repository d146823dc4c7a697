"""Crashes before and after each of the seven boundaries of a step: nothing is lost, nothing counts twice."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.trainer.conduct.lines import MetricsLines
from tests.conduct_parts import (
    BOUNDARIES,
    JOB,
    Crash,
    Job,
    MarkingPublisher,
    config_of,
    job_at,
    private_redis,
    quick_folder,
)

SEEDS, ROUNDS = 5, 3
"""Crashes at every boundary for each seed: 5 * 3 * 14 = 210, and 14 more with engines."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with quick_folder(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def socket_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of this module's own, on a Unix socket."""
    with private_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


async def crash_through(job: Job, seed: int, rounds: int) -> Counter[str]:
    """Live and crash until every boundary has been crashed at, then live to the end; how often where."""
    draw = random.Random(seed)
    planned = [boundary for boundary in BOUNDARIES for _ in range(rounds)]
    draw.shuffle(planned)
    for boundary in planned:
        # Boundaries of single rollouts are passed several times a step.
        often = draw.randrange(1, 4) if boundary.startswith(("object", "index.before_xadd", "index.after_xadd")) else 1
        job.fuse.arm(boundary, often)
        with pytest.raises(Crash):
            await job.live()
    assert await job.live() == "completed"
    return job.fuse.blown


def check_nothing_lost_or_doubled(job: Job) -> None:
    """Every stored rollout was trained on once, every version published once, every step reported once."""
    config, ledger, counts = job.config, job.ledger(), job.counts()
    manifests = list(ledger.manifests())
    trained = [entry.rollout_id for manifest in manifests for entry in manifest.entries]
    assert max(counts.values()) == 1
    assert set(counts) == set(trained)
    assert len(trained) == len(set(trained)) == config.steps * config.planned
    assert {entry.rollout_id for entry in job.store.scan(JOB)} == set(trained)
    assert not [drop for manifest in manifests for drop in manifest.dropped]
    assert [record.version for record in job.registry.versions(config.policy)] == list(range(1, config.steps + 1))
    assert [manifest.policy_version for manifest in manifests] == list(range(config.steps))
    assert job.states.newest(config.policy).current == config.steps
    assert sorted(MetricsLines(job.folder.metrics_file).steps) == list(range(1, config.steps + 1))
    assert len(job.folder.metrics_file.read_text().splitlines()) == config.steps


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_crash_at_any_boundary_loses_nothing_and_counts_nothing_twice(
    seed: int, folder: Path, socket_redis: str
) -> None:
    config = config_of(steps=ROUNDS * len(BOUNDARIES) + 2, seed=seed)
    async with job_at(folder, socket_redis, config, seed=seed) as job:
        job.publisher = MarkingPublisher

        crashes = await crash_through(job, seed, ROUNDS)

        print(  # noqa: T201  # shown with -s: what the injections came to
            f"seed {seed}: {crashes.total()} crashes, {len(job.counts())} rollouts counted, "
            f"{len(job.learners)} processes, most often one rollout: {max(job.counts().values())}"
        )
        assert set(crashes) == set(BOUNDARIES)
        assert set(crashes.values()) == {ROUNDS}
        check_nothing_lost_or_doubled(job)
        assert await job.index.read(JOB) == []


async def test_it_holds_with_engines_that_load_and_are_probed(folder: Path, socket_redis: str) -> None:
    async with job_at(folder, socket_redis, config_of(steps=len(BOUNDARIES) + 1)) as job:
        crashes = await crash_through(job, 17, 1)

        assert set(crashes) == set(BOUNDARIES)
        check_nothing_lost_or_doubled(job)
        assert f"policy@v{job.config.steps}" in job.engine.loaded
