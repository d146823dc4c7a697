"""The expert's turns in the compact profile, on contexts made by hand."""

import functools
from typing import Any

import pytest

from services.model.expert.calls import read_calls
from services.model.expert.compact import need_of, prompt_of, read_prompt
from services.model.expert.conversation import read_conversation
from services.model.expert.evidence import Evidence
from services.model.expert.pages import read_entries
from services.model.expert.policy import respond
from services.model.expert.questions import read_question
from services.model.expert.request import Request, read_request
from services.model.expert.research import Research
from services.model.expert.tasks import BorderList, Holding, Listing, Open, PageList, Row, Task
from services.model.expert.tokens import Tokens
from tests.expert_parts import tokenizer_file
from wideseek.agents import AgentSpec, lead, single, subagent
from wideseek.asks import answered, read_asks
from wideseek.compact import parted
from wideseek.contracts import Output, PromptProfile, RunRequest
from wideseek.prompts import subagent_task, turn_hint, whole_task
from wideseek.tools import access_spec, call_subagent_spec, search_spec

COMPACT = PromptProfile.COMPACT
MAKERS: dict[str, Any] = {"lead": lead, "subagent": subagent, "single": single}
LEAD, SUBAGENT = lead(max_width=3, profile=COMPACT), subagent(profile=COMPACT)
ASKED = RunRequest(query="Compare Kesh, Dorva, Ulm and Tar by capital and number of sheep")
NEIGHBOURS = RunRequest(query="neighbours of Kesh: Capital (name of the capital), Sheep (number of sheep)")
CHOSEN = RunRequest(query="for every landlocked country in Oceania: capital, number of sheep")
HITS = "1. New Kesh (r:2)\n2. Kesh (r:1)"
PAGE = "Kesh (r:1)\nSheep > total: 1,200\nCapital: Old Kesh"


def rendered(spec: AgentSpec, task: str, *history: str, final: bool = False) -> str:
    """The prompt of the turn after `history`: assistant texts and tool results in turn."""
    tools = [make(spec.max_items, spec.language, COMPACT).openai() for make in _makers(spec)]
    roles = ["assistant", "tool"] * len(history)
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": spec.instructions},
        {"role": "user", "content": task},
        *({"role": role, "content": text} for role, text in zip(roles, history, strict=False)),
    ]
    hint = turn_hint(spec.language, 2, 10, final=final, profile=COMPACT)
    messages[-1]["content"] = f"{messages[-1]['content']}\n\n{hint}".rstrip()
    return _tokens().render(messages, tools, add_generation_prompt=True)


@functools.cache
def _tokens() -> Tokens:
    return Tokens(tokenizer_file())


def _makers(spec: AgentSpec) -> list[Any]:
    return [call_subagent_spec] if spec.role.value == "lead" else [search_spec, access_spec]


def turn(spec: AgentSpec, task: str, *history: str, final: bool = False) -> str:
    return respond(rendered(spec, task, *history, final=final))[1]


def prompts(text: str) -> list[str]:
    return [subtask["prompt"] for _, arguments in read_calls(text) for subtask in parted(arguments)["subtasks"]]


# ---- what is recognised -----------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("output", Output)
@pytest.mark.parametrize("role", MAKERS)
def test_a_prompt_says_which_profile_it_is_of(role: str, output: Output, language: str) -> None:
    found = {
        profile: read_conversation(
            rendered(MAKERS[role](language, output=output, profile=profile), "# Task\nWhich?")
        ).compact
        for profile in PromptProfile
    }

    assert found == {PromptProfile.COMPACT: True, PromptProfile.FULL: False}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_last_turn_is_recognised_and_its_hint_is_no_part_of_the_task(language: str) -> None:
    spec = subagent(language, profile=COMPACT)

    last, other = (read_conversation(rendered(spec, "# Task\nWhich?", final=final)) for final in (True, False))

    assert (last.final, other.final) == (True, False)
    assert last.task.strip() == other.task.strip() == "# Task\nWhich?"


# ---- subtasks ---------------------------------------------------------------------------------

TABLE, QUESTION = read_request(ASKED.query, (), ()), read_question("Which land has the most sheep of all?", ())


@pytest.mark.parametrize(
    ("task", "text", "request_"),
    [
        (BorderList("Kesh and Dorva"), "Countries bordering Kesh and Dorva", TABLE),
        (Listing("Oceania"), "Countries of Oceania", TABLE),
        (Listing("Oceania", "sovereign countries"), "Sovereign countries of Oceania", TABLE),
        (PageList("Films", "", TABLE.scope.noun.lower()), "Entries of “Films”", TABLE),
        (PageList("Films", "Early", TABLE.scope.noun.lower()), "Entries of “Films”, section “Early”", TABLE),
        (Holding("capital", "Old Kesh"), "The country whose capital is “Old Kesh”", TABLE),
        (Open(QUESTION.text), QUESTION.text, QUESTION),
    ],
)
def test_a_subtask_is_read_as_it_was_worded(task: Task, text: str, request_: Request) -> None:
    assert prompt_of(task) == text
    assert read_prompt(text, request_) == task


