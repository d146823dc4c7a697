"""States under names that do not exist, so that a name can only be copied from where it stands.

A small model that has seen a hundred names writes one of these where it should copy another: Tunisia for Turkmenistan.
In a world of practice most states bear invented names, some of several words, some that begin as another does. A name
is replaced wherever it stands: titles, forms, lists of borders, prose. Capitals, people and rivers keep theirs.
"""

import random
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.kit.factbook import Entry, forms

_ONSETS = (*"bcdfghjklmnprstvwyz", "br", "ch", "dr", "gr", "kl", "kr", "qu", "sh", "sk", "st", "th", "tr", "vl")
_VOWELS = (*"aaaeeiioou", "ai", "ia", "ou", "ea")
_MIDDLES = (*"bdgklmnrstvz", "ll", "ld", "mb", "nd", "ng", "nt", "rd", "rn", "rv", "ss", "st")
_ENDS = (*"aaaeou", "ia", "ia", "an", "en", "os", "land", "istan", "ova", "mark", "nia", "ra", "in", "ay", "ique")
_FORMS = (
    *["{one}"] * 12,
    "{one} {two}",
    "{one} and {two}",
    "{one} and the {two}s",
    "Saint {one}",
    "New {one}",
    "Equatorial {one}",
    "South {one}",
    "{one}-{two}",
    "{one} Republic",
    "Republic of the {one}",
    "{one} Islands",
)
_TWINS = 0.15
"""Share of names that begin as an earlier one does, like Dominica and the Dominican Republic."""
_LONG = ("Republic of {name}", "Kingdom of {name}", "Democratic Republic of {name}", "State of {name}")


def renamed(entries: Sequence[Entry], codes: Collection[str], rng: random.Random) -> list[Entry]:
    """All entries, those of `codes` under invented names, which replace theirs in every profile."""
    called = {name for entry in entries for name in _names_of(entry)}
    fresh = invented_names(called, rng)
    given = {entry.code: next(fresh) for entry in entries if entry.code in codes}
    swapped = {name: given.get(entry.code, name) for entry in entries for name in _names_of(entry)}
    spelt = "|".join(re.escape(name) for name in sorted(swapped, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{spelt})(?!\w)")

    def swap(text: str) -> str:
        return pattern.sub(lambda match: swapped[match[0]], text)

    return [_renamed(entry, given.get(entry.code), _texts(entry.profile, swap), rng) for entry in entries]


def _names_of(entry: Entry) -> set[str]:
    """What texts call it."""
    bare = entry.title.removeprefix("The ")
    return {entry.title, bare, *forms(entry.profile)} - {""}


def _texts(node: Mapping[str, Any], swap: Callable[[str], str]) -> dict[str, Any]:
    return {
        name: _texts(content, swap) if isinstance(content, Mapping) else swap(content) if name == "text" else content
        for name, content in node.items()
    }


def _renamed(entry: Entry, name: str | None, profile: dict[str, Any], rng: random.Random) -> Entry:
    if name is None:
        return replace(entry, profile=profile)
    long = rng.choice(_LONG).format(name=name)
    stated = profile.get("Government", {}).get("Country name", {})
    kept = {label: node for label, node in stated.items() if not re.search(r"form|abbreviation|etymology|text", label)}
    named = {"conventional long form": {"text": long}, "conventional short form": {"text": name}, **kept}
    government = {**profile.get("Government", {}), "Country name": named}
    return replace(entry, profile={**profile, "Government": government}, title=name, aliases=(long,))


def invented_names(taken: Collection[str], rng: random.Random) -> Iterator[str]:
    """Names without end, each another, none of `taken` in whatever case."""
    seen = {name.casefold() for name in taken}
    bases: list[str] = []
    while True:
        base = rng.choice(bases) if bases and rng.random() < _TWINS else _word(rng)
        name = rng.choice(_FORMS).format(one=base, two=_word(rng))
        if name.casefold() not in seen:
            seen.add(name.casefold())
            bases.append(base)
            yield name


def _word(rng: random.Random) -> str:
    """Two or three syllables, such as `Tarvia`, `Kelondistan`."""
    syllables = [rng.choice(_ONSETS), rng.choice(_VOWELS), rng.choice(_MIDDLES)]
    if rng.random() < 0.5:
        syllables += [rng.choice(_VOWELS), rng.choice(_MIDDLES)]
    return "".join([*syllables, rng.choice(_ENDS)]).capitalize()
