"""Drills in comparing: decided as the suite decides, about training columns alone, and only decisions are learnt."""

import random
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.suites.drills import LINES, Drill, comparisons, value_about
from services.suites.predicates import Predicate, read_predicate
from services.suites.splits import SPLITS
from wideseek.magnitudes import value_of

DRILLS = list(comparisons(30, seed=3))
LINE = re.compile(r"(?P<text>.+): (?P<one>[\d.]+(?: \w+)?) against (?P<other>[\d.]+(?: \w+)?), (over|under), (yes|no)")


def lines(drill: Drill) -> list[tuple[Predicate, re.Match[str]]]:
    """Condition and words of every line."""
    found = []
    for line in drill.text.removeprefix("<think>\n").split("; "):
        words = LINE.fullmatch(line)
        assert words is not None, line
        condition = read_predicate(words["text"])
        assert condition is not None, line
        found.append((condition, words))
    return found


def test_the_same_seed_makes_the_same_drills_and_another_makes_others() -> None:
    assert list(comparisons(30, seed=3)) == DRILLS
    assert list(comparisons(30, seed=4)) != DRILLS


def test_fewer_drills_are_the_first_of_more() -> None:
    assert list(comparisons(5, seed=3)) == DRILLS[:5]


def test_every_line_is_decided_as_its_condition_decides() -> None:
    for drill in DRILLS:
        assert len(lines(drill)) == LINES
        for condition, words in lines(drill):
            over = value_of(words["one"]) > value_of(words["other"])
            assert words[4] == ("over" if over else "under")
            assert words[5] == ("yes" if over == condition.above else "no")
            assert abs(value_of(words["other"]) - condition.threshold) <= condition.threshold / 100


def test_only_the_words_that_decide_are_learnt() -> None:
    for drill in DRILLS:
        assert {learnt for _, learnt in drill.pieces} == {" over", " under", " yes", " no"}
        assert len(drill.pieces) == 2 * LINES


def test_conditions_are_of_training_columns_and_all_verdicts_are_common() -> None:
    found = [one for drill in DRILLS for one in lines(drill)]

    assert {condition.heading for condition, _ in found} <= SPLITS["train"].headings
    assert len({condition.heading for condition, _ in found}) > 10
    for place, word in ((4, "over"), (5, "yes")):
        assert 0.4 < sum(words[place] == word for _, words in found) / len(found) < 0.6


def test_so_many_lines_as_are_asked_for() -> None:
    (drill,) = comparisons(1, seed=1, lines=3)

    assert len(lines(drill)) == 3


@given(st.integers(0, 1000), st.sampled_from(["0.2", "2.5", "40", "1000", "5000000"]))
def test_a_value_lies_about_its_threshold_and_is_never_it(seed: int, threshold: str) -> None:
    value = value_about(Decimal(threshold), random.Random(seed))

    assert value != float(threshold)
    assert float(threshold) / 301 - 0.5 <= value <= float(threshold) * 301


def test_the_number_of_lines_is_a_positive_one() -> None:
    with pytest.raises(ValueError, match="lines is 0"):
        next(comparisons(1, seed=1, lines=0))
