"""Twins of wide tasks over the Factbook: the same queries, their gold recomputed on shifted numbers.

A twin is asked over a corpus made from the same shifted profiles, so an answer that is remembered instead of read
scores next to nothing. Names are the original's; every numeric cell is read anew. The answer of a filter is
recomputed, and the twin kept only if the filter is still decided for every state and its answer is of a task's size.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.suites.catalogue import BY_ID, Column, shared_border
from services.suites.drafts import Limits
from services.suites.facts import Country
from services.suites.parsing import Value
from services.suites.predicates import Predicate, read_predicate
from services.suites.splits import SPLITS
from wideseek.instances import WideTask
from wideseek.tables import Table, aligned, parse_markdown_table, render_markdown

_ADDRESS = re.compile(r"factbook:[\w-]+/([a-z]{2})")
_ANCHOR = re.compile(r"length of the land border with (?P<name>[^();]+?) in km")
_BORDER = shared_border("").id
_SIZE = Limits()

Record = dict[str, Any]
Countries = Mapping[str, Country]


class NoTwin(Exception):
    """The task has no twin; the message says why."""


@dataclass(frozen=True)
class Worlds:
    """The states as they are recorded, and as they are shifted."""

    real: Countries
    shifted: Countries
    seed: int

    def twin(self, record: Record, task: WideTask) -> Record:
        """The twin of a task; `record` is the line that `task` was read from. Raises `NoTwin`."""
        gold = parse_markdown_table(task.answer)
        if gold is None or not task.suite.startswith("factbook-wide"):
            raise NoTwin("is no wide task over the Factbook")
        headings = gold.columns
        old = aligned(gold, task.evaluation.required)
        columns = [self._column(task, name) for name in task.evaluation.required[1:]]
        known = self._by_name(task, old)
        self._check(old, columns, known)
        codes = self._codes(task, [state.code for state in known.values()])
        rows = sorted((self.shifted[code] for code in codes), key=lambda state: state.name)
        names = {known[row[0]].code: row for row in old.rows}
        cells = [_row(state, columns, names.get(state.code)) for state in rows]
        answer = render_markdown(Table(columns=headings, rows=tuple(tuple(c.text for c in row) for row in cells)))
        return self._record(record, task, rows, columns, cells) | {"answer": answer}

    def _by_name(self, task: WideTask, gold: Table) -> dict[str, Country]:
        """Key of a gold row -> state."""
        found: dict[str, Country] = {}
        for row in gold.rows:
            match = _ADDRESS.fullmatch(task.gold_docs.get(row[0], ""))
            if match is None or match[1] not in self.real:
                raise NoTwin(f"gold_docs: no address of a sovereign state for {row[0]!r}")
            found[row[0]] = self.real[match[1]]
        return found

    def _column(self, task: WideTask, name: str) -> "_Cells":
        if name == _BORDER:
            match = _ANCHOR.search(task.query)
            anchor = next((s.code for s in self.real.values() if match and match["name"] in (s.name, s.definite)), None)
            if anchor is None:
                raise NoTwin(f"column {name}: the query names no state that the border is with")
            return _Cells(shared_border(""), anchor)
        if name not in BY_ID:
            raise NoTwin(f"column {name}: not in the catalogue")
        return _Cells(BY_ID[name])

    def _check(self, gold: Table, columns: Sequence["_Cells"], known: Mapping[str, Country]) -> None:
        """Raises `NoTwin` unless every number of the gold is what the profile records."""
        for row in gold.rows:
            for cells, text in zip(columns, row[1:], strict=True):
                value = cells.of(known[row[0]])
                if cells.is_number and (value is None or value.text != text):
                    stated = value.text if value else "nothing"
                    raise NoTwin(f"answer, {row[0]}, {cells.column.heading}: {text!r}, the profile records {stated}")

    def _codes(self, task: WideTask, codes: Sequence[str]) -> Sequence[str]:
        """The answer on the shifted numbers: recomputed for a filter, else the same."""
        if task.difficulty != "filter":
            return codes
        stated = task.meta.get("predicates") or ()
        conditions = [read_predicate(text) for text in stated]
        if not conditions or None in conditions:
            raise NoTwin("meta.predicates: cannot be recomputed")
        regions = task.meta.get("regions") or ()
        searched = [state for state in self.shifted.values() if state.region in regions]
        found = [state for state in searched if _fulfils(state, [one for one in conditions if one])]
        if not _SIZE.fits(len(found)):
            raise NoTwin(f"{len(found)} states fulfil the filter on the shifted numbers")
        chosen = [state.code for state in found]
        if task.split in SPLITS and not SPLITS[task.split].may_answer(chosen):
            raise NoTwin("the answer on the shifted numbers is reserved")
        return chosen

    def _record(
        self,
        record: Record,
        task: WideTask,
        rows: Sequence[Country],
        columns: Sequence["_Cells"],
        cells: Sequence[Sequence[Value]],
    ) -> Record:
        key = task.evaluation.unique_columns[0]
        aliases: dict[str, dict[str, list[str]]] = {}
        for row in cells:
            for name, value in zip((key, *(one.column.id for one in columns)), row, strict=True):
                others = [*task.aliases.get(name, {}).get(value.text, ()), *value.aliases]
                if others:
                    aliases.setdefault(name, {})[value.text] = list(dict.fromkeys(others))
        twin = copy.deepcopy(record)
        meta = twin.get("meta", {}) | {
            "rows": len(rows),
            "answer_codes": sorted(state.code for state in rows),
            "twin_of": task.instance_id,
            "twin_seed": self.seed,
        }
        changed = {
            "instance_id": f"{task.instance_id}-twin-{self.seed}",
            "suite": f"{task.suite}-twin",
            "gold_docs": {row[0].text: state.url for state, row in zip(rows, cells, strict=True)},
            "aliases": aliases,
            "meta": meta,
        }
        return twin | changed


@dataclass(frozen=True, slots=True)
class _Cells:
    """A column of a task."""

    column: Column
    anchor: str = ""
    """Code of the state that a shared border is with."""

    @property
    def is_number(self) -> bool:
        return self.column.tolerance is not None

    def of(self, state: Country) -> Value | None:
        """The state's value."""
        return state.borders.get(self.anchor) if self.anchor else state.values.get(self.column.heading)


def _row(state: Country, columns: Sequence[_Cells], old: Sequence[str] | None) -> list[Value]:
    """Key and cells of a state; names as the original spells them, where it has the row."""
    key = Value(old[0]) if old else Value(state.name, aliases=state.aliases)
    row = [key]
    for place, cells in enumerate(columns, 1):
        value = Value(old[place]) if old and not cells.is_number else cells.of(state)
        if value is None:
            raise NoTwin(f"{cells.column.heading} of {state.name} is not known")
        row.append(value)
    return row


def _fulfils(state: Country, conditions: Sequence[Predicate]) -> bool:
    """Whether a state fulfils all conditions. Raises `NoTwin` where that is not known, or too near to tell."""
    held = [condition.holds(state) for condition in conditions]
    if False in held:
        return False
    if None in held:
        raise NoTwin(f"the filter is undecided for {state.name} on the shifted numbers")
    return True
