"""Questions answered from one profile: asked by name, or through a bridge that tells which country is meant."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from random import Random

from services.kit.factbook import load_entries
from services.suites.catalogue import BY_HEADING, Column
from services.suites.facts import Country, text_at
from services.suites.naming import folded
from services.suites.questions_drafts import Draft, Scope, known
from services.suites.questions_wording import WORDINGS, Wording, spellings

Texts = Callable[[str], Mapping[str, str]]
"""Heading -> code -> what the profile says in that field, read or not."""
BRIDGES: Mapping[str, tuple[str, str]] = {
    "bridge_cap": ("Capital", "whose capital is"),
    "bridge_hp": ("Highest point", "whose highest point is"),
}
"""Type -> the column whose value tells the country, and the words for it."""
_FRAMES = (
    "What {verb} {noun} of {c}?",
    "According to the World Factbook, what {verb} {noun} of {c}?",
    "State {noun} of {c} according to the World Factbook.",
)


def single_hops(scope: Scope, rng: Random) -> Iterator[Draft]:
    """A question for every country inside and column of the split, each in one of the column's phrasings."""
    pairs = [(country, column) for country in scope.inside for column in scope.columns]
    rng.shuffle(pairs)
    for country, column in pairs:
        wording = WORDINGS[column.heading]
        phrasing = rng.choice(wording.phrasings)
        draft = asked_of(country, column, wording, phrasing.format(c=country.definite))
        if draft is not None:
            yield draft


def asked_of(country: Country, column: Column, wording: Wording, text: str) -> Draft | None:
    """A single-hop question in these words; None when the country's value is unknown."""
    value = known(country, column.heading)
    if value is None:
        return None
    chain = (f"{country.name} > {column.field} = {value.text}",)
    return Draft(text, spellings(value, wording.unit), (country,), (column.field,), chain)


def bridges(scope: Scope, rng: Random, kind: str, texts: Texts) -> Iterator[Draft]:
    """Questions for a column of the one country with a given capital or highest point."""
    heading, words = BRIDGES[kind]
    bridge = BY_HEADING[heading]
    if bridge not in scope.columns:
        return
    columns = [column for column in scope.columns if column.field != bridge.field]
    pairs = [(country, column) for country in _told(scope, heading, texts(heading)) for column in columns]
    rng.shuffle(pairs)
    for country, column in pairs:
        name, value = country.values[heading], known(country, column.heading)
        if name is None or value is None:
            continue
        told = f"{words} {name.text}"
        yield Draft(
            text=framed(column, f"the country {told}", rng),
            answers=spellings(value, WORDINGS[column.heading].unit),
            read=(country,),
            fields=(bridge.field, column.field),
            chain=(f"{told} -> {country.name}", f"{column.field} = {value.text}"),
            type=kind,
        )


def framed(column: Column, country: str, rng: Random) -> str:
    """A question for a column of a country that is described, in one of several frames."""
    wording = WORDINGS[column.heading]
    return rng.choice(_FRAMES).format(verb=wording.tense, noun=wording.noun, c=country)


def _told(scope: Scope, heading: str, texts: Mapping[str, str]) -> list[Country]:
    """Countries inside that their value tells from every other state, those whose text could not be read included.

    A value that holds the country's own name (Guatemala City) would give the answer away and tells nothing.
    """
    said = {
        code: f" {folded(' '.join((texts.get(code, ''), *_spelt(country, heading))))} "
        for code, country in scope.countries.items()
    }
    return [
        country
        for country in scope.inside
        if _spelt(country, heading)
        and f" {folded(country.name)} " not in said[country.code]
        and not any(
            f" {folded(name)} " in text
            for name in _spelt(country, heading)
            for code, text in said.items()
            if code != country.code
        )
    ]


def _spelt(country: Country, heading: str) -> tuple[str, ...]:
    value = country.values.get(heading)
    return (value.text, *value.aliases) if value is not None else ()


@cache
def profile_texts(heading: str) -> Mapping[str, str]:
    """Code -> the text of the column's field in the bundled corpus."""
    path = BY_HEADING[heading].path
    return {entry.code: text_at(entry.profile, path) for entry in load_entries() if entry.sovereign}
