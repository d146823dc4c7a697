"""What profiles and regions are called, told from the profiles themselves: no list of names is kept here."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Profile = Mapping[str, Any]
Forms = tuple[str, str]
"""Short and long form of a name; empty where the profile has none."""

_TAG = re.compile(r"<[^<>]*>")
_BREAK = re.compile(r"</?(?:p|br|div|li|ul|ol|tr)\b[^<>]*>", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_REMARK = re.compile(r"\s*\((?=[a-z])[^()]*\)|\s*;.*")
_BORDER = re.compile(r"([^;,:]+?)\s+[\d.,]+\s*km\b")


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
