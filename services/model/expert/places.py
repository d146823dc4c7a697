"""Where something is, as running text says it: `in X, Y, Z`."""

import re

from services.model.expert.headings import Heading
from services.model.expert.names import canonical
from wideseek.words import fold

_WORD = r"(?:[a-z]{1,2}['’-]|['’][a-z]-)?[^\W\d_a-z][\w'’-]*"
_PLACE = rf"{_WORD}(?:\s+(?:(?:de|da|do|del|la|le|of|the|sur|y)\s+){{0,2}}{_WORD})*"
_JOINT = r"(?:in\s+)?(?:the\s+)?(?:[a-z]+ern\s+)?"
_CHAIN = rf"(?P<chain>{_PLACE}(?:,\s+{_JOINT}{_PLACE}){{0,3}})"
_SAID = [
    rf"\bserv(?:ing|es|ed)\s+(?!as\b)(?:the\s+)?(?:[a-z-]+\s+){{0,4}}?(?:of\s+)?(?:the\s+)?(?:{_WORD}\s+(?:city|town|village)\s+of\s+)?{_CHAIN}",
    rf"\b(?:city|town|village|municipality|community|hamlet|suburb)\s+of\s+{_CHAIN}",
    rf"\b(?:licensed|assigned)\s+to\s+{_CHAIN}",
    rf"\b(?:located|situated|based|headquartered)\s+(?:[\w-]+\s+){{0,4}}?(?:in|at|near|to)\s+(?:the\s+)?(?:[a-z]+\s+of\s+)?{_CHAIN}",
    rf"\b(?:in|at|from|near|of)\s+(?:the\s+)?(?:[a-z]+\s+)?{_CHAIN}",
]
"""How text says where, the plainest way first."""
_NARROW = re.compile(r"\b(?:city|town|village|location|located|place|served|serves|seat|municipality)\b")
_WIDE = re.compile(r"\b(?:country|nation)\b")
_MIDDLE = re.compile(r"\b(?P<kind>state|province|district|county|region|department|prefecture|governorate)\b")


_SENTENCES = 4
"""Sentences from the beginning that say where something is; later ones tell of other places."""


def place(heading: Heading, text: str, title: str) -> str:
    """The place that text gives: the first name of where it is, one further out, or the last."""
    asked = fold(heading.name)
    said = fold(heading.text.split(", ")[0])
    middle, wide = _MIDDLE.search(asked), _WIDE.search(asked)
    if not (middle or wide or (_NARROW.search(asked) or _NARROW.search(said))):
        return ""
    sentences = re.split(r"(?<=[a-z)])\.\s+", text)
    if wide:
        return _widest(sentences)
    chains = [chain for pattern in _SAID for chain in _chains(pattern, ". ".join(sentences[:_SENTENCES]))]
    if middle:
        return _middle(middle["kind"], text, chains)
    return _narrowest(". ".join(sentences[:_SENTENCES]), title)


def _narrowest(text: str, title: str) -> str:
    """The first name of where it is; one that the title carries before others, a chain before a name alone."""
    served = [chain for pattern in _SAID[:3] for chain in _chains(pattern, text)]
    lying = [chain for pattern in _SAID[3:] for chain in _chains(pattern, text)]
    chains = [*served, *sorted(lying, key=lambda chain: len(chain) < 2)]
    names = [chain[0] for chain in chains if canonical(chain[0]) != canonical(title)]
    titled = next((name for name in names if f" {canonical(name)} " in f" {canonical(title)} "), "")
    return titled or next(iter(names), "")


def _widest(sentences: list[str]) -> str:
    """The last name of the first sentence that says where."""
    for sentence in sentences[:_SENTENCES]:
        chains = [chain for pattern in _SAID[3:] for chain in _chains(pattern, sentence)]
        if chains:
            return max(chains, key=len)[-1]
    return ""


def _chains(pattern: str, text: str) -> list[list[str]]:
    found = []
    for match in re.finditer(pattern, text):
        parts = [re.sub(rf"^{_JOINT}", "", part.strip()) for part in match["chain"].split(",")]
        found.append(parts)
    return found


def _middle(kind: str, text: str, chains: list[list[str]]) -> str:
    """`Y` of `in X, Y` or of `Y district`."""
    said = (part for chain in chains for part in chain if part.lower().endswith(f" {kind}"))
    stated = next(said, "")
    if stated:
        return stated[: -len(kind)].strip()
    named = re.search(
        rf"(?P<name>{_PLACE})\s+(?i:{kind})\b(?!\s+[^\W\d_a-z])|\b(?i:{kind})\s+of\s+(?P<other>{_PLACE})", text
    )
    inner = (named["name"] or named["other"]) if named else ""
    outer = next((chain[1] for chain in chains if len(chain) > 1), "")
    return outer or inner if kind in {"state", "province"} else inner
