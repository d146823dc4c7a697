"""A wide task as a record of the published format: query, evaluation, gold table, provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.suites.catalogue import KEY, Column
from services.suites.drafts import Draft, short_families
from services.suites.facts import Country
from services.suites.parsing import Value
from wideseek.tables import Table, render_markdown

SUITE = "factbook-wide"


def cell_value(country: Country, column: Column, draft: Draft) -> Value | None:
    """The gold of one cell; None where it is not known. A shared border is with the draft's one anchor."""
    if column.heading in country.values:
        return country.values[column.heading]
    return draft.anchors[0].borders.get(country.code) if len(draft.anchors) == 1 else None


def record(
    instance_id: str, split: str, draft: Draft, query: str, columns: Sequence[Column], rows: Sequence[Country]
) -> dict[str, Any]:
    """The task, ready to be written as JSON. `rows` are the draft's countries, in the order of their names."""
    values = {(row.name, column.id): cell_value(row, column, draft) for row in rows for column in columns}
    headings = (KEY.heading, *(column.heading for column in columns))
    return {
        "instance_id": instance_id,
        "query": query,
        "language": "en",
        "evaluation": {
            "unique_columns": [KEY.id],
            "required": [KEY.id, *(column.id for column in columns)],
            "eval_pipeline": {column.id: column.rule for column in (KEY, *columns)},
        },
        "answer": _answer(headings, rows, columns, values),
        "gold_docs": {row.name: row.url for row in rows},
        "suite": SUITE,
        "split": split,
        "difficulty": draft.difficulty,
        "gold_fields": {column.id: column.field for column in columns},
        "aliases": _aliases(rows, columns, values),
        "meta": _meta(split, draft, headings, columns),
    }


_Values = Mapping[tuple[str, str], Value | None]


def _answer(headings: Sequence[str], rows: Sequence[Country], columns: Sequence[Column], values: _Values) -> str:
    """The gold table. Raises ValueError for a cell without a value: gold is complete, or there is no task."""
    cells = [(row.name, *(_text(values[row.name, column.id]) for column in columns)) for row in rows]
    return render_markdown(Table(columns=tuple(headings), rows=tuple(cells)))


def _text(value: Value | None) -> str:
    if value is None:
        raise ValueError("a cell of gold has no value")
    return value.text


def _aliases(rows: Sequence[Country], columns: Sequence[Column], values: _Values) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row.aliases:
            found.setdefault(KEY.id, {})[row.name] = list(row.aliases)
        for column in columns:
            value = values[row.name, column.id]
            if value is not None and value.aliases:
                found.setdefault(column.id, {})[value.text] = list(value.aliases)
    return found


def _meta(split: str, draft: Draft, headings: Sequence[str], columns: Sequence[Column]) -> dict[str, Any]:
    asked = short_families([column.family for column in columns])
    families = draft.families or asked
    meta: dict[str, Any] = {
        "columns": list(headings),
        "rows": len(draft.codes),
        "cell": f"{split} {'econ' if 'econ' in (*families, *asked) else 'geo/demo'}",
        "families": list(families),
    }
    if draft.form:
        meta["form"] = draft.form
    if draft.predicates:
        meta["predicates"] = [predicate.text for predicate in draft.predicates]
    return {**meta, "regions": list(draft.regions), "answer_codes": list(draft.codes)}
