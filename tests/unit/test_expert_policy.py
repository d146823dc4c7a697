"""The expert's turns on contexts made by hand."""

import json
from typing import Any

import pytest

from services.model.expert.calls import read_calls
from services.model.expert.policy import respond
from services.model.expert.tokens import Tokens
from tests.expert_parts import tokenizer_file
from wideseek.agents import closed_book, lead, subagent
from wideseek.contracts import Output, RunRequest, Sources
from wideseek.prompts import subagent_task, turn_hint, whole_task
from wideseek.tools import access_spec, call_subagent_spec, search_spec

LEAD_TOOLS = [call_subagent_spec(3, "en").openai()]
SUBAGENT_TOOLS = [search_spec(5, "en").openai(), access_spec(5, "en").openai()]
ASKED = RunRequest(query="Compare Kesh, Dorva, Ulm and Tar by capital and number of sheep")
PAGE = "# Kesh\nSheep > total: 1,200\nCapital: Old Kesh"


def turn(tools: list[dict[str, Any]], task: str, *history: str, final: bool = False) -> str:
    """The next turn after `history`: assistant texts and tool results in turn."""
    system = (lead() if tools is LEAD_TOOLS else subagent()).instructions
    messages = [{"role": "system", "content": system}, {"role": "user", "content": task}]
    roles = ["assistant", "tool"] * len(history)
    messages += [{"role": role, "content": text} for role, text in zip(roles, history, strict=False)]
    messages[-1]["content"] += "\n\n" + turn_hint("en", 2, 10, final=final)
    prompt = Tokens(tokenizer_file()).render(messages, tools, add_generation_prompt=True)
    return respond(prompt)[1]


def prompts(text: str) -> list[str]:
    return [subtask["prompt"] for _, arguments in read_calls(text) for subtask in arguments["subtasks"]]


def result(prompt: str, report: str, number: int = 1, state: str = "answered") -> str:
    return f"## Subtask {number}\n{prompt}\n## Result {number} ({state})\n{report}"


def row(name: str, capital: str, sheep: str) -> str:
    return f"Found.\n\n| Name | Capital | Number of sheep |\n| --- | --- | --- |\n| {name} | {capital} | {sheep} |"


def test_the_lead_hands_out_as_many_subtasks_as_its_tool_allows() -> None:
    text = turn(LEAD_TOOLS, whole_task(ASKED, "en"))

    assert [prompt.split(".")[0] for prompt in prompts(text)] == ["Look up Kesh", "Look up Dorva", "Look up Ulm"]


def test_what_did_not_run_and_what_failed_is_handed_out_again() -> None:
    task = whole_task(ASKED, "en")
    first = turn(LEAD_TOOLS, task)
    kesh, dorva, ulm = prompts(first)
    results = "\n\n".join(
        [
            result(kesh, row("Kesh", "Old Kesh", "1200")),
            result(dorva, "Lost.", 2, "failed"),
            f"Did not run: {ulm} (the limit is 2)",
        ]
    )

    second = turn(LEAD_TOOLS, task, first, results)

    assert [prompt.split(".")[0] for prompt in prompts(second)] == ["Look up Dorva", "Look up Ulm", "Look up Tar"]


def test_the_lead_answers_with_what_is_there_when_no_tool_may_be_called() -> None:
    task = whole_task(ASKED, "en")
    first = turn(LEAD_TOOLS, task)

    last = turn(LEAD_TOOLS, task, first, result(prompts(first)[0], row("Kesh", "Old Kesh", "1200")), final=True)

    assert last.startswith("```markdown\n| Name | Capital | Number of sheep |")
    assert "| Kesh | Old Kesh | 1200 |" in last
    assert "| Tar |  |  |" in last


def test_a_subagent_searches_reads_and_reports() -> None:
    task = subagent_task(
        ASKED, "Look up Kesh. Report one table row with the columns: Name; Capital; Number of sheep.", "en"
    )

    search = turn(SUBAGENT_TOOLS, task)
    hits = "Search query: Kesh\n[Doc 1] New Kesh (r:2)\nNew Kesh, a town.\n\n[Doc 2] Kesh (r:1)\nA realm."
    access = turn(SUBAGENT_TOOLS, task, search, hits)
    page = f"Access URL: r:1\nTitle: Kesh\nInfo to extract: Capital\n{PAGE}"
    report = turn(SUBAGENT_TOOLS, task, search, hits, access, page)

    assert read_calls(search) == [("search", {"queries": [{"query": "Kesh", "count": 5}]})]
    assert read_calls(access)[0][1]["urls"][0]["url"] == "r:1"
    assert "| Kesh | Old Kesh | 1200 |" in report


def test_a_subagent_understands_a_subtask_in_other_words() -> None:
    task = subagent_task(ASKED, "Find the capital of Kesh.", "en")

    calls = read_calls(turn(SUBAGENT_TOOLS, task))

    assert calls[0][1]["queries"][0]["query"] == "Kesh"


