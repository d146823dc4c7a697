"""Filters over wide tasks and questions: each one says why an instance is not fit for use, or nothing.

An instance goes through the filters in order; the first that objects rejects it, under a stable code and with
a sentence. What passes all of them is kept, in the order it came. A filter that compares instances with one
another (duplicates) learns of kept ones only: a rejected instance stands in nobody's way.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.suites.filters_read import Candidate
from wideseek.instances import Task
from wideseek.values import Frozen


class Reason(Frozen):
    """Why an instance was rejected."""

    code: str
    """Stable name of the reason, for machines."""
    why: str
    """The reason as a sentence."""


class Filter(Protocol):
    """One stage of a sieve."""

    @property
    def stage(self) -> str:
        """Name of the stage in statistics."""
        ...

    def check(self, instance: Task) -> Reason | None:
        """Why the instance is not fit, or None."""
        ...

    def keep(self, instance: Task) -> None:
        """Take note of an instance that passed every stage."""
        ...


class Stage(Frozen):
    """What one stage did."""

    name: str
    seen: int
    rejected: dict[str, int]
    """Instances rejected, by code."""

    @property
    def passed(self) -> int:
        """Instances that went on."""
        return self.seen - sum(self.rejected.values())


@dataclass(frozen=True)
class Rejected:
    """An instance that was not kept."""

    candidate: Candidate
    stage: str
    reason: Reason


@dataclass(frozen=True)
class Sifted:
    """The outcome of a sieve; nothing that came in is in neither list."""

    kept: Sequence[Candidate]
    rejected: Sequence[Rejected]
    stages: Sequence[Stage]


@dataclass
class _Count:
    seen: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def sift(candidates: Iterable[Candidate], filters: Sequence[Filter]) -> Sifted:
    """Send every candidate through the filters. What could not be read at all is rejected by the stage `schema`."""
    kept: list[Candidate] = []
    rejected: list[Rejected] = []
    counts: dict[str, _Count] = {"schema": _Count(), **{stage.stage: _Count() for stage in filters}}
    for candidate in candidates:
        outcome = _first_objection(candidate, filters, counts)
        if outcome is None:
            kept.append(candidate)
        else:
            rejected.append(outcome)
    stages = [
        Stage(name=name, seen=count.seen, rejected=dict(sorted(count.rejected.items())))
        for name, count in counts.items()
    ]
    return Sifted(kept, rejected, stages)


def _first_objection(candidate: Candidate, filters: Sequence[Filter], counts: dict[str, _Count]) -> Rejected | None:
    counts["schema"].seen += 1
    if candidate.instance is None:
        counts["schema"].rejected["schema"] += 1
        return Rejected(candidate, "schema", Reason(code="schema", why=candidate.problem))
    instance = candidate.instance
    for one in filters:
        count = counts[one.stage]
        count.seen += 1
        reason = one.check(instance)
        if reason is not None:
            count.rejected[reason.code] += 1
            return Rejected(candidate, one.stage, reason)
    for one in filters:
        one.keep(instance)
    return None
