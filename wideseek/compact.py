"""The compact profile: what a policy with a small context is shown of tools, hits, pages and reports.

| | full | compact |
| --- | --- | --- |
| tools | every argument explained | names and types |
| a subagent's task | the same: the query and its own part | |
| a hit | title, address, passage | title and address |
| a page | up to a quarter of the context, gaps marked | the lines that serve the need, up to 1/12 of the context; \
thousands written without commas, as tables want them; whether a comparison that was asked for (`fewer than 10 million \
inhabitants`) holds, behind the number; entries of a list that are marked alike on one line |
| a report | its subtask and how it ended repeated over it | one numbered line, rows before all else |
| subtasks of a call | a list of objects | one text, parted by semicolons as lists in reports are; a list is taken too |
| subtasks a call may have | 20 | 40: one wave for the states of two regions |
| a subtask named twice in a call | handed out twice | once |
| turns left | said at every turn | said at the last |
| a subagent's turns | 20 | 8: it has one page to find |
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from wideseek.asks import Ask, answered, read_asks
from wideseek.contracts import Hit, Passage
from wideseek.messages import ToolSpec
from wideseek.tables import Table

LEAD_WIDTH = 40
"""Subtasks of a call, unless a request says otherwise: a small policy writes its table from one wave of reports."""
SUBAGENT_TURNS = 8
"""Turns of a subagent at most: a small policy that has lost its way does not find it by going on."""
PAGE_SHARE = 12
"""A page may take one part in so many of the context."""
_LEAST_PAGE = 256
_INTRO, _PER_ASK = 2, 2
_LINK = re.compile(r"\[([^\[\]\n]+)\]\((?:\([^()\s]*\)|[^()\s])+\)")
_ENTRY = re.compile(r"- (?P<name>[^:;\n]+): (?P<mark>[a-z][a-z ]*)")
_LEAST_ENTRIES = 2
"""Entries that a mark must have, on an average, to be said once for all of them."""
_LABELLED = re.compile(r"\s*([^:|]{1,120}?)\s*:\s*(.*?)\s*", re.DOTALL)
_TEXTS = {
    "en": {
        "call_subagent": "Hand out subtasks, parted by semicolons, to subagents, at most {limit} a call.",
        "search": "Find pages, at most {limit} a turn.",
        "access": "Read pages that were found, at most {limit} a turn.",
    },
    "zh": {
        "call_subagent": "把以分号隔开的子任务分派给子智能体，每次最多 {limit} 个。",
        "search": "查找页面，每轮最多 {limit} 个。",
        "access": "阅读找到的页面，每轮最多 {limit} 个。",
    },
}


def short_spec(name: str, argument: str, required: Sequence[str], limit: int, language: str) -> ToolSpec:
    """A tool whose one argument is a list of objects with these strings."""
    item = {"type": "object", "properties": {field: {"type": "string"} for field in required}}
    return _spec(name, argument, {"type": "array", "items": item}, limit, language)


def delegation_spec(limit: int, language: str) -> ToolSpec:
    """`call_subagent`, whose one argument is one text."""
    return _spec("call_subagent", "subtasks", {"type": "string"}, limit, language)


def _spec(name: str, argument: str, kind: dict[str, Any], limit: int, language: str) -> ToolSpec:
    parameters = {"type": "object", "properties": {argument: kind}}
    return ToolSpec(name=name, description=_TEXTS[language][name].format(limit=limit), parameters=parameters)


def parted(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `call_subagent` with `subtasks` as a list of objects; a list is taken as it is.

    A small policy copies `Chad; Mali; Togo` from a report as it stands. Between objects of a list it loses its place.

    >>> parted({"subtasks": "Chad; Mali;"})
    {'subtasks': [{'prompt': 'Chad'}, {'prompt': 'Mali'}]}
    """
    stated = arguments.get("subtasks")
    if not isinstance(stated, str):
        return dict(arguments)
    return {**arguments, "subtasks": [{"prompt": part.strip()} for part in stated.split(";") if part.strip()]}


