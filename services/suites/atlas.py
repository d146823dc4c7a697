"""What queries ask about: the sovereign states, and what the regions that they are filed under are called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from services.kit.factbook import Entry, load_entries, region_names
from services.suites.facts import Country, load_countries, read_countries


@dataclass(frozen=True, eq=False)
class Atlas:
    """States and regions, as they are recorded or as a world has them."""

    countries: Mapping[str, Country]
    """Code -> sovereign state, in the order of their names."""
    region_names: Mapping[str, str]
    """Folder of a region -> its name as queries use it."""


@cache
def recorded() -> Atlas:
    """As the Factbook has them."""
    return Atlas(load_countries(), names_of_regions(load_entries()))


def atlas_of(entries: Iterable[Entry]) -> Atlas:
    """As these profiles have them."""
    listed = list(entries)
    return Atlas(read_countries(listed), names_of_regions(listed))


def names_of_regions(entries: Iterable[Entry]) -> Mapping[str, str]:
    """Folder of a region -> its name."""
    listed = list(entries)
    folders = sorted({entry.region for entry in listed})
    return region_names(folders, (entry.profile for entry in listed), (entry.title for entry in listed))
