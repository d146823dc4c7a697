"""How one number compares with another, told in steps that can be read off their digits.

A small model that is shown `17098242, above 1000000: yes` learns to guess. Counting the digits before the point,
of each number as soon as it is written, and where they are as many, the first place that differs, is work it can do:

    17098242 (8 digits) against 1000000 (7 digits), 8 over 7      4573 (4 digits) against 5000 (4 digits), 4 under 5
    2.08 (1 digit) against 2.1 (1 digit), 2.0 under 2.1           -0.3 against 0.5, minus under plus
"""

from decimal import Decimal
from itertools import zip_longest


def weighed(number: float, bound: float) -> str:
    """Both in plain digits, and what tells which is the larger."""
    one, other = _plain(number), _plain(bound)
    minus = one.startswith("-"), other.startswith("-")
    if minus[0] != minus[1]:
        return f"{one} against {other}, {'minus under plus' if minus[0] else 'plus over minus'}"
    places = [len(shown.lstrip("-").partition(".")[0]) for shown in (one, other)]
    if places[0] == places[1]:
        told = _first_difference(one, other)
    else:
        told = f"{places[0]} {'over' if (places[0] > places[1]) != minus[0] else 'under'} {places[1]}"
    return f"{one} ({_digits(places[0])}) against {other} ({_digits(places[1])}), {told}"


def _plain(number: float) -> str:
    """Every place that counts and no exponent; `plain_number` rounds, so that two that differ could look the same."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _digits(count: int) -> str:
    return f"{count} digit{'s' if count > 1 else ''}"


def _first_difference(one: str, other: str) -> str:
    """Both as far as the first place in which they differ; `the same` where there is none."""
    if one == other:
        return "the same"
    whole = [number if "." in number else f"{number}." for number in (one, other)]
    pairs = list(zip_longest(*whole, fillvalue="0"))
    end = next(place for place, (left, right) in enumerate(pairs) if left != right) + 1
    shown = ["".join(pair[side] for pair in pairs[:end]).rstrip(".") for side in (0, 1)]
    return f"{shown[0]} {'over' if Decimal(one) > Decimal(other) else 'under'} {shown[1]}"
