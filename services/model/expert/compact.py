"""The compact profile: subtasks that are names, results and reports of one line, read and written by rule.

A subagent sees the main task, so a row's subtask is its name; what is reported of it comes from the main task. The
subagent also decides what the main task asks of a row, and reports `no` for one that fails, so the lead only copies.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from services.model.expert.board import Board
from services.model.expert.conditions import Condition
from services.model.expert.conversation import Conversation, Turn
from services.model.expert.evidence import Evidence, Hit, PageView
from services.model.expert.reading import Reading, border_entries, kept_entries, natural, section_of
from services.model.expert.request import Request
from services.model.expert.research import Research
from services.model.expert.tasks import BorderList, Holding, Listing, Open, PageList, Row, Task
from wideseek.asks import verdict_of, verdicts_in, without_verdicts
from wideseek.compact import labelled_table, parted
from wideseek.tables import Table, render_markdown

_HIT = re.compile(r"^\d+\. (?P<title>.+) \((?P<url>[a-z][\w+.-]*:(?:\([^\s()]*\)|[^\s()])+)\)$", re.MULTILINE)
_PAGE = re.compile(r"^(?P<title>.+) \((?P<url>[a-z][\w+.-]*:(?:\([^\s()]*\)|[^\s()])+)\)$", re.MULTILINE)
_REPORT = re.compile(
    r"^(?P<number>\d+)\. (?:\((?P<ended>\w+)\) ?)?(?P<text>.*?)(?=^\d+\. |^Did not run|\Z)", re.MULTILINE | re.DOTALL
)
_BORDERING = re.compile(r"^Countries bordering (?P<name>.+)$")
_ENTRIES = re.compile(r"^Entries of “(?P<title>.+?)”(?:, section “(?P<section>.+)”)?$")
_HOLDING = re.compile(r"^The (?P<what>\w+) whose (?P<fact>.+?) is “(?P<value>.+)”$")
_LISTING = re.compile(r"^(?P<what>(?:Sovereign |Independent )?[Cc]ountries) of (?P<name>.+)$")
_POSSESSION = re.compile(r"^(?:have|has|had|with|of)\s+(?:(?:an?|the)\s+)?")
_NO = "no"
_NAMES = "Names"


def prompt_of(task: Task) -> str:
    """A subtask in as few words as tell it from others, no semicolon among them: it parts subtasks."""
    return _unparted(_words_of(task))


def _unparted(text: str) -> str:
    return text.replace(";", ",")


def _words_of(task: Task) -> str:
    if isinstance(task, BorderList):
        return f"Countries bordering {task.name}"
    if isinstance(task, Listing):
        return f"{task.what.capitalize()} of {task.name}"
    if isinstance(task, PageList):
        return f"Entries of “{task.title}”" + (f", section “{task.section}”" if task.section else "")
    if isinstance(task, Holding):
        return f"The {task.what} whose {task.fact} is “{task.value}”"
    return task.question if isinstance(task, Open) else task.name


def read_prompt(prompt: str, request: Request) -> Task:
    """The subtask that `prompt_of` has worded; what is no other kind is the name of a row."""
    text = " ".join(prompt.split())
    if match := _BORDERING.match(text):
        return BorderList(match["name"])
    if match := _LISTING.match(text):
        return Listing(match["name"], match["what"].lower())
    if match := _ENTRIES.match(text):
        return PageList(match["title"], match["section"] or "", request.scope.noun.lower())
    if match := _HOLDING.match(text):
        return Holding(match["fact"], match["value"], match["what"])
    if request.goal and text == _unparted(request.text):
        return Open(request.text)
    columns = request.columns
    headings = (columns.headings[columns.key or 0], *request.asked)
    conditions = tuple(condition.text for condition in request.conditions)
    return Row(text, "", tuple(heading.name for heading in headings), conditions)


def read_board(conversation: Conversation, request: Request) -> Board:
    """What has been handed out so far and what came back."""
    board = Board()
    for turn in conversation.turns:
        for (name, arguments), result in zip(turn.calls, turn.results, strict=False):
            if name == "call_subagent" and isinstance(subtasks := parted(arguments).get("subtasks"), list):
                _note(board, [_prompt(subtask) for subtask in subtasks], result, request)
    return board


def _prompt(subtask: object) -> str:
    return str(subtask.get("prompt", "") if isinstance(subtask, dict) else subtask)


def _note(board: Board, prompts: Sequence[str], result: str, request: Request) -> None:
    for match in _REPORT.finditer(result):
        place = int(match["number"]) - 1
        if place < len(prompts):
            table = _table_of(match["text"].strip())
            markdown = render_markdown(table) if table else ""
            board.add(read_prompt(prompts[place], request), markdown, answered=match["ended"] is None)


def _table_of(report: str) -> Table | None:
    """A report's line as a table: `column: value | …` one row, `what: name; name` one row a name."""
    parts = report.split(" | ")
    if len(parts) > 1:
        return labelled_table(report)
    _, colon, listed = report.partition(": ")
    entries = [entry.strip() for entry in listed.split("; ") if entry.strip()] if colon else []
    return Table(columns=(_NAMES,), rows=tuple((entry,) for entry in entries)) if entries else None


