"""Subagents in process, and what is handed back when something ran out."""

import asyncio

import pytest

from tests.fakes import PagesInMemory, Purse, ScriptedModel, page
from wideseek import agents
from wideseek.agent import Agent
from wideseek.contracts import RunRequest
from wideseek.errors import RetrievalUnavailable
from wideseek.events import AgentEvent
from wideseek.messages import Completion
from wideseek.ports import Subtask
from wideseek.prompts import instructions, language_of, subagent_task, turn_hint
from wideseek.retrieval_tools import RetrievalTools
from wideseek.subagents import FAILED_REPORT, InProcessSubagents, report_text
from wideseek.trajectory import Role, StopReason, ToolResult, Trajectory, Turn

MALI = page("made:mali", "Mali", "Capital: Bamako")


async def ignore(_: AgentEvent) -> None:
    """Take no note."""


def ended(stop: StopReason, *turns: Turn) -> Trajectory:
    return Trajectory(agent_id="s", role=Role.SUBAGENT, task="", turns=turns, stop_reason=stop)


def said(text: str, *contents: str) -> Turn:
    return Turn(completion=Completion(text=text), results=tuple(ToolResult(content=content) for content in contents))


def team(model: ScriptedModel) -> InProcessSubagents:
    def make(subtask: Subtask) -> tuple[Agent, str]:
        tools = RetrievalTools(PagesInMemory([MALI]), model, Purse(), task=subtask.prompt)
        agent = Agent(agents.subagent(), model, tools, Purse(), ignore, agent_id=subtask.subtask_id)
        return agent, subagent_task(RunRequest(query="What?"), subtask.prompt, "en")

    return InProcessSubagents(make, max_parallel=2)


def subtasks(*prompts: str) -> list[Subtask]:
    return [Subtask(subtask_id=f"s{n}", prompt=prompt, turn=1, index=n) for n, prompt in enumerate(prompts)]


async def test_reports_keep_the_order_of_the_subtasks() -> None:
    model = ScriptedModel(lambda prompt: "about " + prompt.rpartition("# Your subtask\n")[2].splitlines()[0])

    reports = await team(model).run(subtasks("Mali", "Chad", "Niger"))

    assert [report.text for report in reports] == ["about Mali", "about Chad", "about Niger"]
    assert [report.trajectory.agent_id for report in reports if report.trajectory] == ["s0", "s1", "s2"]


async def test_an_outage_in_one_is_raised_for_all() -> None:
    with pytest.raises(RetrievalUnavailable):
        await team(ScriptedModel([RetrievalUnavailable("down"), "fine"])).run(subtasks("a", "b"))
    assert len(asyncio.all_tasks()) == 1


def test_an_answer_is_reported_without_its_thinking() -> None:
    assert report_text(agents.subagent(), ended(StopReason.ANSWERED, said("<think>hm</think>Bamako."))) == "Bamako."


def test_partial_findings_are_what_was_last_said() -> None:
    text = report_text(agents.subagent(), ended(StopReason.TURN_LIMIT, said("Bamako it is."), said("<tool_call>{}")))

    assert text == "Not finished (turn_limit). So far:\nBamako it is."


def test_with_nothing_said_they_are_what_the_last_tool_told() -> None:
    call = '<tool_call>{"name": "search"}</tool_call>'

    text = report_text(agents.subagent(), ended(StopReason.CONTEXT_LIMIT, said(call, "Capital: Bamako")))

    assert "Capital: Bamako" in text


def test_the_reference_loses_partial_findings() -> None:
    spec = agents.reference_compat(agents.subagent())

    assert report_text(spec, ended(StopReason.TURN_LIMIT, said("Bamako."))) == FAILED_REPORT


def test_a_chinese_query_is_worked_on_in_chinese() -> None:
    assert language_of("列出非洲所有内陆国家的首都和面积") == "zh"
    assert language_of("For Mali (马里): capital") == "en"
    assert "子智能体" in instructions(Role.LEAD, "zh", limit=5)
    assert "最后一轮" in turn_hint("zh", 3, 3, final=True)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_role_is_told_its_limit(role: Role, language: str) -> None:
    text = instructions(role, language, limit=7)

    assert " 7 " in text
    assert "$" not in text
