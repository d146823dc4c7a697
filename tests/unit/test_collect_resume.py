"""A collector that is killed and begun again: nothing is asked, paid or handed out twice, and nothing is lost."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.collect.collector import Collector
from services.trainer.collect.groups import CollectedGroup
from services.trainer.collect.start import Start
from services.trainer.config import JobConfig
from services.trainer.ledger.manifest import FIRST, AgentShare, Entry, Manifest
from tests.collect_parts import JOB, Bench, End, collecting, config_of, settled, until, usually_right
from wideseek.contracts import RunRequest, RunStatus
from wideseek.errors import InvalidRequest
from wideseek.trajectory import Role


def manifest_of(step: int, groups: list[CollectedGroup], collector: Collector) -> Manifest:
    """The manifest that the conductor writes of what it has taken."""
    share = AgentShare(agent_id="lead", role=Role.LEAD, trained_tokens=6, weight=0.1, advantage=0.0)
    return Manifest(
        job_id=JOB,
        step=step,
        prev_sha256=FIRST,
        created_at=0,
        seed=0,
        config_sha256="",
        code_version="",
        policy_version=step - 1,
        planned=8,
        learning_rate=0,
        entries=tuple(
            Entry(
                rollout_id=one.stored.rollout_id,
                uri=one.stored.uri,
                sha256=one.stored.sha256,
                group_id=group.group_id,
                agents=(share,),
            )
            for group in groups
            for one in group.rollouts
        ),
        dropped=tuple(collector.drops()),
        cursor=collector.cursor(),
    )


def begin(bench: Bench, config: JobConfig, manifests: list[Manifest]) -> Collector:
    """A collector in a new process, where every manifest has been trained on and published."""
    step = len(manifests)
    return bench.collector(config, Start.after(manifests, trained=step, version=step, made_at=step))


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(), staleness=st.integers(0, 2))
async def test_kills_at_any_moment_cost_nothing_and_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int, staleness: int
) -> None:
    draw = random.Random(seed)
    doomed = {(draw.randrange(6), draw.randrange(4)) for _ in range(3)}

    def end(request: RunRequest) -> End:
        place = request.training
        outage = (int((place.group_id or "")[3:]), place.index_in_group) in doomed and place.attempt == 0
        return End(status=RunStatus.FAILED) if outage else usually_right(request)

    bench = Bench.at(tmp_path_factory.mktemp("kill"), seed=seed, end=end)
    config, manifests = config_of(max_staleness=staleness), list[Manifest]()

    while len(manifests) < 4:
        async with collecting(begin(bench, config, manifests)) as collector:
            taking = asyncio.ensure_future(collector.take(2))
            if draw.random() < 0.7:
                for _ in range(draw.randrange(120)):
                    await asyncio.sleep(0)
            else:
                await asyncio.wait({taking})
            if taking.done() and draw.random() < 0.8:
                manifests.append(manifest_of(len(manifests) + 1, taking.result(), collector))
            taking.cancel()
            await asyncio.wait({taking})

    asked = Counter(
        (r.training.group_id, r.training.index_in_group, r.training.attempt) for r in bench.cluster.requests
    )
    used = Counter(entry.rollout_id for manifest in manifests for entry in manifest.entries)
    resolved = used + Counter(drop.rollout_id for manifest in manifests for drop in manifest.dropped)
    assert set(asked.values()) == {1}
    assert {place for place in asked if place[2]} <= {(f"g0-{group}", index, 1) for group, index in doomed}
    assert set(resolved.values()) == {1}
    assert len(used) == 32
    behind = int(manifests[-1].cursor.partition("-")[0])
    assert {entry.rollout_id for entry in bench.cluster.index.entries[:behind]} <= set(resolved)


async def test_stored_rollouts_are_used_without_asking_the_cluster(tmp_path: Path) -> None:
    bench, config = Bench.at(tmp_path), config_of(max_staleness=0)
    async with collecting(bench.collector(config)) as collector:
        first = await collector.take(2)

    bench.cluster.down = 10**9
    async with collecting(bench.collector(config)) as collector:
        again = await collector.take(2)

    assert again == first
    assert len(bench.cluster.requests) == 8


async def test_a_lost_index_is_rebuilt_from_the_store(tmp_path: Path) -> None:
    bench, config = Bench.at(tmp_path), config_of(max_staleness=0)
    async with collecting(bench.collector(config)) as collector:
        first = await collector.take(2)
    bench.cluster.index.entries.clear()

    bench.cluster.down = 10**9
    async with collecting(bench.collector(config)) as collector:
        again = await collector.take(2)

    assert again == first


async def test_open_groups_keep_the_version_they_were_opened_with(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, hold=lambda request: (request.training.index_in_group or 0) > 1)
    config = config_of(max_staleness=1)
    async with collecting(bench.collector(config)):
        await until(lambda: len(bench.cluster.index.entries) == 8)

    bench.cluster.hold = lambda _: False
    async with collecting(bench.collector(config, Start(version=1, made_at=0))) as collector:
        groups = await collector.take(2)

    assert {group.version for group in groups} == {0}
    assert len(bench.cluster.requests) == 16


async def test_steps_that_are_not_trained_yet_count_against_the_bound(tmp_path: Path) -> None:
    bench, config = Bench.at(tmp_path), config_of(max_staleness=0)
    async with collecting(bench.collector(config)) as collector:
        manifest = manifest_of(1, await collector.take(2), collector)

    start = Start.after([manifest], trained=0, version=0, made_at=0)
    async with collecting(bench.collector(config, start)) as collector:
        await settled(bench.cluster)
        asked = len(bench.cluster.requests)
        collector.advance(step=1, version=1)
        groups = await collector.take(2)

    assert asked == 8
    assert {group.version for group in groups} == {1}


async def test_a_new_lineage_asks_new_groups_and_gives_up_the_old_ones(tmp_path: Path) -> None:
    bench, config = Bench.at(tmp_path), config_of(max_staleness=0)
    async with collecting(bench.collector(config)) as collector:
        await collector.take(2)

    async with collecting(bench.collector(config, Start(lineage=1))) as collector:
        groups = await collector.take(2)
        drops = collector.drops()

    assert [group.group_id for group in groups] == ["g1-0", "g1-1"]
    assert Counter(drop.reason for drop in drops) == {"abandoned": 8}


async def test_a_torn_last_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    bench, config = Bench.at(tmp_path), config_of(max_staleness=0)
    async with collecting(bench.collector(config)) as collector:
        await collector.take(2)
    with (tmp_path / "groups.jsonl").open("ab") as file:
        file.write(b'{"opened": {"line')

    async with collecting(bench.collector(config)) as collector:
        groups = await collector.take(2)

    assert [group.group_id for group in groups] == ["g0-0", "g0-1"]


def test_a_file_that_is_no_journal_is_refused_by_line(tmp_path: Path) -> None:
    (tmp_path / "groups.jsonl").write_text('{"opened": 3}\n')

    with pytest.raises(InvalidRequest, match=r"groups\.jsonl:1: is no line of a group journal"):
        Bench.at(tmp_path).collector(config_of())
