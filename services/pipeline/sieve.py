"""The rules of the third stage, which need no model: what of the answered queries is fit, and which make up the set.

The set holds as many wide tasks as questions. What passes the rules and is not needed for that is surplus: it is
named as such, and takes the place of what a later check throws out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from services.pipeline.factbook import SPLIT
from services.pipeline.held_out import PageFilter
from services.pipeline.lines import Answered, Kind
from services.pipeline.settings import CheckSettings
from services.suites.filters import Filter, Reason, Rejected, Sifted, sift
from services.suites.filters_duplicates import DuplicateFilter, NearDuplicateFilter
from services.suites.filters_gold import GoldFilter, SizeFilter
from services.suites.filters_leaks import LeakFilter
from services.suites.filters_read import Candidate, instance_of
from services.suites.filters_reserved import ReservedFilter
from wideseek.instances import InvalidInstance, Question, Task

BALANCE = "balance"
"""Name of the last check: one wide task a question, and no more than were asked for."""

RULES = ("schema", "gold", "size", "reserved", "duplicates", "near duplicates", "leaks", "held-out pages")
"""Names of the rules, in the order in which an instance meets them."""


def kind_of(instance: Task) -> Kind:
    """What an instance is."""
    return Kind.QUESTION if isinstance(instance, Question) else Kind.WIDE


def candidate(line: Answered, number: int) -> Candidate:
    """An answered query as the filters read it; `number` is its line."""
    text = json.dumps(line.record, ensure_ascii=False)
    try:
        return Candidate(number, text, line.record, instance_of(line.record))
    except InvalidInstance as error:
        return Candidate(number, text, line.record, None, str(error))


def sieve(answers: Sequence[Answered], settings: CheckSettings, held_out: Sequence[Task]) -> Sifted:
    """Every answered query through the rules, in order."""
    filters: Sequence[Filter] = (
        GoldFilter(),
        SizeFilter(settings.min_rows),
        ReservedFilter(SPLIT),
        DuplicateFilter(),
        NearDuplicateFilter(settings.max_jaccard),
        LeakFilter(held_out, settings.max_jaccard),
        PageFilter(held_out),
    )
    return sift((candidate(line, number) for number, line in enumerate(answers, 1) if line.record), filters)


@dataclass(frozen=True)
class Balanced:
    """A set of one wide task a question, and what is left over."""

    chosen: Sequence[Candidate]
    surplus: Sequence[Rejected]

    def of(self, kind: Kind) -> list[Candidate]:
        """The chosen ones of a kind, in their order."""
        return [one for one in self.chosen if one.instance is not None and kind_of(one.instance) is kind]


def balance(kept: Sequence[Candidate], per_kind: int) -> Balanced:
    """The first of each kind, `per_kind` of both where there are so many, else as many as the scarcer kind has."""
    kinds = {kind: [one for one in kept if one.instance and kind_of(one.instance) is kind] for kind in Kind}
    size = min(per_kind, *(len(ones) for ones in kinds.values()))
    chosen = {one.instance_id for ones in kinds.values() for one in ones[:size]}
    why = Reason(code="surplus", why=f"{size:,} of each kind make up the set without it")
    surplus = [Rejected(one, BALANCE, why) for one in kept if one.instance_id not in chosen]
    return Balanced([one for one in kept if one.instance_id in chosen], surplus)