def test_a_subagent_that_finds_no_page_tries_other_searches_and_says_so() -> None:
    task = subagent_task(ASKED, "Look up Kesh. Report one table row with the columns: Name; Capital.", "en")
    history: list[str] = []
    while read_calls(text := turn(SUBAGENT_TOOLS, task, *history)):
        (query,) = (item["query"] for _, arguments in read_calls(text) for item in arguments["queries"])
        history += [text, f"Search query: {query}\nNo results."]

    assert len(history) == 6
    assert text == "No page was found for Kesh."


def test_a_cut_page_is_asked_again_for_what_is_missing() -> None:
    task = subagent_task(
        ASKED, "Look up Kesh (r:1). Report one table row with the columns: Name; Capital; Number of sheep.", "en"
    )
    first = turn(SUBAGENT_TOOLS, task)
    page = "Access URL: r:1\nTitle: Kesh\nCapital: Old Kesh\n[...]\nTerrain: hills"

    second = turn(SUBAGENT_TOOLS, task, first, page)

    (url,) = read_calls(second)[0][1]["urls"]
    assert url["url"] == "r:1"
    assert "sheep" in url["info_to_extract"]
    assert "apital" not in url["info_to_extract"]


def test_turns_are_deterministic_and_calls_are_json() -> None:
    task = whole_task(ASKED, "en")

    texts = {turn(LEAD_TOOLS, task) for _ in range(3)}

    assert len(texts) == 1
    body = texts.pop().partition("<tool_call>\n")[2].partition("\n</tool_call>")[0]
    assert json.loads(body)["name"] == "call_subagent"


def test_a_chinese_query_with_columns_is_delegated() -> None:
    from wideseek.contracts import Column  # noqa: PLC0415

    columns = (Column(name="国家"), Column(name="首都"))

    text = turn(LEAD_TOOLS, whole_task(RunRequest(query="请列出马里、乍得和尼日尔的首都", columns=columns), "zh"))

    assert len(prompts(text)) == 3
    assert "马里" in prompts(text)[0]


def closed(task: str, spec_output: Output) -> tuple[str, str]:
    """Role and text of the one turn of an agent without tools."""
    spec = closed_book(output=spec_output)
    messages = [{"role": "system", "content": spec.instructions}, {"role": "user", "content": task}]
    messages[-1]["content"] += "\n\n" + turn_hint("en", 1, 1, final=True)
    return respond(Tokens(tokenizer_file()).render(messages, [], add_generation_prompt=True))


def test_without_tools_a_table_has_the_names_of_the_query_and_nothing_else() -> None:
    role, text = closed(whole_task(ASKED, "en"), Output.TABLE)

    assert role == "single"
    assert text.splitlines()[1:-1] == [
        "| Name | Capital | Number of sheep |",
        "| --- | --- | --- |",
        *(f"| {name} |  |  |" for name in ("Kesh", "Dorva", "Ulm", "Tar")),
    ]


@pytest.mark.parametrize("question", ["What is the seat of Kesh?", "Which is larger: Kesh or Ulm?", "Why?"])
def test_without_tools_a_question_gets_no_box(question: str) -> None:
    request = RunRequest(query=question, output=Output.ANSWER)

    assert closed(whole_task(request, "en"), Output.ANSWER) == ("single", "No page answers this.")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_question_is_delegated_and_boxed(language: str) -> None:
    request = RunRequest(query="What is the seat of Kesh?", output=Output.ANSWER)
    task = whole_task(request, language)

    first = turn(LEAD_TOOLS, task)
    (prompt,) = prompts(first)
    table = "| Name | seat |\n| --- | --- |\n| Kesh | Old Kesh |"
    last = turn(LEAD_TOOLS, task, first, result(prompt, table))

    assert prompt == "Look up Kesh. Report one table row with the columns: Name; seat."
    assert last == "\\boxed{Old Kesh}"


def test_a_subagent_of_a_question_looks_its_row_up() -> None:
    request = RunRequest(query="What is the seat of Kesh?", output=Output.ANSWER)
    task = subagent_task(request, "Look up Kesh (r:1). Report one table row with the columns: Name; seat.", "en")

    access = turn(SUBAGENT_TOOLS, task)
    report = turn(SUBAGENT_TOOLS, task, access, "Access URL: r:1\nTitle: Kesh\n# Kesh\nSeat: Old Kesh (since 1904)")

    assert read_calls(access) == [("access", {"urls": [{"url": "r:1", "info_to_extract": "seat"}]})]
    assert "| Kesh | Old Kesh |" in report


def test_pages_of_the_caller_are_opened_when_searches_find_nothing() -> None:
    request = RunRequest(query="capital of Kesh", sources=Sources(urls=("r:7",)))
    task = subagent_task(request, "Look up Kesh. Report one table row with the columns: Name; Capital.", "en")
    history: list[str] = []
    while read_calls(text := turn(SUBAGENT_TOOLS, task, *history))[0][0] == "search":
        (query,) = (item["query"] for _, arguments in read_calls(text) for item in arguments["queries"])
        history += [text, f"Search query: {query}\nNo results."]

    assert read_calls(text)[0][1]["urls"][0]["url"] == "r:7"
