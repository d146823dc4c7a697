"""Agents in the compact profile: what their tools answer, and what stands at the end of a turn."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import EchoSubagents, PagesInMemory, Purse, ScriptedModel, page
from tests.unit.test_agent import call
from wideseek import agents
from wideseek.agent import Agent
from wideseek.budgets import GAP, Budgets, select
from wideseek.compact import page_lines, page_tokens
from wideseek.contracts import Output, Page, Passage, PromptProfile, RunRequest, profile_of
from wideseek.delegation import DelegationTools
from wideseek.events import AgentEvent
from wideseek.messages import ToolCall
from wideseek.ports import SubagentReport, Subtask
from wideseek.prompts import turn_hint
from wideseek.retrieval_tools import RetrievalTools
from wideseek.tools import Admitted, access_spec, call_subagent_spec, search_spec
from wideseek.trajectory import Role, StopReason, ToolResult

COMPACT = PromptProfile.COMPACT
MODEL = ScriptedModel([], max_model_len=8_192)
"""A token is a character here."""
MALI = page("made:mali", "Mali", "# Mali\n\nProfile of Mali.\nCapital: [Bamako](made:bamako)\nArea: 1,240,192 sq km\n")
CHAD = page("made:chad", "Chad", "# Chad\n\nProfile of Chad.\nCapital: N'Djamena\n")


async def unheard(_: AgentEvent) -> None:
    """Take no note."""


def tools_over(*pages: Page, task: str = "made:mali made:chad made:long made:none") -> RetrievalTools:
    return RetrievalTools(PagesInMemory(pages), MODEL, Purse(), task=task, spec=agents.subagent(profile=COMPACT))


async def answered(tools: RetrievalTools, name: str, *items: dict[str, str], room: int = 5_000) -> ToolResult:
    return await tools.call(1, Admitted(call=ToolCall(name=name, arguments={}), items=items), room)


# ---- search and access ------------------------------------------------------------------------


async def test_hits_are_titles_and_addresses_numbered_query_by_query() -> None:
    result = await answered(tools_over(MALI, CHAD), "search", {"query": "bamako"}, {"query": "chad"}, {"query": "ulm"})

    assert result.content == "1. Mali (made:mali)\n1. Chad (made:chad)\nNo results."
    assert result.sources == ()


async def test_what_a_search_found_may_be_opened() -> None:
    tools = tools_over(MALI, task="nothing named")
    refused = await answered(tools, "access", {"url": "made:mali", "info_to_extract": "capital"})

    await answered(tools, "search", {"query": "mali"})
    opened = await answered(tools, "access", {"url": "made:mali", "info_to_extract": "capital"})

    assert "Bamako" not in refused.content
    assert "Bamako" in opened.content


async def test_a_page_is_its_title_and_the_lines_that_serve_the_need() -> None:
    long = page("made:long", "Long", "# Long\n\nA realm.\n" + "".join(f"Fact {n}: value {n}\n" for n in range(40)))

    result = await answered(tools_over(long), "access", {"url": "made:long", "info_to_extract": "Fact 31:"})

    first, *lines = result.content.splitlines()
    assert first == "Long (made:long)"
    assert "Fact 31: value 31" in lines
    assert all(long.text[source.start : source.end].strip() in long.text for source in result.sources)
    assert {source.url for source in result.sources} == {"made:long"}


async def test_links_are_text_and_pages_without_a_need_are_whole() -> None:
    result = await answered(tools_over(MALI), "access", {"url": "made:mali", "info_to_extract": ""})

    assert result.content == "Mali (made:mali)\nProfile of Mali.\nCapital: Bamako\nArea: 1240192 sq km"


async def test_a_page_that_is_not_there_is_said() -> None:
    result = await answered(tools_over(MALI), "access", {"url": "made:none", "info_to_extract": "capital"})

    assert "made:none" in result.content
    assert "No page has this url." in result.content


async def test_a_long_page_takes_no_more_than_its_share_of_the_context() -> None:
    long = page("made:long", "Long", "\n".join(f"Field {number}: value {number}" for number in range(500)))

    result = await answered(tools_over(long), "access", {"url": "made:long", "info_to_extract": ""})

    assert page_tokens(8_192) - 60 < len(result.content) <= page_tokens(8_192) == 682
    assert page_tokens(8_192) < Budgets(8_192).page


async def test_pages_share_the_room_that_is_left() -> None:
    pages = [page(f"made:{name}", name, "\n".join(f"{name} {n}: {n}" for n in range(99))) for name in ("long", "mali")]
    items = [{"url": one.url, "info_to_extract": ""} for one in pages]

    result = await answered(tools_over(*pages), "access", *items, room=300)

    first, second = result.content.split("\n\n")
    assert (first.splitlines()[0], second.splitlines()[0]) == ("long (made:long)", "mali (made:mali)")
    assert max(len(first), len(second)) <= 150


def test_the_tools_are_those_of_the_spec() -> None:
    spec = agents.subagent("zh", max_items=3, profile=COMPACT)

    tools = RetrievalTools(PagesInMemory([]), MODEL, Purse(), task="", spec=spec)

    assert list(tools.specs) == [search_spec(3, "zh", COMPACT), access_spec(3, "zh", COMPACT)]
    assert list(RetrievalTools(PagesInMemory([]), MODEL, Purse(), task="").specs) == [
        search_spec(5, "en"),
        access_spec(5, "en"),
    ]


# ---- spans ------------------------------------------------------------------------------------


def lines_of(text: str) -> list[Passage]:
    found, start = [], 0
    for line in text.splitlines(keepends=True):
        found.append(Passage(start=start, end=start + len(line.rstrip("\n"))))
        start += len(line)
    return found


async def test_only_passages_are_taken_where_a_way_to_show_them_is_given() -> None:
    text = "# Mali\nCapital: Bamako\nArea: 3\n"
    some = lines_of(text)[1:2]

    shown = await select(MODEL, text, some, 1_000, show=page_lines)

    assert shown == [(7, 22)]
    assert text[7:22] == "Capital: Bamako"
    assert await select(MODEL, text, some, 1_000) == [(0, len(text))]


async def test_what_is_shown_counts_and_not_what_stands_there() -> None:
    """Ten lines of 40 characters of address and 5 of text fit 70 characters as they are shown, not as they stand."""
    text = "\n".join(f"[Land{number}](https://example.org/{'x' * 20}/{number})" for number in range(10))
    passages = lines_of(text)

    shown = await select(MODEL, text, passages, 70, show=page_lines)
    plain = await select(MODEL, text, passages, 70)

    assert page_lines([text[start:end] for start, end in shown]).splitlines() == [f"Land{n}" for n in range(10)]
    assert len(GAP.join(text[start:end] for start, end in plain)) <= 70


@settings(deadline=None)
@given(st.lists(st.text("ab# c", max_size=30), min_size=1, max_size=12), st.integers(1, 120))
async def test_shown_spans_fit_and_stand_in_the_order_of_the_text(lines: list[str], limit: int) -> None:
    text = "\n".join(lines)

    spans = await select(MODEL, text, lines_of(text)[::-1], limit, show=page_lines)

    assert len(page_lines([text[start:end] for start, end in spans])) <= limit
    assert spans == sorted(spans)


# ---- reports ----------------------------------------------------------------------------------


@dataclass
class Ending:
    """Subagents that end as they are told to."""

    ends: Sequence[tuple[str, StopReason | None]]

    async def run(self, subtasks: Sequence[Subtask]) -> list[SubagentReport]:
        return [
            SubagentReport(subtask_id=subtask.subtask_id, text=text, stop_reason=stop)
            for subtask, (text, stop) in zip(subtasks, self.ends, strict=True)
        ]


async def delegated(tools: DelegationTools, *prompts: str, notes: Sequence[str] = ()) -> ToolResult:
    items = tuple({"prompt": prompt} for prompt in prompts)
    admitted = Admitted(call=ToolCall(name="call_subagent", arguments={}), items=items, notes=tuple(notes))
    return await tools.call(1, admitted, 8_000)


async def test_reports_of_a_wave_are_numbered_lines() -> None:
    tools = DelegationTools("ws_1", EchoSubagents(), MODEL, profile=COMPACT)

    result = await delegated(tools, "Mali", "Chad", notes=["Did not run: Niger"])

    assert result.content == "1. done: Mali\n2. done: Chad\nDid not run: Niger"
    assert (len(result.subtask_ids), result.failed) == (2, False)
    assert list(tools.specs) == [call_subagent_spec(20, "en", COMPACT)]


async def test_how_a_report_ended_is_said_where_it_is_no_answer() -> None:
    ends = [("A: 1 | B: 2", StopReason.ANSWERED), ("half", StopReason.TURN_LIMIT), ("gone", None)]
    tools = DelegationTools("ws_1", Ending(ends), MODEL, profile=COMPACT)

    result = await delegated(tools, "a", "b", "c")

    assert result.content == "1. A: 1 | B: 2\n2. (turn_limit) half\n3. (failed) gone"
    assert not result.failed


async def test_a_wave_that_failed_as_a_whole_is_a_failed_result() -> None:
    result = await delegated(DelegationTools("ws_1", Ending([("x", None)]), MODEL, profile=COMPACT), "a")

    assert result.failed


async def test_long_reports_share_half_the_context() -> None:
    tools = DelegationTools("ws_1", EchoSubagents(report=lambda _: "long " * 5_000), MODEL, profile=COMPACT)

    result = await delegated(tools, *(f"p{number}" for number in range(10)))

    assert 3_000 < len(result.content) < 4_096 + 10 * 8
    assert [line.partition(" ")[0] for line in result.content.splitlines()] == [f"{n}." for n in range(1, 11)]


# ---- agents -----------------------------------------------------------------------------------


async def test_only_the_last_turn_is_hinted_at() -> None:
    model = ScriptedModel([call("call_subagent", subtasks=[{"prompt": "Mali"}]), "done"])
    spec = agents.lead(max_turns=2, profile=COMPACT)
    tools = DelegationTools("ws_1", EchoSubagents(), model, profile=COMPACT)

    await Agent(spec, model, tools, Purse(), unheard).run("What?")

    last = turn_hint("en", 2, 2, final=True, profile=COMPACT)
    first, second = model.asked
    assert first.endswith("What?")
    assert second.endswith(f"1. done: Mali\n{last}")
    assert last not in first


async def test_a_call_that_cannot_be_read_is_hinted_at_at_once() -> None:
    model = ScriptedModel(["<tool_call>{</tool_call>", "done"])
    tools = DelegationTools("ws_1", EchoSubagents(), model, profile=COMPACT)

    await Agent(agents.lead(profile=COMPACT), model, tools, Purse(), unheard).run("What?")

    assert model.asked[1].endswith(turn_hint("en", 2, 10, final=False, repair=True, profile=COMPACT))


@pytest.mark.parametrize("profile", PromptProfile)
@pytest.mark.parametrize("output", Output)
def test_each_agent_keeps_its_limits_in_either_profile(output: Output, profile: PromptProfile) -> None:
    specs = [
        agents.lead(max_turns=4, max_width=3, output=output, profile=profile),
        agents.subagent(max_turns=5, max_items=2, output=output, profile=profile),
        agents.single(max_turns=6, max_items=1, output=output, profile=profile),
        agents.closed_book(output=output, profile=profile),
    ]

    found = [(spec.role, spec.max_turns, spec.max_items) for spec in specs]
    assert found == [(Role.LEAD, 4, 3), (Role.SUBAGENT, 5, 2), (Role.SINGLE, 6, 1), (Role.SINGLE, 1, 1)]
    assert {spec.profile for spec in specs} == {profile}


def test_a_request_that_was_never_resolved_has_the_full_profile() -> None:
    asked = RunRequest(query="?")

    assert asked.prompt_profile is None
    assert profile_of(asked) is PromptProfile.FULL
    assert profile_of(RunRequest(query="?", prompt_profile=COMPACT)) is COMPACT


@pytest.mark.parametrize(("profile", "handed_out"), [(COMPACT, ["Mali", "Chad"]), (PromptProfile.FULL, 4 * ["Mali"])])
def test_a_subtask_that_a_call_names_twice_is_handed_out_once(profile: PromptProfile, handed_out: list[str]) -> None:
    tools = DelegationTools("run", EchoSubagents(), MODEL, max_width=4, profile=profile)
    named = ["Mali", "Mali", " Mali", "Mali ", "Mali"] if profile is PromptProfile.FULL else ["Mali", "Chad", " Mali "]
    subtasks = [{"prompt": name} for name in named]

    (admitted,) = tools.admit([ToolCall(name="call_subagent", arguments={"subtasks": subtasks})])

    assert isinstance(admitted, Admitted)
    assert [item["prompt"].strip() for item in admitted.items] == handed_out