def test_any_other_subtask_is_the_name_of_a_row_whose_facts_the_main_task_names() -> None:
    task = read_prompt("Kesh  and\nDorva", TABLE)

    assert isinstance(task, Row)
    assert task.name == "Kesh and Dorva"
    assert [column.casefold() for column in task.columns[1:]] == ["capital", "number of sheep"]
    assert prompt_of(task) == "Kesh and Dorva"


def test_a_question_loses_the_semicolons_that_would_part_it_and_is_recognised() -> None:
    question = read_question("Count the lands; which land has the most sheep of all?", ())

    asked = prompt_of(Open(question.text))

    assert parted({"subtasks": asked})["subtasks"] == [{"prompt": question.text.replace(";", ",")}]
    assert read_prompt(asked, question) == Open(question.text)


# ---- the lead ---------------------------------------------------------------------------------


def test_the_lead_hands_out_names_as_many_as_its_tool_allows() -> None:
    text = turn(LEAD, whole_task(ASKED, "en"))

    assert prompts(text) == ["Kesh", "Dorva", "Ulm"]
    assert "<think>" not in text


def test_what_failed_or_did_not_run_is_handed_out_again() -> None:
    task = whole_task(ASKED, "en")
    reports = (
        "1. Name: Kesh | Capital: Old Kesh | Number of sheep: 1200\n2. (failed)\nDid not run: Ulm (the limit is 2)"
    )

    again = turn(LEAD, task, turn(LEAD, task), reports)

    assert prompts(again) == ["Dorva", "Ulm", "Tar"]


def test_the_lead_answers_with_what_was_reported() -> None:
    task = whole_task(ASKED, "en")
    reports = (
        "1. Name: Kesh | Capital: Old Kesh | Number of sheep: 1200\n2. Name: Dorva | Capital: Ulle | Number of sheep: 7"
    )

    last = turn(LEAD, task, turn(LEAD, task), reports, final=True)

    assert "| Kesh | Old Kesh | 1200 |" in last
    assert "| Dorva | Ulle | 7 |" in last


def test_rows_are_those_that_were_listed() -> None:
    task = whole_task(NEIGHBOURS, "en")
    first = turn(LEAD, task)

    second = turn(LEAD, task, first, "1. Bordering Kesh: Dorva; Ulm and Tar")

    assert prompts(first) == ["Countries bordering Kesh"]
    assert second.startswith("<think>\nDorva yes; Ulm and Tar yes\n</think>\n")
    assert prompts(second) == ["Dorva", "Ulm and Tar"]


def test_names_on_several_lists_are_told_apart_one_by_one() -> None:
    task = whole_task(RunRequest(query="neighbours of Kesh or of Ulm: Capital, Sheep (number of sheep)"), "en")
    first = turn(LEAD, task)

    second = turn(LEAD, task, first, "1. Bordering Kesh: Dorva; Ulm; Tar\n2. Bordering Ulm: Kesh; Dorva")

    assert prompts(first) == ["Countries bordering Kesh", "Countries bordering Ulm"]
    assert second.startswith("<think>\nDorva yes; Ulm no; Tar yes; Kesh no; Dorva again\n</think>\n")
    assert prompts(second) == ["Dorva", "Tar"]


def test_names_outside_a_region_are_told_apart() -> None:
    query = "every country that borders Kesh, counting only countries in Oceania: capital, number of sheep"
    task = whole_task(RunRequest(query=query), "en")
    first = turn(LEAD, task)

    second = turn(LEAD, task, first, "1. Bordering Kesh: Dorva; Tar\n2. Countries of Oceania: Kesh; Tar; Ulm")

    assert prompts(first) == ["Countries bordering Kesh", "Countries of Oceania"]
    assert second.startswith("<think>\nDorva no; Tar yes\n</think>\n")
    assert prompts(second) == ["Tar"]


def test_a_row_that_a_subagent_says_no_to_is_not_in_the_answer() -> None:
    task = whole_task(CHOSEN, "en")
    first = turn(LEAD, task)
    found = "1. Countries of Oceania: Kesh; Dorva"
    second = turn(LEAD, task, first, found)
    reports = "1. Country: Kesh | Capital: Old Kesh | Number of sheep: 1200\n2. Country: Dorva | no"

    last = turn(LEAD, task, first, found, second, reports)

    assert prompts(first) == ["Countries of Oceania"]
    assert prompts(second) == ["Kesh", "Dorva"]
    assert "| Kesh | Old Kesh | 1200 |" in last
    assert "Dorva" not in last


# ---- the subagent -----------------------------------------------------------------------------


def test_a_subagent_searches_reads_and_reports_a_line() -> None:
    task = subagent_task(ASKED, "Kesh", "en")

    search = turn(SUBAGENT, task)
    access = turn(SUBAGENT, task, search, HITS)
    report = turn(SUBAGENT, task, search, HITS, access, PAGE)

    assert read_calls(search) == [("search", {"queries": [{"query": "Kesh"}]})]
    ((name, arguments),) = read_calls(access)
    assert name == "access"
    assert arguments["urls"][0]["url"] == "r:1"
    assert [ask.casefold() for ask in arguments["urls"][0]["info_to_extract"].split("; ")] == [
        "capital",
        "number of sheep",
    ]
    assert [part.casefold() for part in report.split(" | ")] == [
        "name: kesh",
        "capital: old kesh",
        "number of sheep: 1200",
    ]


