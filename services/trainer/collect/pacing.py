"""How many groups may be on their way, and which are trained next, so that none is trained too stale.

A group whose version was made by step s may be trained by step s + k + 1 at the latest (k = `max_staleness`, P =
groups a step, t = last trained step). A group is opened only while

    groups not yet trained < P * (s + k + 1 - t)

and a step leaves no more groups that are due by a later step d than the steps up to d have room for:

    chosen with a last step <= d  >=  (all with a last step <= d) - P * (d - step)      for every d

(earliest deadline first, Liu and Layland 1973). With both, staleness never exceeds the bound as long as groups come
to an end; what misses its last step all the same is dropped by the collector.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from services.trainer.collect.source import Kind


@dataclass(frozen=True)
class Standing:
    """A group in line."""

    number: int
    kind: Kind
    last_step: int
    """The last step that may train on it."""
    ready: bool


def last_step(made_at: int, max_staleness: int) -> int:
    """The last step that may train on rollouts of a version that step `made_at` made."""
    return made_at + max_staleness + 1


def room(untrained: int, *, groups: int, due: int, trained: int) -> int:
    """Groups that may be opened now, `due` being their last step; `untrained` counts those in training too."""
    return groups * (due - trained) - untrained


def quota(share: Fraction, taken: Mapping[Kind, int], groups: int) -> dict[Kind, int]:
    """Groups of each kind that the next step shall have; what earlier steps had too few of is made up for."""
    wide = floor((sum(taken.values()) + groups) * share) - taken.get("wide", 0)
    wide = min(max(wide, 0), groups)
    return {"wide": wide, "question": groups - wide}


def choose(line: Sequence[Standing], *, step: int, groups: int, wanted: Mapping[Kind, int]) -> list[int] | None:
    """Numbers of the groups that `step` trains on, ascending; None while one that it needs is not ready.

    The kinds are as wanted where the line has them, finished or not; where it has too few of one, the other fills in.
    """
    picked: list[Standing] = []
    left = _possible(line, groups, wanted)
    ordered = sorted(line, key=lambda one: (one.last_step, one.number))
    for due in dict.fromkeys(one.last_step for one in ordered):
        early = [one for one in ordered if one.last_step <= due]
        needed = min(groups, len(early) - groups * (due - step))
        while sum(one.last_step <= due for one in picked) < needed:
            following = _next(early, picked, left)
            if following is None and not _coming(early, left):
                following = _next(early, picked, None)
            if following is None:
                return None
            picked.append(following)
            left[following.kind] = max(0, left[following.kind] - 1)
    while len(picked) < groups:
        following = _next(ordered, picked, left)
        if following is None:
            return None
        picked.append(following)
        left[following.kind] -= 1
    return sorted(one.number for one in picked)


def _possible(line: Iterable[Standing], groups: int, wanted: Mapping[Kind, int]) -> dict[Kind, int]:
    """What is wanted, moved to the other kind where the line does not hold so many."""
    there: dict[Kind, int] = {"wide": 0, "question": 0}
    for one in line:
        there[one.kind] += 1
    wide = max(min(wanted["wide"], there["wide"]), groups - there["question"])
    return {"wide": wide, "question": groups - wide}


def _next(line: Iterable[Standing], picked: Sequence[Standing], left: Mapping[Kind, int] | None) -> Standing | None:
    """The first that is ready, not picked yet, and of a kind that is still wanted (None: of any)."""
    free = (one for one in line if one.ready and one not in picked)
    return next((one for one in free if left is None or left[one.kind] > 0), None)


def _coming(line: Iterable[Standing], left: Mapping[Kind, int]) -> bool:
    """Whether one of a kind that is still wanted is on its way."""
    return any(not one.ready and left[one.kind] > 0 for one in line)
