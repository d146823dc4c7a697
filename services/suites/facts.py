"""The 195 sovereign states of the Factbook with the values of every column, read once from their profiles."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from services.kit.factbook import Entry, Profile, load_entries, plain
from services.suites.borders import Borders, read_borders
from services.suites.catalogue import EVERY
from services.suites.naming import article, spellings
from services.suites.parsing import Value


@dataclass(frozen=True, slots=True)
class Country:
    """What the Factbook records of one sovereign state."""

    code: str
    """Two letters, lower case, as the profile's file is named."""
    region: str
    """The folder its profile is filed under."""
    name: str
    """Usual short English name, as gold writes it."""
    aliases: tuple[str, ...]
    """Other names that a tolerant scorer may accept; none of them is another state's."""
    values: Mapping[str, Value | None]
    """Heading of a column -> its value; None where the profile does not state exactly one."""
    neighbours: frozenset[str] | None = None
    """Codes of the sovereign states across a land border; None where its list of borders does not resolve."""
    borders: Mapping[str, Value] = field(default_factory=dict)
    """Code of a neighbour -> length in km, where both lists state the same one."""
    definite: str = ""
    """The name inside a sentence: `the Bahamas`."""

    @property
    def url(self) -> str:
        """Address of its page."""
        return f"factbook:{self.region}/{self.code}"


@cache
def load_countries() -> Mapping[str, Country]:
    """Code -> sovereign state, in the order of their names."""
    return read_countries(load_entries())


def read_countries(entries: Iterable[Entry]) -> Mapping[str, Country]:
    """The sovereign states among `entries`: code -> state, in the order of their names."""
    listed = list(entries)
    sovereign = sorted((entry for entry in listed if entry.sovereign), key=lambda entry: entry.title)
    borders = read_borders(listed)
    names = spellings(sovereign)
    found = {entry.code: _country(entry, borders[entry.code], names[entry.code]) for entry in sovereign}
    return MappingProxyType(found)


def _country(entry: Entry, borders: Borders, aliases: tuple[str, ...]) -> Country:
    readers = ((column, column.read) for column in EVERY if column.read is not None)
    values = {column.heading: read(text_at(entry.profile, column.path)) for column, read in readers}
    return Country(
        code=entry.code,
        region=entry.region,
        name=entry.title,
        aliases=aliases,
        values=values,
        neighbours=borders.neighbours,
        borders=borders.lengths,
        definite=article(entry),
    )


def text_at(profile: Profile, path: Sequence[str]) -> str:
    """The text at a path of a profile, on one line; empty where there is none. Spaces around labels do not count."""
    node: Any = profile
    for name in path:
        found = (
            (content for label, content in node.items() if label.strip() == name) if isinstance(node, Mapping) else ()
        )
        node = next(iter(found), None)
    text = node.get("text") if isinstance(node, Mapping) else None
    return " ".join(plain(text)) if isinstance(text, str) else ""
