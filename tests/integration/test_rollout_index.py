"""The index on a real Redis: every stored rollout is delivered at least once, whatever is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.rollouts.index import Indexed, RolloutIndex
from services.kit.rollouts.scan import keep_scanning, scan_job
from services.kit.rollouts.store import RolloutStore
from tests.redis_keys import undocumented
from tests.rollout_parts import rollout_of
from tests.servers import running_redis
from wideseek.errors import QueueUnavailable

KEYS = Keys("test")
STREAM = KEYS.rollouts("j")


class Killed(Exception):
    """The process ended here."""


@pytest.fixture
def store(tmp_path: Path) -> RolloutStore:
    return RolloutStore.open(str(tmp_path))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def index(redis: Redis) -> RolloutIndex:
    return RolloutIndex(redis, KEYS)


def fill(store: RolloutStore, count: int, start: int = 0) -> list[str]:
    """Store rollouts without indexing them; their ids."""
    return [store.put(rollout_of(f"run_{number}"), "j").rollout_id for number in range(start, start + count)]


def ids(delivered: Indexed) -> list[str]:
    return [entry.rollout_id for _, entry in delivered]


async def test_what_is_added_is_read_behind_any_cursor(store: RolloutStore, index: RolloutIndex) -> None:
    entries = [store.put(rollout_of(f"run_{number}"), "j") for number in range(3)]

    cursors = [await index.add(entry) for entry in entries]

    assert await index.read("j") == list(zip(cursors, entries, strict=True))
    assert await index.read("j", after=cursors[0], count=1) == [(cursors[1], entries[1])]
    assert await index.read("j", after=cursors[2]) == []
    assert await index.read("other") == []


async def test_a_waiting_reader_gets_what_is_added_meanwhile(store: RolloutStore, index: RolloutIndex) -> None:
    entry = store.put(rollout_of("run_1"), "j")

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(index.read("j", wait_s=10))
        await index.add(entry)

    assert ids(waiting.result()) == [entry.rollout_id]
    assert await index.read("j", after=waiting.result()[0][0], wait_s=0.01) == []


async def test_what_was_claimed_is_delivered_again_until_it_is_acknowledged(
    store: RolloutStore, index: RolloutIndex
) -> None:
    stored = fill(store, 5)
    await index.rebuild("j", store)

    first = await index.claim("j", consumer="one", count=3)
    await index.ack("j", [first[0][0]])
    second = await index.claim("j", consumer="two")

    assert sorted(ids(first) + ids(second)[2:]) == sorted(stored)
    assert ids(second)[:2] == ids(first)[1:]
    assert await index.ack("j", [cursor for cursor, _ in second]) == 4
    assert await index.claim("j", consumer="three") == []


async def test_a_claim_leaves_alone_what_another_holds_for_shorter(store: RolloutStore, index: RolloutIndex) -> None:
    fill(store, 2)
    await index.rebuild("j", store)
    held = await index.claim("j", consumer="one")

    assert await index.claim("j", consumer="two", idle_s=3_600) == []
    assert await index.claim("j", consumer="two") == held


async def test_trimming_forgets_up_to_the_cursor(store: RolloutStore, index: RolloutIndex, redis: Redis) -> None:
    fill(store, 5)
    await index.rebuild("j", store)
    delivered = await index.claim("j")
    await index.ack("j", [cursor for cursor, _ in delivered])

    assert await redis.xlen(STREAM) == 5
    assert await index.trim("j", delivered[2][0]) == 3

    assert await index.read("j") == delivered[3:]
    assert await index.claim("j") == []


async def test_a_claimed_entry_that_was_trimmed_does_not_come_back_empty(
    store: RolloutStore, index: RolloutIndex
) -> None:
    fill(store, 3)
    await index.rebuild("j", store)
    delivered = await index.claim("j")

    await index.trim("j", delivered[1][0])

    assert await index.claim("j") == delivered[2:]


async def test_two_hundred_orphans_are_indexed_once_each(store: RolloutStore, index: RolloutIndex) -> None:
    stored = fill(store, 200)
    await index.add(next(iter(store.scan("j"))))

    scanned = await scan_job(store, index, "j")

    assert scanned.added == 199
    assert sorted(ids(await index.read("j"))) == sorted(stored)
    assert (await scan_job(store, index, "j")).added == 0


async def test_losing_redis_loses_no_rollout_and_cursors_stay_good(
    store: RolloutStore, index: RolloutIndex, redis: Redis
) -> None:
    stored = fill(store, 60)
    await index.rebuild("j", store)
    consumed = await index.read("j", count=20)
    cursor, resolved = f"{9 * 10**15}-7", set(ids(consumed))
    await redis.flushall()

    added = await index.rebuild("j", store, resolved=resolved, after=cursor)

    assert added == 40
    assert sorted([*resolved, *ids(await index.read("j", after=cursor))]) == sorted(stored)
    assert sorted(ids(await index.claim("j"))) == sorted(set(stored) - resolved)


async def test_an_entry_that_cannot_be_read_holds_nothing_up(
    store: RolloutStore, index: RolloutIndex, redis: Redis
) -> None:
    await redis.xadd(STREAM, {"rollout": "{"})
    await redis.xadd(STREAM, {"other": "x"})
    (stored,) = fill(store, 1)

    await index.rebuild("j", store)

    assert ids(await index.read("j")) == [stored]
    assert ids(await index.claim("j")) == [stored]


def killed_at(boundary: str) -> Callable[[str], None]:
    def probe(reached: str) -> None:
        if reached == boundary:
            raise Killed(reached)

    return probe


@pytest.mark.parametrize("boundary", ["index.before_xadd", "index.after_xadd"])
async def test_a_crash_around_xadd_loses_nothing(store: RolloutStore, redis: Redis, boundary: str) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    with pytest.raises(Killed):
        await RolloutIndex(redis, KEYS, probe=killed_at(boundary)).add(entry)

    index = RolloutIndex(redis, KEYS)
    await scan_job(store, index, "j")

    assert ids(await index.read("j")) == [entry.rollout_id]


@pytest.mark.parametrize(("boundary", "left"), [("index.before_xack", 1), ("index.after_xack", 0)])
async def test_a_crash_around_xack_delivers_again_or_is_done(
    store: RolloutStore, redis: Redis, boundary: str, left: int
) -> None:
    fill(store, 1)
    index = RolloutIndex(redis, KEYS, probe=killed_at(boundary))
    await index.rebuild("j", store)
    delivered = await index.claim("j")

    with pytest.raises(Killed):
        await index.ack("j", [delivered[0][0]])

    assert len(await index.claim("j")) == left


async def test_a_scan_that_verifies_counts_what_it_puts_away(
    store: RolloutStore, index: RolloutIndex, tmp_path: Path
) -> None:
    fill(store, 4)
    damaged = next(iter(store.scan("j")))
    (tmp_path / damaged.uri).write_bytes(b"damaged")

    scanned = await scan_job(store, index, "j", verified=True)

    assert (scanned.verified, scanned.added, scanned.corrupt, scanned.quarantined) == (3, 3, 1, 1)
    assert damaged.rollout_id not in ids(await index.read("j"))


class Rounds:
    """What the scan asks at the start of each round: nothing is resolved, and the second round has begun."""

    def __init__(self) -> None:
        self.count = 0
        self.second = asyncio.Event()

    def __call__(self) -> tuple[str, ...]:
        self.count += 1
        if self.count == 2:
            self.second.set()
        return ()


@asynccontextmanager
async def scanning(store: RolloutStore, index: RolloutIndex, rounds: Rounds) -> AsyncIterator[None]:
    task = asyncio.ensure_future(keep_scanning(store, index, "j", every_s=0.02, resolved=rounds))
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_orphans_are_found_while_the_scan_goes_on(store: RolloutStore, index: RolloutIndex) -> None:
    async with scanning(store, index, Rounds()):
        (early,) = fill(store, 1)
        first = await index.read("j", wait_s=15)
        (late,) = await asyncio.to_thread(fill, store, 1, 7)
        second = await index.read("j", after=first[0][0], wait_s=15)

    assert ids(first) == [early]
    assert ids(second) == [late]


async def test_every_call_says_that_redis_is_down(store: RolloutStore) -> None:
    with running_redis() as port:
        redis = connect(f"redis://127.0.0.1:{port}/0")
    index = RolloutIndex(redis, KEYS)
    entry = store.put(rollout_of("run_1"), "j")

    for call in (
        index.add(entry),
        index.read("j"),
        index.claim("j"),
        index.ack("j", ["1-1"]),
        index.trim("j", "1-1"),
        index.rebuild("j", store),
    ):
        with pytest.raises(QueueUnavailable):
            await call
    await redis.aclose()


async def test_the_scan_outlives_an_outage_of_redis(store: RolloutStore) -> None:
    (stored,) = fill(store, 1)
    with running_redis() as port:
        pass
    redis = connect(f"redis://127.0.0.1:{port}/0")
    index = RolloutIndex(redis, KEYS)

    rounds = Rounds()

    async with scanning(store, index, rounds):
        await rounds.second.wait()
        with running_redis(port):
            delivered = await index.read("j", wait_s=15)
            await redis.aclose()

    assert ids(delivered) == [stored]


async def test_the_index_leaves_only_documented_keys(store: RolloutStore, index: RolloutIndex, redis_url: str) -> None:
    fill(store, 1)
    await index.rebuild("j", store)
    await index.claim("j")

    assert undocumented(redis_url, "test") == []
