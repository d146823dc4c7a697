"""States under names that do not exist, so that a name can only be copied from where it stands.

A small model that has seen a hundred names writes one of these where it should copy another: Tunisia for Turkmenistan.
In a world of practice most states bear invented names, some of several words, some that begin as another does. A name
is replaced wherever it stands: titles, forms, lists of borders, prose. Capitals, people and rivers keep theirs.

Names of random syllables are copied with care, for no word of theirs is known; a name that begins as a known one does
is finished as that one is: Guyana for Guatemala. So a share of the words can be spliced, the head of one replaced name
and the tail of another: `Guya|na` and `Bu|lgaria` make `Guyalgaria`.
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
_HEAD = re.compile(r"[^aeiouy]*[aeiouy]+", re.IGNORECASE)
"""A word up to the end of its first vowels."""
_SPLICED_LETTERS = 5
"""Letters of a word that heads and tails are taken from, at least."""
_LONG = ("Republic of {name}", "Kingdom of {name}", "Democratic Republic of {name}", "State of {name}")


def renamed(
    entries: Sequence[Entry], codes: Collection[str], rng: random.Random, *, spliced: float = 0.0
) -> list[Entry]:
    """All entries, those of `codes` under invented names, which replace theirs in every profile.

    `spliced` is the share of invented words that are made of two of the names replaced, in [0, 1].
    """
    called = {name for entry in entries for name in _names_of(entry)}
    fresh = invented_names(called, rng, _words(rng, [one.title for one in entries if one.code in codes], spliced))
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


def invented_names(taken: Collection[str], rng: random.Random, words: Iterator[str]) -> Iterator[str]:
    """Names without end, each another, made of `words`, none of `taken` in whatever case."""
    seen = {name.casefold() for name in taken}
    bases: list[str] = []
    while True:
        base = rng.choice(bases) if bases and rng.random() < _TWINS else next(words)
        name = rng.choice(_FORMS).format(one=base, two=next(words))
        if name.casefold() not in seen:
            seen.add(name.casefold())
            bases.append(base)
            yield name


def _words(rng: random.Random, titles: Sequence[str], spliced: float) -> Iterator[str]:
    """Words without end, a share of them spliced from those of `titles`."""
    known = sorted({word for title in titles for word in re.findall(rf"[A-Z][a-z]{{{_SPLICED_LETTERS - 1},}}", title)})
    while True:
        if spliced and known and rng.random() < spliced:
            yield _splice(rng.choice(known), rng.choice(known))
        else:
            yield _word(rng)


def _splice(first: str, second: str) -> str:
    """The head of one word and the tail of another.

    >>> _splice("Guyana", "Bulgaria")
    'Guyalgaria'
    """
    head, other = _HEAD.match(first), _HEAD.match(second)
    return (head[0] if head else first) + (second[other.end() :] if other else second)


def _word(rng: random.Random) -> str:
    """Two or three syllables, such as `Tarvia`, `Kelondistan`."""
    syllables = [rng.choice(_ONSETS), rng.choice(_VOWELS), rng.choice(_MIDDLES)]
    if rng.random() < 0.5:
        syllables += [rng.choice(_VOWELS), rng.choice(_MIDDLES)]
    return "".join([*syllables, rng.choice(_ENDS)]).capitalize()
