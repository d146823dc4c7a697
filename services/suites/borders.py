"""Land borders between sovereign states, told from the lists of both sides.

A list resolves when every entry names a profile of the Factbook and every sovereign state in it lists the country
back; no state may list the country without being listed. Lists that name a place without a profile of its own
(French Guiana, a naval base) do not resolve: who borders whom is then a matter of reading, not of record.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.kit.factbook import Entry, forms, value
from services.suites.naming import folded
from services.suites.parsing import Value, decimal, number_value

_PIECE = re.compile(r"(?P<name>.+?)(?:\s+\((?P<part>[^()]*)\))?\s+(?P<km>[\d,]+(?:\.\d+)?)\s*km(?:\s*\([^()]*\))?")
_SEPARATOR = re.compile(r";\s*|,\s+(?=[^\W\d])|\s+and\s+(?=[^\W\d][\w\s]*\([^()]*\)\s+[\d,.]+\s*km)")


@dataclass(frozen=True, slots=True)
class Borders:
    """One state's land borders."""

    neighbours: frozenset[str] | None = frozenset()
    """Codes of sovereign states; None where the list does not resolve."""
    lengths: Mapping[str, Value] = field(default_factory=dict)
    """Code -> km, where both sides state the same single length."""


def read_borders(entries: Sequence[Entry]) -> Mapping[str, Borders]:
    """Borders of every sovereign state, by code. `entries` are all profiles: territories are told by theirs."""
    codes = _codes(entries)
    sovereign = {entry.code for entry in entries if entry.sovereign}
    listed = {entry.code: _listed(entry, codes) for entry in entries if entry.sovereign}
    return {code: _resolved(code, listed, sovereign) for code in listed}


_Listed = Mapping[str | None, tuple[Value, ...]]
"""Code of a profile -> the lengths stated for it; None for what is no profile."""


def _codes(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Folded name -> code; what two profiles are called is left out."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        short = value(entry.profile, "Government", "Country name", "abbreviation")
        names = {entry.title, *entry.aliases, *forms(entry.profile), *short.split(" or ")}
        for name in names - {""}:
            found.setdefault(folded(name), set()).add(entry.code)
    return {name: next(iter(codes)) for name, codes in found.items() if len(codes) == 1}


def _listed(entry: Entry, codes: Mapping[str, str]) -> _Listed:
    text = value(entry.profile, "Geography", "Land boundaries", "border countries")
    found: dict[str | None, tuple[Value, ...]] = {}
    for piece in _SEPARATOR.split(text) if text else ():
        match = _PIECE.fullmatch(piece.strip())
        code = codes.get(folded(match["name"])) if match else None
        length = (number_value(decimal(match["km"])),) if match else ()
        found[code] = (*found.get(code, ()), *length)
    return found


def _resolved(code: str, listed: Mapping[str, _Listed], sovereign: set[str]) -> Borders:
    own = listed[code]
    near = frozenset(other for other in own if other in sovereign)
    back = frozenset(other for other, theirs in listed.items() if code in theirs)
    both = near & back
    lengths = {
        other: own[other][0] for other in sorted(both) if len(own[other]) == 1 and own[other] == listed[other][code]
    }
    return Borders(near if None not in own and near == back else None, lengths)
