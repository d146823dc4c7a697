"""The run log over a real Redis: fenced, gapless, resumable."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.runlog import LEAD, Fence, RunBudget, RunLog
from services.orchestrator.views import RunViews
from wideseek.contracts import Limits, RunRequest
from wideseek.errors import LeaseLost, QueueUnavailable, RunNotFound
from wideseek.events import Logged, RunCancelling, RunClaimed, RunCreated, SubagentQueued

RUN = "ws_test"


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[RunLog]:
    async with connect(redis_url) as redis:
        yield RunLog(redis, Keys("test"))


async def created(log: RunLog, **limits: int) -> None:
    request = RunRequest(query="What?", limits=Limits(**limits))
    await log.create(RunCreated(run_id=RUN, request=request, model="m", deadline=time.time() + 60))


def queued(number: int) -> SubagentQueued:
    return SubagentQueued(subtask_id=f"s{number}", turn=1, index=number, prompt=f"part {number}")


async def test_events_are_numbered_from_one_without_gaps(log: RunLog) -> None:
    await created(log)

    last = await log.append(RUN, [queued(number) for number in range(3)])

    events = await log.read(RUN)
    assert last == 4
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert isinstance(events[0].event, RunCreated)
    assert events[1].event.at == pytest.approx(time.time(), abs=5)


async def test_a_reader_waits_for_what_comes_after_its_place(log: RunLog) -> None:
    await created(log)
    waiting = asyncio.ensure_future(log.wait(RUN, 1, seconds=5))

    await log.append(RUN, [queued(0)])

    assert [event.seq for event in await waiting] == [2]
    assert await log.wait(RUN, 2, seconds=0.05) == []


async def test_following_a_log_gives_every_event_once(log: RunLog) -> None:
    await created(log)
    seen: list[Logged] = []

    async def follow() -> None:
        async for batch in log.follow(RUN, poll_s=0.1):
            seen.extend(batch)
            if len(seen) == 4:
                return

    following = asyncio.ensure_future(follow())
    for number in range(3):
        await log.append(RUN, [queued(number)])
    await asyncio.wait_for(following, 5)

    assert [event.seq for event in seen] == [1, 2, 3, 4]


async def test_a_stale_token_writes_nothing(log: RunLog) -> None:
    await created(log)
    first = Fence(LEAD, await log.claim(RUN, LEAD))
    second = Fence(LEAD, await log.claim(RUN, LEAD))

    with pytest.raises(LeaseLost, match="stale"):
        await log.append(RUN, [RunClaimed(replica="a", claim=1)], first)

    await log.append(RUN, [RunClaimed(replica="b", claim=2)], second)
    assert len(await log.read(RUN)) == 2


async def test_an_owner_that_has_ended_writes_nothing_more(log: RunLog) -> None:
    await created(log)
    fence = Fence("sub:s1", await log.claim(RUN, "sub:s1"))
    await log.append(RUN, [queued(1)], fence, end=True)

    with pytest.raises(LeaseLost, match="spent"):
        await log.append(RUN, [queued(1)], fence)

    assert await log.claim(RUN, "sub:s1") == 0


async def test_nobody_claims_a_subtask_of_an_ended_run(log: RunLog) -> None:
    await created(log)
    lead = Fence(LEAD, await log.claim(RUN, LEAD))

    await log.append(RUN, [RunCancelling()], lead, end=True)

    assert await log.claim(RUN, "sub:s1") == 0


async def test_claims_beyond_the_limit_are_negative_and_returned_ones_do_not_count(log: RunLog) -> None:
    await created(log)

    claims = [await log.claim(RUN, "sub:s1", limit=2) for _ in range(2)]
    await log.give_back(RUN, "sub:s1")
    claims += [await log.claim(RUN, "sub:s1", limit=2) for _ in range(2)]

    assert claims == [1, 2, 3, -4]


async def test_a_purse_is_never_overdrawn_however_many_reach_into_it(log: RunLog) -> None:
    await created(log, max_tokens=1_000, max_tool_calls=100)
    purse = RunBudget(log, RUN)

    granted = await asyncio.gather(*(purse.reserve(tokens=30) for _ in range(100)))

    assert sum(granted) == 33
    await purse.settle(tokens=30)
    assert await purse.reserve(tokens=40)
    assert not await purse.reserve(tokens=1)
    assert not await purse.reserve(tool_calls=101)
    assert await purse.reserve(tool_calls=100)


async def test_the_first_cancel_counts(log: RunLog) -> None:
    await created(log)

    first = await log.request_cancel(RUN)
    second = await log.request_cancel(RUN)

    assert first == second == await log.cancel_requested(RUN)


async def test_an_event_is_found_by_its_number(log: RunLog) -> None:
    await created(log)
    await log.append(RUN, [queued(7)])

    event = await log.at(RUN, 2)

    assert isinstance(event, SubagentQueued)
    assert event.subtask_id == "s7"
    assert await log.at(RUN, 9) is None


async def test_an_unknown_run_is_not_found(log: RunLog) -> None:
    with pytest.raises(RunNotFound):
        await log.created("ws_nobody")


async def test_a_dead_redis_is_an_outage() -> None:
    async with connect("redis://127.0.0.1:9/0") as redis:
        with pytest.raises(QueueUnavailable):
            await RunLog(redis, Keys("test")).read(RUN)


async def test_many_readers_of_one_growing_run_all_see_it(log: RunLog) -> None:
    """Readers share one fold: one that was overtaken while it read must not take the run for expired."""
    await created(log)
    views = RunViews(log)
    await views.get(RUN)

    for number in range(30):
        await log.append(RUN, [queued(number)])
        folds = await asyncio.gather(*(views.get(RUN) for _ in range(5)))

        assert {fold.last_seq for fold in folds} == {number + 2}