def read_evidence(turns: Sequence[Turn]) -> Evidence:
    """What the results of all turns show; which tool gave a result is told by the call."""
    evidence = Evidence()
    for turn in turns:
        for (name, arguments), result in zip(turn.calls, turn.results, strict=False):
            if name == "search":
                found = [Hit(match["title"], match["url"], "") for match in _HIT.finditer(result)]
                for query in _strings(arguments.get("queries"), "query"):
                    evidence.searches.setdefault(query, []).extend(found)
            elif name == "access":
                _read_pages(evidence, _strings(arguments.get("urls"), "url"), result)
    return evidence


def _strings(items: object, field: str) -> list[str]:
    listed = items if isinstance(items, list) else [items]
    return [str(item.get(field, "") if isinstance(item, dict) else item) for item in listed]


def _read_pages(evidence: Evidence, urls: Sequence[str], result: str) -> None:
    heads = [match for match in _PAGE.finditer(result) if match["url"] in urls]
    ends = [*(match.start() for match in heads[1:]), len(result)]
    for url in urls:
        evidence.pages.setdefault(url, PageView(url)).accesses += 1
    for match, end in zip(heads, ends, strict=True):
        view = evidence.pages[match["url"]]
        view.title, view.found = match["title"], True
        shown = result[match.end() : end].strip()
        view.texts.append(without_verdicts(shown))
        view.verdicts |= verdicts_in(shown)


def need_of(research: Research) -> str:
    """What to ask a page for: the facts asked for as the main task words them, and those that decide the row."""
    if isinstance(research.task, Listing):
        return research.task.what
    if not isinstance(research.task, Row):
        return research.need()
    asked = [heading.text for heading in research.headings()]
    needs = dict.fromkeys([*asked, *(_ask_of(one) for one in research.conditions())])
    # A mark at the end of a single one, so that its commas are not taken for the borders between several.
    return "; ".join(needs) + (";" if len(needs) == 1 else "")


def _ask_of(condition: Condition) -> str:
    """What to ask a page for a condition: its own words, less the verb, for the page to say whether it holds."""
    return _unparted(_POSSESSION.sub("", condition.text))


def report(research: Research) -> str:
    """What a subagent found, in a line; before it, where a row had to be decided, what decided it."""
    task, page = research.task, research.page()
    if page is None:
        return f"No page was found for {task.name}."
    if isinstance(task, BorderList):
        names = [name for name, _ in border_entries(Reading(page.title, page.text).labels)]
        return f"Bordering {task.name}: {'; '.join(names)}" if names else f"{task.name} has no land borders."
    if isinstance(task, Listing | PageList):
        section = task.section if isinstance(task, PageList) else ""
        entries = kept_entries(section_of(page.text, section) if section else page.text)
        return f"{prompt_of(task)}: {'; '.join(natural(name) for name, _ in entries)}"
    if isinstance(task, Holding):
        return f"{task.what.capitalize()}: {natural(page.title)}"
    return _row(research, page)


def _row(research: Research, page: PageView) -> str:
    reading = Reading(page.title, page.text)
    columns = research.request.columns
    key = f"{columns.headings[columns.key or 0].name}: {_row_name(research, page)}"
    checks = [(one, reading.decision(one)) for one in research.conditions()]
    said = "; ".join(f"{one.text}: {_decided(one, value, page)}" for one, value in checks)
    thought = f"<think>\n{said}\n</think>\n" if said else ""
    if any(one.decide(value) is not True for one, value in checks):
        return f"{thought}{key} | {_NO}"
    cells = [f"{heading.name}: {_flat(reading.answer(heading))}" for heading in research.headings()]
    return thought + " | ".join([key, *cells])


def _decided(condition: Condition, value: str, page: PageView) -> str:
    """What decides a condition: what the page says of the comparison, or a value; then the verdict."""
    number = condition.compared(value)
    said = verdict_of(condition.comparison, number.value) if condition.comparison and number else ""
    return f"{said if said in page.verdicts else _flat(value)}, {_verdict(condition.decide(value))}"


def _row_name(research: Research, page: PageView) -> str:
    """The row as its page is titled; as it was asked for where the query names the rows."""
    named = research.request.scope.kind == "named" and isinstance(research.task, Row)
    return research.task.name if named else natural(page.title)


def _flat(value: str) -> str:
    return " ".join(value.replace("|", "/").split())


def _verdict(held: bool | None) -> str:
    return "unknown" if held is None else "yes" if held else _NO


def decided(request: Request) -> Request:
    """The request as the lead sees it: its conditions were decided row by row."""
    return replace(request, scope=replace(request.scope, conditions=()))