def hits_text(hits: Sequence[Hit]) -> str:
    """Hits as numbered lines of title and address."""
    lines = [f"{number}. {hit.title} ({hit.url})" for number, hit in enumerate(hits, 1)]
    return "\n".join(lines) or "No results."


def page_tokens(max_model_len: int) -> int:
    """Tokens that one page may take of a context."""
    return max(_LEAST_PAGE, max_model_len // PAGE_SHARE)


def serving(passages: Sequence[Passage], need: str | None) -> list[Passage]:
    """The passages that serve a need, out of all of a page's, best first: two to introduce it and two for each thing
    asked; where several serve it alike (the entries of a list), all of these, and where nothing serves it, all."""
    if need is None or not any(one.score for one in passages[_INTRO:]):
        return list(passages)
    number = _INTRO + _PER_ASK * max(1, len(read_asks(need)))
    kept = list(passages[:number])
    return [*kept, *(one for one in passages[number:] if kept and one.score == kept[-1].score > 0)]


def page_lines(shown: Sequence[str], asks: Sequence[Ask] = ()) -> str:
    """The shown parts of a page, line by line: no heading of the page, no line twice, links reduced to their text,
    comparisons asked for answered, and entries of a list that are marked alike on one line, under their mark.

    >>> page_lines(["Population: 17,833,885 (2025 est.)"], read_asks("more than 1 million inhabitants"))
    'Population: 17833885 (more than 1 million) (2025 est.)'
    """
    lines = (line.strip() for part in shown for line in _LINK.sub(r"\1", part).splitlines())
    kept = dict.fromkeys(line for line in lines if line and not line.startswith("# "))
    return "\n".join(_grouped(answered(list(kept), asks)))


def _grouped(lines: Iterable[str]) -> Iterator[str]:
    """Runs of entries such as `- Mali: sovereign state` by what they are marked as, which is said once a run.

    Only where few marks serve many entries; what tells entries apart (`- Capital: Bamako`) stays as it is.

    >>> list(_grouped(["- Chad: state", "- Réunion: no state", "- Mali: state", "- Mayotte: no state"]))
    ['- state: Chad; Mali', '- no state: Réunion; Mayotte']
    """
    for is_entry, run in groupby(lines, key=lambda line: bool(_ENTRY.fullmatch(line))):
        listed = list(run)
        marked: dict[str, list[str]] = {}
        for match in (_ENTRY.fullmatch(line) for line in listed):
            if match:
                marked.setdefault(match["mark"], []).append(match["name"])
        if is_entry and len(listed) >= _LEAST_ENTRIES * len(marked):
            yield from (f"- {mark}: {'; '.join(names)}" for mark, names in marked.items())
        else:
            yield from listed


def report_lines(reports: Sequence[tuple[str, str]]) -> str:
    """Reports of a wave, a line each, with how it ended: numbered as their subtasks, the end named where it is not an
    answer.

    Rows come first, for a table is copied from them: a small policy takes the line behind the last one, and does not
    skip those that say `no`.
    """
    lines = [(number, ended, _report_line(text)) for number, (ended, text) in enumerate(reports, 1)]
    rows_first = sorted(lines, key=lambda line: labelled_table(line[2]) is None)
    return "\n".join(
        f"{number}. {text}" if ended == "answered" else f"{number}. ({ended}) {text}".rstrip()
        for number, ended, text in rows_first
    )


def _report_line(text: str) -> str:
    """The line of a report that states values, else its first: a lead that is shown more goes on from there."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("```")]
    return next((line for line in lines if labelled_table(line)), next(iter(lines), ""))


def labelled_table(text: str) -> Table | None:
    """A table of the first line of the form `column: value | column: value`; None where there is none.

    >>> labelled_table("Country: Mali | Capital: Bamako").rows
    (('Mali', 'Bamako'),)
    """
    for line in text.splitlines():
        parts = [_LABELLED.fullmatch(part) for part in line.split(" | ")]
        found = [(part[1], part[2]) for part in parts if part]
        if len(found) > 1 and len(found) == len(parts) and len({name for name, _ in found}) == len(found):
            return Table(columns=tuple(name for name, _ in found), rows=(tuple(value for _, value in found),))
    return None
