"""One delivery at a worker's desk, over a real run log: claimed, worked on, ended once."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from services.kit.keys import Keys
from services.kit.queue import Delivery
from services.kit.redis import connect
from services.kit.runlog import LEAD, Fence, RunLog
from services.worker.loop import UserCancelled
from services.worker.metrics import WorkerMetrics
from services.worker.subagent import SubagentDesk
from tests.fakes import PagesInMemory, ScriptedModel, page
from tests.unit.test_agent import call
from wideseek.contracts import AccessResponse, RunRequest, SearchResponse
from wideseek.errors import RetrievalUnavailable
from wideseek.events import (
    Event,
    RunCompleted,
    RunCreated,
    SubagentCancelled,
    SubagentCompleted,
    SubagentFailed,
    SubagentQueued,
    TurnCompleted,
)
from wideseek.ports import ChatModel
from wideseek.trajectory import StopReason

RUN = "ws_desk"
SUBTASK = Delivery(RUN, "s1", 2)
SEARCH = call("search", queries=[{"query": "Mali"}])
MALI = page("made:mali", "Mali", "Capital: Bamako")


@dataclass
class OneModel:
    """The same policy under every name."""

    policy: ScriptedModel

    async def model(self, name: str) -> ChatModel:
        return self.policy


class DeadRetrieval(PagesInMemory):
    """A service nobody reaches."""

    async def search(self, queries: Sequence[str], count: int) -> SearchResponse:
        raise RetrievalUnavailable("nobody there")

    async def access(self, urls: Sequence[str], info_to_extract: str | None) -> AccessResponse:
        raise RetrievalUnavailable("nobody there")


@dataclass
class Stuck(ScriptedModel):
    """A policy that thinks for ever from its second completion on, or from the first when nothing is scripted."""

    thinking: asyncio.Event = field(default_factory=asyncio.Event)

    async def complete(self, *args: object, **options: object) -> object:  # type: ignore[override]
        if len(self.asked) == len(list(self.replies)):  # type: ignore[arg-type]
            self.thinking.set()
            await asyncio.Event().wait()
        return await super().complete(*args, **options)  # type: ignore[arg-type]


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[RunLog]:
    async with connect(redis_url) as redis:
        log = RunLog(redis, Keys("test"))
        await log.create(RunCreated(run_id=RUN, request=RunRequest(query="?"), model="m", deadline=time.time() + 60))
        await log.append(RUN, [SubagentQueued(subtask_id="s1", turn=1, index=0, prompt="Capital of Mali?")])
        yield log


def desk(log: RunLog, policy: ScriptedModel, retrieval: PagesInMemory | None = None) -> SubagentDesk:
    pages = retrieval or PagesInMemory([MALI])
    return SubagentDesk(log, OneModel(policy), lambda _: pages, WorkerMetrics(), "w1", patience_s=0.1)


async def events_of(log: RunLog, kind: type[Event]) -> list[Event]:
    return [logged.event for logged in await log.read(RUN) if isinstance(logged.event, kind)]


async def begin_and_stop(log: RunLog, policy: Stuck) -> None:
    """A worker begins, gets as far as its script goes, and is asked to stop."""
    working = asyncio.ensure_future(desk(log, policy).work_on(SUBTASK))
    await asyncio.wait_for(policy.thinking.wait(), 10)
    working.cancel()
    await asyncio.wait({working})


async def test_a_subtask_is_worked_on_and_reported(log: RunLog) -> None:
    await desk(log, ScriptedModel([SEARCH, "It is Bamako."])).work_on(SUBTASK)

    (end,) = await events_of(log, SubagentCompleted)
    assert end == SubagentCompleted(
        at=end.at, subtask_id="s1", attempt=1, report="It is Bamako.", stop_reason=StopReason.ANSWERED, num_turns=2
    )


async def test_a_message_delivered_again_after_the_end_does_nothing(log: RunLog) -> None:
    await desk(log, ScriptedModel(["done"])).work_on(SUBTASK)
    again = ScriptedModel([])

    await desk(log, again).work_on(SUBTASK)

    assert len(await events_of(log, SubagentCompleted)) == 1
    assert again.asked == []


async def test_a_second_attempt_goes_on_where_the_first_was_cut_off(log: RunLog) -> None:
    await begin_and_stop(log, Stuck([SEARCH]))
    second = ScriptedModel(["It is Bamako."])

    await desk(log, second).work_on(SUBTASK)

    (end,) = await events_of(log, SubagentCompleted)
    assert isinstance(end, SubagentCompleted)
    assert (end.attempt, end.num_turns) == (2, 2)
    assert len(second.asked) == 1
    assert "[Doc 1] Mali" in second.asked[0]


async def test_a_subtask_that_keeps_killing_its_worker_is_given_up_as_poison(log: RunLog) -> None:
    for _ in range(3):
        await log.claim(RUN, "sub:s1")  # three workers died here without a word
    model = ScriptedModel([])

    await desk(log, model).work_on(SUBTASK)

    (end,) = await events_of(log, SubagentFailed)
    assert isinstance(end, SubagentFailed)
    assert end.error.code == "poison"
    assert model.asked == []


async def test_a_worker_that_was_asked_to_stop_is_not_counted_against_the_subtask(log: RunLog) -> None:
    for _ in range(5):
        await begin_and_stop(log, Stuck([]))

    await desk(log, ScriptedModel(["done"] * 3)).work_on(SUBTASK)

    assert len(await events_of(log, SubagentCompleted)) == 1


async def test_an_outage_that_lasts_ends_the_subtask_with_the_services_name(log: RunLog) -> None:
    await desk(log, ScriptedModel([SEARCH]), DeadRetrieval([])).work_on(SUBTASK)

    (end,) = await events_of(log, SubagentFailed)
    assert isinstance(end, SubagentFailed)
    assert end.error.service == "retrieval"


async def test_a_cancelled_run_stops_before_the_model_is_asked(log: RunLog) -> None:
    await log.request_cancel(RUN)
    model = ScriptedModel([])

    with pytest.raises(UserCancelled):
        await desk(log, model).work_on(SUBTASK)

    assert len(await events_of(log, SubagentCancelled)) == 1
    assert model.asked == []


async def test_nothing_is_begun_for_a_run_that_has_ended(log: RunLog) -> None:
    lead = Fence(LEAD, await log.claim(RUN, LEAD))
    await log.append(RUN, [RunCompleted(table=None, answer_text="")], lead, end=True)
    model = ScriptedModel([])

    await desk(log, model).work_on(SUBTASK)

    assert model.asked == []


async def test_a_newer_attempt_takes_the_pen_from_an_older_one(log: RunLog) -> None:
    class Overtaken(ScriptedModel):
        async def complete(self, *args: object, **options: object) -> object:  # type: ignore[override]
            await log.claim(RUN, "sub:s1")
            return await super().complete(*args, **options)  # type: ignore[arg-type]

    await desk(log, Overtaken(["too late"])).work_on(SUBTASK)

    assert await events_of(log, SubagentCompleted) == []
    assert await events_of(log, TurnCompleted) == []


async def test_a_deadline_that_has_passed_is_an_outcome(redis_url: str, log: RunLog) -> None:
    late = RunCreated(run_id="ws_late", request=RunRequest(query="?"), model="m", deadline=time.time() - 1)
    await log.create(late)
    await log.append("ws_late", [SubagentQueued(subtask_id="s1", turn=1, index=0, prompt="x")])

    await desk(log, Stuck([])).work_on(Delivery("ws_late", "s1", 2))

    end = (await log.read("ws_late"))[-1].event
    assert isinstance(end, SubagentCompleted)
    assert end.stop_reason is StopReason.DEADLINE