def test_a_subagent_that_finds_no_page_says_so_in_a_line() -> None:
    task = subagent_task(ASKED, "Kesh", "en")
    history: list[str] = []
    while read_calls(text := turn(SUBAGENT, task, *history)):
        history += [text, "No results."]

    assert text == "No page was found for Kesh."


def test_neighbours_are_listed_in_a_line() -> None:
    task = subagent_task(NEIGHBOURS, "Countries bordering Kesh", "en")
    page = "Kesh (r:1)\nBorder countries: Dorva 120 km; Ulm 1,100 km; Tar 3 km"
    search = turn(SUBAGENT, task)
    access = turn(SUBAGENT, task, search, HITS)

    assert turn(SUBAGENT, task, search, HITS, access, page) == "Bordering Kesh: Dorva; Ulm; Tar"
    assert "border" in read_calls(access)[0][1]["urls"][0]["info_to_extract"].casefold()


@pytest.mark.parametrize(
    ("coast", "end"),
    [("0 km (landlocked)", ["Capital: Old Kesh", "Number of sheep: 1200"]), ("120 km", ["no"])],
)
def test_a_subagent_decides_what_the_main_task_asks_of_a_row(coast: str, end: list[str]) -> None:
    task = subagent_task(CHOSEN, "Kesh", "en")
    search = turn(SUBAGENT, task)
    access = turn(SUBAGENT, task, search, HITS)

    report = turn(SUBAGENT, task, search, HITS, access, f"{PAGE}\nCoastline: {coast}")

    thought, _, line = report.rpartition("</think>\n")
    assert ("yes" in thought) == (end != ["no"])
    assert [part.casefold() for part in line.split(" | ")[1:]] == [part.casefold() for part in end]
    assert line.startswith("Country: Kesh | ")


@pytest.mark.parametrize(
    ("condition", "decided"),
    [
        ("more than 1,500 sheep", "not more than 1,500, no"),
        ("fewer than 5 million sheep", "fewer than 5 million, yes"),
        ("at least 1,199 sheep", "at least 1,199, yes"),
        ("at most 1,200 sheep", "at most 1,200, yes"),
    ],
)
def test_what_the_page_says_of_a_comparison_decides_it(condition: str, decided: str) -> None:
    task = subagent_task(RunRequest(query=f"for every country in Oceania that has {condition}: capital"), "Kesh", "en")
    search = turn(SUBAGENT, task)
    access = turn(SUBAGENT, task, search, HITS)
    (_, arguments), *_ = read_calls(access)
    need = arguments["urls"][0]["info_to_extract"]
    shown = "\n".join(answered(PAGE.splitlines(), read_asks(need)))

    report = turn(SUBAGENT, task, search, HITS, access, shown)

    assert f"({decided.rpartition(',')[0]})" in shown
    assert f"{condition}: {decided}\n</think>" in report
    assert report.endswith("Kesh | no" if decided.endswith("no") else "Kesh | Capital: Old Kesh")


def test_where_the_page_says_nothing_of_a_comparison_the_value_decides_it() -> None:
    asked = RunRequest(query="for every country in Oceania that has fewer than 20 sheep: capital")
    task = subagent_task(asked, "Kesh", "en")
    search = turn(SUBAGENT, task)
    access = turn(SUBAGENT, task, search, HITS)

    report = turn(SUBAGENT, task, search, HITS, access, PAGE)

    assert "fewer than 20 sheep: 1,200, no\n</think>" in report


def test_the_last_turn_is_a_report_of_what_there_is() -> None:
    task = subagent_task(ASKED, "Kesh", "en")

    report = turn(SUBAGENT, task, turn(SUBAGENT, task), HITS, final=True)

    assert read_calls(report) == []


@pytest.mark.parametrize(
    ("query", "need"),
    [
        ("Compare Kesh and Dorva by capital", "capital;"),
        ("Compare Kesh and Dorva by capital and number of sheep", "capital; number of sheep"),
        (
            "all states in Oceania that have fewer than 9 million inhabitants and have an area above 5,000 km: capital",
            "capital; fewer than 9 million inhabitants; area above 5,000 km",
        ),
    ],
)
def test_a_page_is_asked_for_facts_as_pages_call_them(query: str, need: str) -> None:
    request = read_request(query)

    assert need_of(Research(read_prompt("Kesh", request), request, Evidence())).casefold() == need


def test_an_entry_whose_name_ends_in_brackets_keeps_them_and_what_is_said_of_it() -> None:
    listed = "- Ulm (Old Ulm): not a sovereign state\n- Tar: sovereign state\n- Kesh (1990)"

    assert [(entry.name, entry.remark) for entry in read_entries(listed)] == [
        ("Ulm (Old Ulm)", "not a sovereign state"),
        ("Tar", "sovereign state"),
        ("Kesh", "(1990)"),
    ]
