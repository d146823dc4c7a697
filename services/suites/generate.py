"""Tasks of a suite, as many as are asked for or none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from services.suites import wide
from services.suites.drafts import Limits
from services.suites.facts import load_countries
from services.suites.questions import generate_questions
from services.suites.splits import split_named
from services.suites.wide_records import SUITE as WIDE
from wideseek.errors import InvalidRequest

QUESTIONS = "factbook-qa"
SUITES = (WIDE, QUESTIONS)

Record = dict[str, Any]
Progress = Callable[[int], None]
"""Called with the number of tasks made so far."""


def generate(
    suite: str,
    split: str,
    count: int,
    seed: int,
    *,
    difficulties: Sequence[str] = wide.DIFFICULTIES,
    limits: Limits = wide.DEFAULTS,
    progress: Progress | None = None,
) -> list[Record]:
    """`count` records of a suite; the same arguments give the same records, byte for byte.

    `difficulties` and `limits` are those of wide tasks. Raises `InvalidRequest` for a split that is reserved, a
    suite that is unknown, and a count larger than what there is.
    """
    split_named(split)
    progress = progress or _unheard
    if suite == WIDE:
        made = _wide_tasks(split, count, seed, difficulties, limits, progress)
    elif suite == QUESTIONS:
        questions = generate_questions(load_countries(), split, count, seed)
        made = [question.model_dump(mode="json") for question in questions]
    else:
        raise InvalidRequest(f"suite {suite!r} is unknown; there are: {', '.join(SUITES)}")
    progress(len(made))
    if len(made) < count:
        raise InvalidRequest(f"{count:,} tasks of {suite} for {split} were asked for, there are {len(made):,}")
    return made


def _unheard(_made: int) -> None:
    pass


def _wide_tasks(
    split: str, count: int, seed: int, difficulties: Sequence[str], limits: Limits, progress: Progress
) -> list[Record]:
    suite = wide.WideSuite(
        split_named(split), seed=seed, limits=limits, difficulties=tuple(dict.fromkeys(difficulties))
    )
    return list(_counted(islice(suite.tasks(), count), progress))


def _counted(records: Iterator[Record], progress: Progress) -> Iterator[Record]:
    for number, made in enumerate(records, 1):
        progress(number)
        yield made


def composition(records: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """How many records there are of each difficulty, of questions of each kind."""
    counted: dict[str, int] = {}
    for made in records:
        name = str(made.get("difficulty") or made.get("kind"))
        counted[name] = counted.get(name, 0) + 1
    return counted
