"""How one number compares with another, told in steps that can be read off their digits.

A small model that is shown `17098242, above 1000000: yes` learns to guess. Counting the digits before the point, and
where they are as many, the first place that differs, is work it can do:

    17098242 against 1000000, 8 digits over 7        4573 against 5000, 4 digits each, 4 under 5
    2.08 against 2.1, 1 digit each, 2.0 under 2.1    -0.3 against 0.5, minus under plus
"""

from decimal import Decimal
from itertools import zip_longest


def weighed(number: float, bound: float) -> str:
    """Both in plain digits, and what tells which is the larger."""
    one, other = _plain(number), _plain(bound)
    return f"{one} against {other}, {_told(one, other)}"


def _plain(number: float) -> str:
    """Every place that counts and no exponent; `plain_number` rounds, so that two that differ could look the same."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _told(one: str, other: str) -> str:
    signs = one.startswith("-"), other.startswith("-")
    if signs[0] != signs[1]:
        return "minus under plus" if signs[0] else "plus over minus"
    places = [len(number.lstrip("-").partition(".")[0]) for number in (one, other)]
    if places[0] != places[1]:
        larger = (places[0] > places[1]) != signs[0]
        return f"{_digits(places[0])} {'over' if larger else 'under'} {places[1]}"
    return f"{_digits(places[0])} each, {_first_difference(one, other)}"


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
