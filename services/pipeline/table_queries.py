"""Queries over tables of pages: the whole table, and questions for one cell or for the row that a cell tells."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from services.pipeline.factbook import SPLIT, Underived
from services.pipeline.lines import Kind, Query
from services.pipeline.tables import Page, Sheet, sheet_of
from services.suites.filters import Reason
from services.suites.filters_keys import norm_str
from services.suites.questions_wording import unaccented
from wideseek.instances import Question
from wideseek.tables import Table, fold, render_markdown

SOURCE = "tables"
WIDE, QUESTIONS = "table-wide", "table-qa"
_WIDE = (
    "Build a complete table from {place}. List every {key} that stands there.",
    "Take every {key} enumerated in {place}.",
    "I am compiling a reference table from {place} and need each {key} in it.",
)
_COLUMNS = ("For each one give: {columns}.", "The columns are: {columns}.")
_CLOSING = (
    "Give the result as one Markdown table inside a ```markdown code fence, with exactly the columns {headings}, in "
    "that order, one row per {key}. Leave no cell empty and put no notes in the cells."
)
_LOOKUP = (
    "In the table in {place}, what is the {ask} of the {key} {value}?",
    "Going by the table in {place}, which {ask} is given for the {key} {value}?",
)
_REVERSE = (
    "Which {ask} in the table in {place} has the {given} {value}?",
    "In the table in {place}, which {ask} has {value} as its {given}?",
)


def table_queries(pages: Sequence[Page], seed: int) -> Iterator[Query]:
    """A wide query and two questions a table, or one rejection that says why it has none."""
    for page in pages:
        name = sha256(page.url.encode()).hexdigest()[:12]
        sheet = sheet_of(page)
        if isinstance(sheet, Reason):
            instance_id = f"{WIDE}-{SPLIT}-{name}"
            intent = {"suite": WIDE, "table": page.url}
            yield Query(instance_id=instance_id, kind=Kind.WIDE, source=SOURCE, intent=intent, rejected=sheet)
            continue
        rng = random.Random(f"{seed}:{page.url}")
        yield _wide(sheet, name, rng)
        yield from _questions(sheet, name, rng)


def _place(page: Page) -> str:
    section = f"section “{page.section}” of " if page.section else ""
    return f"{section}the page “{page.page}”"


def _wide(sheet: Sheet, name: str, rng: random.Random) -> Query:
    place, key = _place(sheet.page), sheet.key
    headings = ", ".join((key, *sheet.headings))
    columns = f"{key} (as printed there); {'; '.join(sheet.headings)}"
    words = {"place": place, "key": key, "columns": columns, "headings": headings}
    sentences = (rng.choice(_WIDE), rng.choice(_COLUMNS), _CLOSING)
    return Query(
        instance_id=f"{WIDE}-{SPLIT}-{name}",
        kind=Kind.WIDE,
        source=SOURCE,
        intent={"suite": WIDE, "table": sheet.page.url, "key": key, "columns": list(sheet.headings)},
        text=" ".join(sentence.format(**words) for sentence in sentences),
        must_name=tuple(filter(None, (headings, sheet.page.page, sheet.page.section, "```markdown"))),
    )


def _questions(sheet: Sheet, name: str, rng: random.Random) -> Iterator[Query]:
    """One for a cell of a row, one for the row that a cell tells from all others, where there is such a cell."""
    row, ask = rng.choice(sheet.column(sheet.key)), rng.choice(sheet.headings)
    lookup = {"kind": "single_hop", "given": sheet.key, "value": row, "ask": ask}
    yield _question(sheet, f"{name}-1", lookup, rng.choice(_LOOKUP))
    telling = [(heading, cell) for heading in sheet.headings for cell in _telling(sheet.column(heading))]
    if telling:
        given, value = rng.choice(telling)
        reverse = {"kind": "multi_hop", "given": given, "value": value, "ask": sheet.key}
        yield _question(sheet, f"{name}-2", reverse, rng.choice(_REVERSE))


def _telling(cells: Sequence[str]) -> list[str]:
    counted = Counter(map(norm_str, cells))
    return [cell for cell in cells if counted[norm_str(cell)] == 1]


def _question(sheet: Sheet, name: str, asked: Mapping[str, str], template: str) -> Query:
    words = {"place": _place(sheet.page), "key": sheet.key, **asked}
    return Query(
        instance_id=f"{QUESTIONS}-{SPLIT}-{name}",
        kind=Kind.QUESTION,
        source=SOURCE,
        intent={"suite": QUESTIONS, "table": sheet.page.url, **asked},
        text=template.format(**words),
        must_name=tuple(filter(None, (asked["ask"], asked["value"], sheet.page.page, sheet.page.section))),
    )


def table_gold(query: Query, pages: Mapping[str, Page]) -> dict[str, Any]:
    """The instance of a query, read from the table its intent names. Raises `Underived` when the table is another."""
    page = pages.get(str(query.intent.get("table")))
    sheet = sheet_of(page) if page else None
    if not isinstance(sheet, Sheet):
        raise Underived("no_table", "the table that the query asks for is not in the file")
    return _wide_record(query, sheet) if query.kind is Kind.WIDE else _question_record(query, sheet)


def _wide_record(query: Query, sheet: Sheet) -> dict[str, Any]:
    names = (sheet.key, *sheet.headings)
    rules = {fold(name): _rule(sheet, name) for name in names}
    documents = {row[0]: link for row, link in zip(sheet.rows, sheet.links, strict=True) if link}
    return {
        "instance_id": query.instance_id,
        "query": query.text,
        "language": "en",
        "evaluation": {
            "unique_columns": [fold(sheet.key)],
            "required": [fold(name) for name in names],
            "eval_pipeline": rules,
        },
        "answer": render_markdown(Table(columns=names, rows=sheet.rows)),
        "gold_docs": documents,
        "list_doc": sheet.page.url,
        "suite": WIDE,
        "split": SPLIT,
        "difficulty": "table",
        "gold_fields": {},
        "aliases": {},
        "meta": {"columns": list(names), "rows": len(sheet.rows), "page": sheet.page.page},
    }


def _rule(sheet: Sheet, name: str) -> dict[str, Any]:
    if name == sheet.key or not sheet.is_number(name):
        return {"preprocess": ["norm_str"], "metric": ["exact_match"]}
    return {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": 0.0}


def _question_record(query: Query, sheet: Sheet) -> dict[str, Any]:
    intent = query.intent
    rows = zip(sheet.column(intent["given"]), sheet.column(intent["ask"]), strict=True)
    answers = [answer for given, answer in rows if norm_str(given) == norm_str(intent["value"])]
    if len(answers) != 1:
        raise Underived("ambiguous", f"{len(answers)} rows have {intent['value']!r} in {intent['given']}")
    chain = f"{intent['given']} = {intent['value']} -> {intent['ask']} = {answers[0]}"
    question = Question(
        instance_id=query.instance_id,
        question=query.text,
        answers=tuple(dict.fromkeys((answers[0], unaccented(answers[0]), answers[0].replace(",", "")))),
        gold_docs=(sheet.page.url,),
        suite=QUESTIONS,
        split=SPLIT,
        kind=intent["kind"],
        meta={"type": "table", "fields": [intent["ask"]], "chain": [chain], "page": sheet.page.page},
    )
    return question.model_dump(mode="json")
