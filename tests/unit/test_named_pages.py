"""Pages that the caller named: told to agents, opened without a search; and the toolbox that has no tool."""

import pytest

from tests.fakes import PagesInMemory, Purse, ScriptedModel, page
from wideseek.contracts import RunRequest
from wideseek.messages import ToolCall
from wideseek.prompts import subagent_task, whole_task
from wideseek.retrieval_tools import RetrievalTools
from wideseek.tools import Admitted, NoTools
from wideseek.trajectory import ToolResult

ODD = [
    'https://e.org/wiki/"Weird_Al"_Yankovic',
    "https://e.org/wiki/Mali_[region]",
    "https://e.org/wiki/Washington_D.C.",
    "notes/plain path",
    "made:mali",
]


async def opened(url: str, *named: str) -> ToolResult:
    """What accessing the page gives an agent whose caller named some."""
    pages = PagesInMemory([page(url, "The page", "Capital: Bamako")])
    tools = RetrievalTools(pages, ScriptedModel([]), Purse(), task="Capital?", urls=named)
    (admitted,) = tools.admit([ToolCall(name="access", arguments={"urls": [url]})])
    assert isinstance(admitted, Admitted)
    return await tools.call(1, admitted, 10_000)


@pytest.mark.parametrize("url", ODD)
async def test_a_named_page_may_be_opened_however_it_is_spelt(url: str) -> None:
    result = await opened(url, *ODD)

    assert not result.failed
    assert "Capital: Bamako" in result.content


async def test_a_page_that_was_not_named_must_be_found_first() -> None:
    result = await opened("made:mali", "made:niger")

    assert result.failed
    assert "search first" in result.content


@pytest.mark.parametrize("mode", ["multi_agent", "single_agent", "sequential", "oracle_retrieval"])
def test_named_pages_stand_in_the_task(mode: str) -> None:
    request = RunRequest.model_validate({"query": "Which?", "mode": mode, "sources": {"urls": ODD}})

    listed = "# Pages\n" + "\n".join(f"- {url}" for url in ODD)
    assert whole_task(request, "en").endswith(listed)
    assert listed in subagent_task(request, "One part.", "en")


def test_a_closed_book_is_not_told_which_pages_hold_the_answer() -> None:
    request = RunRequest.model_validate({"query": "哪些国家？", "mode": "closed_book", "sources": {"urls": ODD}})

    assert whole_task(request, "zh") == "# 任务\n哪些国家？"


async def test_an_empty_toolbox_answers_every_call_with_that() -> None:
    call = ToolCall(name="search", arguments={"queries": ["x"]})
    tools = NoTools()

    (refused,) = tools.admit([call])
    served = await tools.call(1, Admitted(call=call, items=({"query": "x"},)), 100)

    assert refused == served == ToolResult(call=call, content="There are no tools: answer from memory.", failed=True)
    assert list(tools.specs) == []
