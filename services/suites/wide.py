"""The suite `factbook-wide`: broad questions over the Factbook, made from a seed.

The tasks of a seed come in one order, whatever is asked of them: ten of them are the first ten of a thousand.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from services.suites.atlas import Atlas, recorded
from services.suites.catalogue import Column, shared_border
from services.suites.drafts import Draft, Limits, filters, named, neighbours
from services.suites.facts import Country
from services.suites.splits import Split
from services.suites.wide_records import SUITE, cell_value, record
from services.suites.wide_wording import Wording
from wideseek.errors import InvalidRequest

DIFFICULTIES = ("named", "neighbours", "filter")
DEFAULTS = Limits()
_TRIES = 12
"""Draws of columns for one set of countries before it is given up."""
_FRUITLESS = 500
"""Named sets refused in a row before no more are tried."""
_SHARED_BORDER_RATE = 0.5


class Novelty:
    """Keeps tasks apart: no set of countries too often, and none that nearly repeats one with the same columns."""

    def __init__(self, *, per_answer: int = 3, max_jaccard: float = 0.7) -> None:
        self._per_answer, self._limit = per_answer, max_jaccard
        self._uses: dict[frozenset[str], int] = {}
        self._answers: dict[frozenset[str], list[frozenset[str]]] = {}

    def takes(self, codes: frozenset[str], columns: frozenset[str]) -> bool:
        """Whether the task is new enough; if so it is remembered."""
        others = self._answers.setdefault(columns, [])
        if self._uses.get(codes, 0) >= self._per_answer:
            return False
        if any(len(codes & other) > self._limit * len(codes | other) for other in others):
            return False
        self._uses[codes] = self._uses.get(codes, 0) + 1
        others.append(codes)
        return True

    def is_used_up(self, codes: frozenset[str]) -> bool:
        """Whether the set of countries has been asked about as often as it may."""
        return self._uses.get(codes, 0) >= self._per_answer


@dataclass(frozen=True, slots=True)
class Intent:
    """A task before it has gold: which rows, which columns, in which words."""

    instance_id: str
    draft: Draft
    query: str
    columns: Sequence[Column]
    """Without the key."""


class WideSuite:
    """Tasks of a split from a seed, over the Factbook as it is or as an atlas has it."""

    def __init__(
        self,
        split: Split,
        *,
        seed: int,
        limits: Limits = DEFAULTS,
        difficulties: Sequence[str] = DIFFICULTIES,
        atlas: Atlas | None = None,
        suite: str = SUITE,
    ) -> None:
        """Raises `InvalidRequest` for a difficulty that there is not."""
        for name in difficulties:
            if name not in DIFFICULTIES:
                raise InvalidRequest(f"difficulty {name!r} is unknown; there are: {', '.join(DIFFICULTIES)}")
        self._split, self._seed, self._limits, self._difficulties = split, seed, limits, difficulties
        self._atlas, self._suite = atlas or recorded(), suite
        self._states = self._atlas.countries
        self._inside = [state for state in self._states.values() if state.region in split.regions]
        self._wording = Wording(self._inside, self._atlas.region_names)
        self._novelty = Novelty()

    def tasks(self) -> Iterator[dict[str, Any]]:
        """Records, the difficulties taking turns while they last; ends when there are no more."""
        return (self._record(intent) for intent in self.intents())

    def intents(self) -> Iterator[Intent]:
        """What the tasks ask, in their order."""
        turns = [self._of(difficulty) for difficulty in self._difficulties]
        number = 0
        while turns:
            for turn in list(turns):
                made = next(turn, None)
                if made is None:
                    turns.remove(turn)
                    continue
                number += 1
                yield Intent(f"{self._suite}-{self._split.name}-{self._seed}-{number:05d}", *made)

    def _record(self, intent: Intent) -> dict[str, Any]:
        rows = [state for state in self._inside if state.code in intent.draft.codes]
        made = record(intent.instance_id, self._split.name, intent.draft, intent.query, intent.columns, rows)
        return made | {"suite": self._suite}

    def _of(self, difficulty: str) -> Iterator[tuple[Draft, str, Sequence[Column]]]:
        rng = random.Random(f"{self._seed}:{self._split.name}:{difficulty}")
        fruitless = 0
        for draft in self._drafts(difficulty, rng):
            columns = self._columns(draft, rng)
            fruitless = 0 if columns else fruitless + 1
            if columns:
                yield draft, self._wording.query(draft, columns, rng), columns
            elif difficulty == "named" and fruitless >= _FRUITLESS:
                return

    def _drafts(self, difficulty: str, rng: random.Random) -> Iterator[Draft]:
        if difficulty == "named":
            endless = named(self._inside, self._limits, rng)
            return (draft for draft in endless if self._split.may_answer(draft.codes))
        return _in_turns(_definitions(difficulty, self._split, self._limits, self._atlas), rng)

    def _columns(self, draft: Draft, rng: random.Random) -> Sequence[Column]:
        """Columns whose gold is complete and that make a new task; none when none were found."""
        codes = frozenset(draft.codes)
        states = [self._states[code] for code in draft.codes]
        complete = [column for column in self._split.columns if _is_complete(column, states, draft)]
        for _ in range(0 if self._novelty.is_used_up(codes) else _TRIES):
            wanted = rng.randint(self._limits.min_columns, self._limits.max_columns) - 1
            if len(complete) < wanted:
                continue
            places = sorted(rng.sample(range(len(complete)), wanted))
            chosen = [complete[place] for place in places]
            border = self._shared_border(draft, states)
            if border and wanted > 1 and rng.random() < _SHARED_BORDER_RATE:
                chosen = [border, *chosen[1:]]
            if self._novelty.takes(codes, frozenset(column.id for column in chosen)):
                return chosen
        return ()

    def _shared_border(self, draft: Draft, states: Sequence[Country]) -> Column | None:
        """The column for borders with the one anchor, where the split may ask for it and all lengths are known."""
        if draft.form != "nb":
            return None
        border = shared_border(draft.anchors[0].definite)
        return border if border.use in self._split.uses and _is_complete(border, states, draft) else None


def _is_complete(column: Column, states: Sequence[Country], draft: Draft) -> bool:
    return all(cell_value(state, column, draft) is not None for state in states)


@cache
def _definitions(difficulty: str, split: Split, limits: Limits, atlas: Atlas) -> tuple[tuple[Draft, ...], ...]:
    """Every allowed answer of neighbours or filters with all that define it; the same whatever the seed."""
    states = atlas.countries
    inside = [state for state in states.values() if state.region in split.regions]
    drafts = neighbours(states, split, limits) if difficulty == "neighbours" else filters(inside, split, limits)
    found: dict[tuple[str, ...], list[Draft]] = {}
    for draft in drafts:
        if split.may_answer(draft.codes):
            found.setdefault(draft.codes, []).append(draft)
    return tuple(tuple(definitions) for definitions in found.values())


def _in_turns(definitions: Sequence[Sequence[Draft]], rng: random.Random) -> Iterator[Draft]:
    """Every answer once before any comes again, each time by another definition, in an order of the seed's."""
    shuffled = [rng.sample(drafts, len(drafts)) for drafts in definitions]
    rng.shuffle(shuffled)
    for turn in range(_TRIES):
        yield from (drafts[turn % len(drafts)] for drafts in shuffled)
