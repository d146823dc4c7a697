"""Queries over the bundled Factbook from intents of the training split, and gold derived from the intents alone.

A wide intent says how its rows are defined (named states, neighbours of a state, conditions over regions) and which
columns are asked for. Its answer is worked out again from that definition on the profiles' values: the rows that
the generator had in mind are not handed on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from services.pipeline.lines import Kind, Query
from services.suites.atlas import recorded
from services.suites.catalogue import BY_ID, KEY, Column
from services.suites.drafts import Draft
from services.suites.facts import Country, load_countries
from services.suites.filters import Reason
from services.suites.generate import QUESTIONS
from services.suites.predicates import Predicate, read_predicate
from services.suites.questions import generate_questions
from services.suites.splits import SPLITS
from services.suites.wide import Intent, WideSuite
from services.suites.wide_records import SUITE, cell_value, record
from wideseek.instances import Question

SOURCE = "factbook"
SPLIT = "train"


class Underived(Exception):
    """An intent has no answer that can be derived from it; the message says why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.reason = Reason(code=code, why=why)


def wide_queries(count: int, seed: int) -> Iterator[Query]:
    """At most `count` broad queries; the same seed gives the same ones."""
    suite = WideSuite(SPLITS[SPLIT], seed=seed)
    return (_wide(intent) for intent in islice(suite.intents(), count))


def _wide(intent: Intent) -> Query:
    draft = intent.draft
    definition: dict[str, Any] = {
        "suite": SUITE,
        "difficulty": draft.difficulty,
        "regions": list(draft.regions),
        "columns": [column.id for column in intent.columns],
    }
    if draft.difficulty == "named":
        definition["countries"] = list(draft.codes)
    elif draft.difficulty == "neighbours":
        definition |= {"form": draft.form, "anchors": [anchor.code for anchor in draft.anchors]}
        definition["outside"] = draft.outside
    else:
        definition["predicates"] = [predicate.text for predicate in draft.predicates]
    return Query(
        instance_id=intent.instance_id,
        kind=Kind.WIDE,
        source=SOURCE,
        intent=definition,
        text=intent.query,
        must_name=_must_name(intent),
    )


def _must_name(intent: Intent) -> tuple[str, ...]:
    """The columns in their order, and what tells the rows: names, or conditions word for word."""
    states, draft = load_countries(), intent.draft
    headings = ", ".join([KEY.heading, *(column.heading for column in intent.columns)])
    described = [part for column in intent.columns for part in (column.heading, column.description)]
    if draft.difficulty == "named":
        rows = [states[code].definite for code in draft.codes]
    elif draft.difficulty == "neighbours":
        rows = [anchor.definite for anchor in draft.anchors]
    else:
        rows = [predicate.text for predicate in draft.predicates]
    named = draft.outside or draft.difficulty == "filter"
    regions = [recorded().region_names[region] for region in draft.regions if named]
    return tuple(dict.fromkeys((headings, *described, *rows, *regions, "World Factbook", "```markdown")))


def wide_gold(query: Query) -> dict[str, Any]:
    """The instance of a wide query. Raises `Underived` when its intent does not decide the answer."""
    intent, states = query.intent, load_countries()
    columns = [BY_ID[name] for name in intent["columns"]]
    draft = _draft(intent, states)
    rows = [state for state in states.values() if state.code in draft.codes]
    if not rows:
        raise Underived("no_rows", "no state is as the query asks")
    _check_cells(rows, columns, draft)
    return record(query.instance_id, SPLIT, draft, query.text, columns, rows)


def _draft(intent: Mapping[str, Any], states: Mapping[str, Country]) -> Draft:
    """The definition with its answer, worked out on the values of all sovereign states."""
    difficulty, regions = intent["difficulty"], tuple(intent["regions"])
    if difficulty == "named":
        return Draft(difficulty, tuple(intent["countries"]), regions)
    if difficulty == "neighbours":
        anchors = tuple(states[code] for code in intent["anchors"])
        codes = _bordering(intent["form"], anchors, regions, states)
        return Draft(difficulty, codes, regions, form=intent["form"], anchors=anchors, outside=intent["outside"])
    predicates = tuple(_predicate(text) for text in intent["predicates"])
    searched = (state for state in states.values() if state.region in regions)
    codes = tuple(sorted(state.code for state in searched if _fulfils(state, predicates)))
    return Draft(difficulty, codes, regions, predicates)


def _bordering(
    form: str, anchors: Sequence[Country], regions: Sequence[str], states: Mapping[str, Country]
) -> tuple[str, ...]:
    unknown = [anchor.name for anchor in anchors if anchor.neighbours is None]
    if unknown:
        raise Underived("undecided", f"the neighbours of {unknown[0]} are not known")
    near = {code for anchor in anchors for code in anchor.neighbours or ()}
    own = {anchor.code for anchor in anchors}
    codes = near | own if form == "nbself" else near - own
    return tuple(sorted(code for code in codes if states[code].region in regions))


def _predicate(text: str) -> Predicate:
    found = read_predicate(text)
    if found is None:
        raise Underived("undecided", f"the condition {text!r} cannot be read back")
    return found


def _fulfils(state: Country, predicates: Sequence[Predicate]) -> bool:
    held = [predicate.holds(state) for predicate in predicates]
    if False not in held and None in held:
        raise Underived("undecided", f"it is not known whether {state.name} is as the query asks")
    return False not in held


def _check_cells(rows: Sequence[Country], columns: Sequence[Column], draft: Draft) -> None:
    for row in rows:
        for column in columns:
            if cell_value(row, column, draft) is None:
                raise Underived("unknown_cell", f"the profile of {row.name} does not state {column.heading}")


def question_queries(count: int, seed: int) -> Iterator[Query]:
    """At most `count` questions; the same seed gives the same ones."""
    return (_asked(question) for question in _questions(count, seed))


def _asked(question: Question) -> Query:
    meta = question.meta
    kind = {"type": meta["type"]} if "type" in meta else {}
    return Query(
        instance_id=question.instance_id,
        kind=Kind.QUESTION,
        source=SOURCE,
        intent={"suite": QUESTIONS, "kind": question.kind, **kind, "fields": meta["fields"], "codes": meta["codes"]},
        text=question.question,
        must_name=telling_words(question.question),
    )


def question_gold(query: Query, count: int, seed: int) -> dict[str, Any]:
    """The instance of a question, its answer followed along the intent's chain of fields."""
    known = _by_id(count, seed).get(query.instance_id)
    if known is None:
        raise Underived("unknown_intent", "the question is none of this seed's")
    return known.model_copy(update={"question": query.text}).model_dump(mode="json")


@cache
def _questions(count: int, seed: int) -> tuple[Question, ...]:
    return tuple(generate_questions(load_countries(), SPLIT, count, seed))


@cache
def _by_id(count: int, seed: int) -> Mapping[str, Question]:
    return {question.instance_id: question for question in _questions(count, seed)}


_TELLING = re.compile(
    r"\d[\d,.]*\d|\d|\b(?:more|fewer|less|larger|smaller|longer|shorter|higher|lower|highest|longest|both|total)\b"
    r"|\b(?:capital|inhabitants|people|population|area|land border|land boundaries|coast(?:line)?|point|elevation"
    r"|forest|median age|life expectancy|fertility|infant|urban|birth)\b|\b[^\W\d_a-z][\w'’-]*",
)


def telling_words(text: str) -> tuple[str, ...]:
    """Words of a question that its sense hangs on: names, numbers, quantities, comparisons; its first word is none."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    found = dict.fromkeys(match.group() for match in _TELLING.finditer(text))
    return tuple(word for word in found if word != first)
