"""Large numbers in words: `102634` is `102 thousand`.

A small model copies the digits of a number well and counts them badly. It compares `102 thousand` with `5 million` by
the word, and two numbers of the same word by three digits.
"""

import re
from decimal import ROUND_DOWN, Context, Decimal

SCALES = {"trillion": 12, "billion": 9, "million": 6, "thousand": 3}
"""Powers of ten, the largest first."""
_DIGITS = 3
_MOST_DIGITS = 20
_WORD = "|".join(SCALES)
_SEPARATED = re.compile(
    rf"(?P<of>/|\bper )?(?<![\d.,])\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?!\d|,\d)(?P<scaled>\s*(?:{_WORD})\b)?"
)
_DIGIT = re.compile(r"\d")
_ADDED = re.compile(rf"(?<=\d) \(\d+(?:\.\d+)? (?:{_WORD})\)")


def worded(number: float | Decimal, digits: int = _DIGITS) -> str:
    """A number of so many digits, the rest cut off, with its power of a thousand as a word.

    >>> worded(102634), worded(-17098242.5), worded(0.25), worded(999_999)
    ('102 thousand', '-17 million', '0.25', '999 thousand')
    """
    exact = number if isinstance(number, Decimal) else Decimal(repr(number))
    word = next((word for word, power in SCALES.items() if abs(exact) >= Decimal(10) ** power), "")
    cut = Context(prec=digits, rounding=ROUND_DOWN).create_decimal(exact.scaleb(-SCALES.get(word, 0)))
    text = format(cut, "f")
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {word}".rstrip()


def compared(number: float, bound: float) -> tuple[str, str]:
    """Both in words, of as many digits as it takes to compare in words as they do in full."""
    one, other = Decimal(repr(number)), Decimal(repr(bound))
    for digits in range(_DIGITS, _MOST_DIGITS):
        left, right = worded(one, digits), worded(other, digits)
        if one.compare(other) == value_of(left).compare(value_of(right)):
            break
    return left, right


def weighed(number: float, bound: float) -> str:
    """What there is to say before a condition on a number is decided.

    >>> weighed(102634, 5_000_000)
    '102 thousand against 5 million, under'
    """
    one, other = compared(number, bound)
    return f"{one} against {other}, {'the same' if number == bound else 'over' if number > bound else 'under'}"


def value_of(text: str) -> Decimal:
    """The number that `worded` has worded.

    >>> value_of("2.5 thousand")
    Decimal('2500')
    """
    number, _, word = text.partition(" ")
    return Decimal(format(Decimal(number).scaleb(SCALES.get(word, 0)), "f"))


def with_magnitudes(line: str) -> str:
    """Numbers whose thousands are set apart by commas: without the commas, their magnitude behind them.

    A policy that leaves commas out as it copies loses digits as well. What a rate is of has no magnitude, nor have
    numbers of a list, which is there for its names.

    >>> with_magnitudes("Population: 17,833,885 (2025 est.)")
    'Population: 17833885 (17.8 million) (2025 est.)'
    >>> with_magnitudes("Borders: Chad 1,196 km; Mali 838 km"), with_magnitudes("8.1 births/1,000 population")
    ('Borders: Chad 1196 km; Mali 838 km', '8.1 births/1000 population')
    """
    is_list = sum(bool(_DIGIT.search(part)) for part in line.split(";")) > 1
    return _SEPARATED.sub(_without_commas if is_list else _with_magnitude, line)


def without_magnitudes(text: str) -> str:
    """The text without what `with_magnitudes` puts behind numbers.

    >>> without_magnitudes("Population: 17833885 (17.8 million) (2025 est.)")
    'Population: 17833885 (2025 est.)'
    """
    return _ADDED.sub("", text)


def _without_commas(found: re.Match[str]) -> str:
    return found[0].replace(",", "")


def _with_magnitude(found: re.Match[str]) -> str:
    plain = _without_commas(found)
    return plain if found["of"] or found["scaled"] else f"{plain} ({worded(Decimal(plain))})"
