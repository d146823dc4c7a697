"""Whether two short texts say the same, by rule alone: what the deterministic judge answers for a cell.

The same words in the same order, function words aside; the same quantity, with the same unit where both name one;
the same date; or, for descriptions, one within the other: five content words or more in common, token F1 of 0.8,
and nothing added that negates, points elsewhere or counts. A word exchanged for another is never overlooked.

    token F1 = 2 * shared / (words of one + words of the other), counted with multiplicity (SQuAD's measure)
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from wideseek.scoring.dates import parse_date
from wideseek.scoring.folding import is_missing, label, words
from wideseek.scoring.numbers import number_and_rest

TOKEN_F1 = 0.8
"""Likeness that two descriptions need, besides one containing the other."""

MIN_SHARED = 5
"""Content words that two descriptions need in common; names are shorter, and one word more is another name."""

_FUNCTION = frozenset(["the", "a", "an", "of", "in", "on", "at", "by", "is", "was", "are", "were", "for", "to", "from"])
_TURNING = frozenset(
    [
        *("no", "not", "never", "non", "none", "nor", "without", "except", "excluding", "former", "formerly", "ex"),
        *("north", "south", "east", "west", "northern", "southern", "eastern", "western", "upper", "lower", "before"),
        *("after", "new", "old", "inner", "outer", "left", "right", "first", "second", "third", "last", "or", "vice"),
    ]
)
_FILLING = frozenset(
    [
        *("it", "its", "he", "she", "they", "there", "that", "this", "answer", "final", "about", "approximately"),
        *("around", "city", "town", "country", "state", "year", "named", "called", "as", "be", "has", "have"),
    ]
)
_BEFORE_NUMBER = frozenset(["about", "approximately", "around", "approx", "circa", "c", "ca", "us", "$", "€", "£", "¥"])
_UNITS = {
    "kilometre": "km", "kilometer": "km", "kilometres": "km", "kilometers": "km", "kms": "km", "sq": "square",
    "metre": "m", "meter": "m", "metres": "m", "meters": "m", "dollars": "$", "dollar": "$", "usd": "$", "us": "",
    "euro": "€", "euros": "€", "eur": "€", "pounds": "£", "gbp": "£", "kilograms": "kg", "kilogrammes": "kg",
    "tonnes": "t", "tons": "t", "years": "year", "people": "", "inhabitants": "", "persons": "", "about": "",
    "approximately": "", "around": "", "approx": "", "circa": "", "c": "", "ca": "", "est": "", "miles": "mi",
}  # fmt: skip
_MAX_UNIT_WORDS = 3
_NOTE = re.compile(r"\s*\([^()]*\)$")


def same_meaning(given: str, accepted: Iterable[str]) -> bool:
    """Whether a text says what one of the accepted texts says."""
    return any(_same(given, text) for text in accepted)


def stands_in(given: str, accepted: str) -> bool:
    """Whether an answer is the accepted text in a sentence that adds filling words only: `It is the city of Paris.`"""
    said, wanted = words(given), words(accepted)
    if not wanted or len(said) > len(wanted) + 8:
        return False
    fillers = _FUNCTION | _FILLING
    places = range(len(said) - len(wanted) + 1)
    return any(
        said[place : place + len(wanted)] == wanted
        and all(word in fillers for word in (*said[:place], *said[place + len(wanted) :]))
        for place in places
    )


def _same(given: str, gold: str) -> bool:
    missing = is_missing(given), is_missing(gold)
    if any(missing):
        return all(missing)
    said, wanted = words(given), words(gold)
    if said == wanted and said:
        return True
    quantity = _quantity(given), _quantity(gold)
    if quantity[0] is not None and quantity[1] is not None:
        return _same_quantity(quantity[0], quantity[1])
    date = parse_date(given), parse_date(gold)
    if date[0] is not None and date[1] is not None:
        return (date[0].first, date[0].last) == (date[1].first, date[1].last)
    return _like(_content(said), _content(wanted))


def _like(said: Sequence[str], wanted: Sequence[str]) -> bool:
    if not said or not wanted:
        return False
    if said == wanted:
        return True
    mine, theirs = Counter(said), Counter(wanted)
    shared = (mine & theirs).total()
    added = (mine - theirs) + (theirs - mine)
    contained = shared == min(len(said), len(wanted))
    turned = any(word in _TURNING or word.isdigit() or not word.isalpha() for word in added)
    likeness = 2 * shared / (len(said) + len(wanted))
    return contained and not turned and shared >= MIN_SHARED and likeness >= TOKEN_F1


def _content(text: Sequence[str]) -> list[str]:
    return [word for word in text if word not in _FUNCTION]


Quantity = tuple[str, tuple[str, ...]]
"""A value, as `numbers.canonical` writes it, and its unit."""


def _quantity(text: str) -> Quantity | None:
    """The one number of a text with its unit; None for a text that holds something else too."""
    said = _NOTE.sub("", " ".join(label(text).split())).strip() or text
    found = number_and_rest(said)
    if found is None or any(character.isdigit() for character in found.before + found.after):
        return None
    before, after = words(found.before), words(found.after)
    if any(word not in _BEFORE_NUMBER for word in before) or len(after) > _MAX_UNIT_WORDS:
        return None
    unit = (_UNITS.get(word, word) for word in (*before, *after))
    return found.value, tuple(word for word in unit if word)


def _same_quantity(given: Quantity, gold: Quantity) -> bool:
    return given[0] == gold[0] and (given[1] == gold[1] or not given[1] or not gold[1])
