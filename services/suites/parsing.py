"""Values out of the texts of a profile: one reader for each kind of field.

A reader takes the field's text on one line and gives a `Value`, or None when the field does not state exactly
one value of that kind: several capitals, a peak without a name, an area given twice. What cannot be read is
unknown, never guessed; a task that needs it does not exist.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_DATED = r"(?:\s*\(\d{4}(?:/\d{2})?(?: est\.)?\))?"
_REMARK = r"(?:\s*\([^()]*\))?"
_SCALES = {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALE = r"(?:\s(?P<scale>thousand|million|billion|trillion))?"
_PEAK = re.compile(rf"(?P<name>(?:[^;()]|\([^()]*\))*?)\s+(?P<number>{_NUMBER})(?:\sm\b)?(?P<rest>.*)")
_NAME = re.compile(r"(?P<name>[^(),;]+(?:, (?:[A-Z]\.)+)?)(?:\s\((?P<inside>[^()]*)\))?")
_LOOSE = frozenset({"in", "is", "on", "the"})
"""Short words that stand in a description, not in a name."""
_MOUNT = re.compile(r"(?:Mount|Mt\.?)\s(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class Value:
    """What a cell of gold says."""

    text: str
    """As it stands in a gold table: plain digits for a number."""
    number: Decimal | None = None
    """The quantity, in the unit the column asks for; None for a name."""
    aliases: tuple[str, ...] = ()
    """Other spellings that a tolerant scorer may accept."""


Reader = Callable[[str], Value | None]


def number_value(number: Decimal) -> Value:
    """A number as gold writes it: plain digits, no trailing zeros behind the point."""
    text = format(number, "f")
    return Value(text.rstrip("0").rstrip(".") if "." in text else text, number)


def quantity(before: str, after: str, *, unit: int = 1) -> Reader:
    """A reader of `<before><number> [scale]<after>`, with a date or a remark in brackets; the number is per `unit`.

    `before` and `after` are regular expressions for what surrounds the number: `\\$` and nothing, or ` km`.
    """
    pattern = re.compile(rf"{before}(?P<number>{_NUMBER}){_SCALE}{after}{_REMARK}{_DATED}")

    def read(text: str) -> Value | None:
        match = pattern.fullmatch(text.strip())
        if match is None:
            return None
        return number_value(decimal(match["number"]) * _SCALES[match["scale"] or ""] / unit)

    return read


def decimal(digits: str) -> Decimal:
    """The number that digits with thousands separators stand for."""
    return Decimal(digits.replace(",", ""))


def capital(text: str) -> Value | None:
    """The capital's name; spellings in other languages, in brackets, are aliases. None where several are given."""
    return _name(text)


def peak(text: str) -> Value | None:
    """The name of the highest point; None where it has none, or is described by its place."""
    match = _PEAK.fullmatch(text.strip())
    found = _name(match["name"]) if match else None
    return found and Value(found.text, aliases=(*found.aliases, *_mount(found.text)))


def elevation(text: str) -> Value | None:
    """The elevation of the highest point in metres; None where the text gives two."""
    match = _PEAK.fullmatch(text.strip())
    if match is None or re.search(rf"{_NUMBER}\sm\b", match["rest"]):
        return None
    return number_value(decimal(match["number"]))


def _name(text: str) -> Value | None:
    match = _NAME.fullmatch(text.strip())
    if match is None or not _is_name(match["name"]):
        return None
    others = [part.strip() for part in re.split(r"[,/]", match["inside"] or "")]
    halves = match["name"].split("/") if "/" in match["name"] else []
    return Value(match["name"], aliases=(*halves, *(others if all(map(_is_name, others)) else ())))


def _is_name(text: str) -> bool:
    """Whether the words are a name's: the first and every long one begin with a capital, none is a description's."""
    words = text.split()
    starts = [word.lstrip("'’") for word in words]
    return bool(words) and starts[0][:1].isupper() and not any(_describes(word) for word in starts)


def _describes(word: str) -> bool:
    return word in _LOOSE or not word[:1].isalpha() or (len(word) > 3 and word[0].islower())


def _mount(name: str) -> tuple[str, ...]:
    match = _MOUNT.fullmatch(name)
    return (match["rest"], f"Mt {match['rest']}") if match else ()
