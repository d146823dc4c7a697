"""Every mode at the orchestrator's desk, over a real run log: who works, with what, and what a takeover costs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from services.kit.keys import Keys
from services.kit.queue import Delivery, Producer
from services.kit.redis import connect
from services.kit.runlog import LEAD, Fence, RunLog
from services.orchestrator.lead import LeadDesk
from services.orchestrator.modes import with_own_limits
from services.orchestrator.subagents import Quorum
from services.orchestrator.views import RunViews
from services.worker.metrics import WorkerMetrics
from services.worker.subagent import SubagentDesk
from tests.fakes import PagesInMemory, ScriptedModel, page
from tests.integration.orchestrator_replica import eventually
from tests.integration.test_subagent_desk import DeadRetrieval, Stuck
from tests.unit.test_agent import call
from wideseek.contracts import Run, RunRequest, RunStatus
from wideseek.errors import RetrievalUnavailable
from wideseek.events import (
    Event,
    RunCreated,
    SubagentCompleted,
    SubagentQueued,
    ToolCompleted,
    TurnCompleted,
    TurnStarted,
)
from wideseek.ports import ChatModel
from wideseek.trajectory import Role, StopReason

RUN = "ws_modes"
MALI = page("made:mali", "Mali", "Capital: Bamako")
SEARCH = call("search", queries=[{"query": "Mali"}])
ACCESS = call("access", urls=[{"url": "made:mali", "info_to_extract": "capital"}])
TABLE = "| Country | Capital |\n|---|---|\n| Mali | Bamako |"
THREE = call("call_subagent", subtasks=[{"prompt": name} for name in ("Mali", "Chad", "Niger")])


@dataclass
class Policies:
    """Policies by name; what was asked for is kept."""

    policies: dict[str, ScriptedModel]
    opened: list[str] = field(default_factory=list)

    async def model(self, name: str) -> ChatModel:
        self.opened.append(name)
        return self.policies[name]


@dataclass
class Messages:
    """The queue as a list: what was published, in order."""

    sent: list[Delivery] = field(default_factory=list)

    async def publish(self, run_id: str, subtask_id: str, queued_seq: int, deadline: float | None = None) -> None:
        self.sent.append(Delivery(run_id, subtask_id, queued_seq, None, deadline))


@dataclass
class Bench:
    """One run in the log, and desks to work on it."""

    log: RunLog
    messages: Messages = field(default_factory=Messages)

    async def create(self, **fields: Any) -> None:
        request = with_own_limits(RunRequest.model_validate({"query": "Capital of Mali?", **fields}))
        await self.log.create(RunCreated(run_id=RUN, request=request, model="big", deadline=time.time() + 60))

    async def work(self, model: ScriptedModel, pages: PagesInMemory | None = None) -> Run:
        """Claim the run and bring it to its end."""
        await self.desk(model, pages).work_on_run(RUN, await self.claim(), asyncio.Event())
        return await self.run()

    @asynccontextmanager
    async def working(self, model: ScriptedModel) -> AsyncIterator["asyncio.Future[None]"]:
        """A replica at work; leaving the block kills it, with nothing written that it had not written before."""
        working = asyncio.ensure_future(self.desk(model).work_on_run(RUN, await self.claim(), asyncio.Event()))
        try:
            yield working
        finally:
            working.cancel()
            await asyncio.wait({working})

    def desk(self, model: ScriptedModel, pages: PagesInMemory | None = None) -> LeadDesk:
        return LeadDesk(
            log=self.log,
            producer=cast("Producer", self.messages),
            engines=Policies({"big": model}),
            retrieval=lambda _: pages or PagesInMemory([MALI]),
            quorum=Quorum(share=0.5, grace_s=0),
            patience_s=0.1,
        )

    async def claim(self) -> Fence:
        return Fence(LEAD, await self.log.claim(RUN, LEAD))

    async def run(self) -> Run:
        return await RunViews(self.log).run(RUN)

    async def sent(self, number: int) -> None:
        """Wait until so many messages have been published; more there must not be."""
        await eventually(lambda: len(self.messages.sent) >= number, f"message {number}")
        assert len(self.messages.sent) == number

    async def report(self, delivery: Delivery) -> None:
        """A worker's part, done."""
        owner = f"sub:{delivery.subtask_id}"
        attempt = await self.log.claim(RUN, owner)
        done = SubagentCompleted(
            subtask_id=delivery.subtask_id, attempt=attempt, report="x", stop_reason=StopReason.ANSWERED, num_turns=1
        )
        await self.log.append(RUN, [done], Fence(owner, attempt), end=True)

    async def events(self, *kinds: type[Event]) -> list[Any]:
        return [logged.event for logged in await self.log.read(RUN) if isinstance(logged.event, kinds)]


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    async with connect(redis_url) as redis:
        yield Bench(RunLog(redis, Keys("test")))


async def test_a_single_agent_searches_reads_and_answers(bench: Bench) -> None:
    await bench.create(mode="single_agent")

    run = await bench.work(ScriptedModel([SEARCH, ACCESS, TABLE]))

    assert run.status is RunStatus.COMPLETED
    assert run.table is not None
    assert run.table.rows == (("Mali", "Bamako"),)
    assert [source.url for source in run.sources] == ["made:mali"]
    assert run.usage["single"].model_calls == 3
    assert {(event.agent_id, event.role) for event in await bench.events(TurnCompleted)} == {(LEAD, Role.SINGLE)}
    assert bench.messages.sent == []


async def test_a_single_agent_goes_on_where_a_dead_replica_left_it(bench: Bench) -> None:
    await bench.create(mode="single_agent")
    first = Stuck([SEARCH])
    async with bench.working(first):
        await asyncio.wait_for(first.thinking.wait(), 10)
    second = ScriptedModel([ACCESS, TABLE])

    run = await bench.work(second)

    assert run.status is RunStatus.COMPLETED
    assert "[Doc 1] Mali" in second.asked[0]
    results = [event.result for event in await bench.events(ToolCompleted)]
    assert [(result.call.name, result.failed) for result in results] == [("search", False), ("access", False)]
    assert [event.turn for event in await bench.events(TurnCompleted)] == [1, 2, 3]


async def test_a_cancelled_single_agent_stops_in_the_middle_of_a_turn(bench: Bench) -> None:
    await bench.create(mode="single_agent")
    model, cancel = Stuck([SEARCH]), asyncio.Event()
    working = asyncio.ensure_future(bench.desk(model).work_on_run(RUN, await bench.claim(), cancel))
    await asyncio.wait_for(model.thinking.wait(), 10)
    await bench.log.request_cancel(RUN)

    cancel.set()
    await asyncio.wait_for(working, 5)

    run = await bench.run()
    assert run.status is RunStatus.CANCELLED
    assert run.cancellation is not None
    assert run.cancellation.tokens_after_cancel == 0


async def test_an_outage_of_retrieval_fails_a_single_agent_as_itself(bench: Bench) -> None:
    await bench.create(mode="single_agent")

    with pytest.raises(RetrievalUnavailable, match="nobody there"):
        await bench.work(ScriptedModel([SEARCH]), DeadRetrieval([]))


async def test_a_single_agent_that_spends_its_turns_says_so(bench: Bench) -> None:
    await bench.create(mode="single_agent", limits={"max_turns": 2})

    run = await bench.work(ScriptedModel([SEARCH, SEARCH]))

    assert run.status is RunStatus.INCOMPLETE
    assert run.incomplete_reason == "turn_limit"


async def test_a_single_agent_spends_the_runs_purse(bench: Bench) -> None:
    await bench.create(mode="single_agent", limits={"max_tool_calls": 1})
    model = ScriptedModel([SEARCH, ACCESS, TABLE])

    await bench.work(model)

    assert "used up" in model.asked[2]


async def test_a_closed_book_has_one_turn_no_tool_and_no_hint_of_the_pages(bench: Bench) -> None:
    await bench.create(mode="closed_book", sources={"urls": ["made:mali"]})
    model = ScriptedModel([TABLE])

    run = await bench.work(model, DeadRetrieval([]))

    assert run.status is RunStatus.COMPLETED
    assert run.limits.max_turns == 1
    (prompt,) = model.asked
    assert "<tool" not in prompt
    assert "made:mali" not in prompt
    assert model.finals == [True]


async def test_a_call_in_a_closed_book_is_no_answer(bench: Bench) -> None:
    await bench.create(mode="closed_book")

    run = await bench.work(ScriptedModel([SEARCH]), DeadRetrieval([]))

    assert run.status is RunStatus.INCOMPLETE
    assert await bench.events(ToolCompleted) == []


async def test_a_question_is_answered_by_its_box(bench: Bench) -> None:
    await bench.create(mode="single_agent", output="answer")

    run = await bench.work(ScriptedModel([SEARCH, r"It is \boxed{Bamako}."]))

    assert run.status is RunStatus.COMPLETED
    assert (run.answer, run.answer_text, run.table) == ("Bamako", r"It is \boxed{Bamako}.", None)


async def test_a_question_without_a_box_is_not_answered(bench: Bench) -> None:
    await bench.create(mode="single_agent", output="answer")

    run = await bench.work(ScriptedModel(["It is Bamako."]))

    assert run.status is RunStatus.INCOMPLETE
    assert run.incomplete_reason == "no_answer"
    assert (run.answer, run.answer_text) == (None, "It is Bamako.")


async def test_one_by_one_a_subtask_is_handed_out_when_the_one_before_has_ended(bench: Bench) -> None:
    await bench.create(mode="sequential")
    async with bench.working(ScriptedModel([THREE, TABLE])) as working:
        for number in (1, 2, 3):
            await bench.sent(number)
            assert len(await bench.events(SubagentQueued)) == number
            await bench.report(bench.messages.sent[-1])
        await asyncio.wait_for(working, 10)

    run = await bench.run()
    assert run.status is RunStatus.COMPLETED
    assert run.progress.subagents.completed == 3
    assert [event.prompt for event in await bench.events(SubagentQueued)] == ["Mali", "Chad", "Niger"]


async def test_one_by_one_holds_for_several_calls_of_one_turn(bench: Bench) -> None:
    await bench.create(mode="sequential")
    calls = "".join(call("call_subagent", subtasks=[{"prompt": name}]) for name in ("Mali", "Chad"))
    async with bench.working(ScriptedModel([calls, TABLE])) as working:
        for number in (1, 2):
            await bench.sent(number)
            assert len(await bench.events(SubagentQueued)) == number
            await bench.report(bench.messages.sent[-1])
        await asyncio.wait_for(working, 10)


async def test_one_by_one_a_takeover_waits_for_what_is_under_way(bench: Bench) -> None:
    await bench.create(mode="sequential")
    async with bench.working(ScriptedModel([THREE])):
        await bench.sent(1)
        await bench.report(bench.messages.sent[-1])
        await bench.sent(2)
    async with bench.working(ScriptedModel([TABLE])) as working:
        await bench.sent(3)
        assert len(await bench.events(SubagentQueued)) == 2
        for number in (3, 4):
            await bench.sent(number)
            await bench.report(bench.messages.sent[-1])
        await asyncio.wait_for(working, 10)

    assert bench.messages.sent[1] == bench.messages.sent[2]
    assert len(await bench.events(SubagentQueued)) == 3
    assert (await bench.run()).status is RunStatus.COMPLETED


async def test_one_by_one_the_deadline_leaves_the_rest_unasked(bench: Bench) -> None:
    request = RunRequest.model_validate({"query": "?", "mode": "sequential"})
    await bench.log.create(RunCreated(run_id=RUN, request=request, model="big", deadline=time.time() + 0.3))

    run = await bench.work(ScriptedModel([THREE]))

    assert run.incomplete_reason == "width_starved"
    assert len(await bench.events(SubagentQueued)) == 1


async def test_subagents_use_the_model_named_for_them(bench: Bench) -> None:
    request = RunRequest.model_validate({"query": "Capital of Mali?", "output": "answer", "subagent_model": "small"})
    created = RunCreated(run_id=RUN, request=request, model="big", subagent_model="small", deadline=time.time() + 60)
    await bench.log.create(created)
    await bench.log.append(RUN, [SubagentQueued(subtask_id="s1", turn=1, index=0, prompt="Capital of Mali?")])
    small = ScriptedModel(["It is Bamako."])
    engines = Policies({"small": small})
    desk = SubagentDesk(bench.log, engines, lambda _: PagesInMemory([MALI]), WorkerMetrics(), "w1")

    await desk.work_on(Delivery(RUN, "s1", 2))

    assert engines.opened == ["small"]
    assert "# Main question" in small.asked[0]
    assert len(await bench.events(TurnStarted)) == 1
    assert (await bench.run()).subagent_model == "small"
