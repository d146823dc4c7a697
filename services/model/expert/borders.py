"""Rows that border something: `shares a land border with X or with Y`, `X and its neighbours`, `bordering X`."""

import re
from dataclasses import dataclass

from services.model.expert.lists import readings

_KIND = r"(?:\w+\s+){0,2}?"
_VERB = re.compile(
    rf"\b(?:shar(?:e|es|ing)\s+{_KIND}(?:border|boundary|frontier)s?\s+with|(?:have|has|having"
    rf"|with)\s+an?\s+{_KIND}(?:border|boundary|frontier)\s+with|"
    r"(?:borders?|bordering|adjoins?|adjoining|abuts?|neighbou?rs?|neighbou?ring)(?:\s+(?:countries|states"
    r"|nations))?(?:\s+(?:of|on|to|with))?|"
    r"(?:adjacent|next|contiguous)\s+to)\s+(?=\S)",
    re.IGNORECASE,
)
_CHUNK = r"[^\W\d_a-z][\w'’.-]*(?:\s+(?:(?:of|the|and|de|da|du|la|al|el|y)\s+)*[^\W\d_a-z][\w'’.-]*)*"
_POSSESSIVE = re.compile(rf"(?P<anchors>{_CHUNK}|[a-z]+)(?:'s|’s|s'|s’)\s+(?:\w+\s+)?neighbou?r(?:s|ing(?:\s+\w+)?)?\b")
_ITSELF_AND = re.compile(
    rf"(?P<anchor>{_CHUNK}|[a-z]+)\s*,?\s+(?:and|plus|together with|as well as|along with)\s+(?:every|all|each"
    rf"|any|its|their|the)\b(?=.*\b(?:neighbou?r|border|adjoin|adjacent))",
    re.DOTALL,
)
_PRONOUN = re.compile(r"^(?:it|them|that country|this country|that one)\b", re.IGNORECASE)
_STOP = re.compile(
    r"\s*[.;:?!(]|,\s*(?=(?:leaving|excluding|without|except|not|but|counting|taking|only|considering"
    r"|restricted|limited|based|using|including|which|that|who|where|with|for|please|give|show|list|filed|as"
    r"|and\s+(?:is|are|have|has|give|list|show))\b)"
    r"|\s+(?:by land|by sea|leaving|excluding"
    r"|except|counting|taking|only|considering|restricted|limited|using|including"
    r"|itself|themselves|filed|that|which|have|has|had|for each|along with|together with|and (?:are|is|have"
    r"|has|had)|with (?:a|an|more|less|fewer|at|over|under))\b",
    re.IGNORECASE,
)
_INCLUDED = re.compile(
    r"\b(?:itself|themselves)\s+(?:included|too|as well)|\b(?:including|together with|as well as|along with"
    r"|plus)\s+(?:\S+\s+){0,6}?(?:itself|themselves)|\bincluded\b",
    re.IGNORECASE,
)
_EXCLUDED = re.compile(
    r"\b(?:leaving out|excluding|without|except|not including|but not|not counting)\b", re.IGNORECASE
)
_BOTH = re.compile(r"^(?:both|each of|all of)\s+", re.IGNORECASE)
_OWN = re.compile(r"\b(?:and|plus|as well as)\s+(?:its|their|all its|all of its|all the)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Borders:
    """What the rows border."""

    anchors: tuple[tuple[str, ...], ...]
    """The bordered ones; several readings where a conjunction may belong to a name."""
    with_anchors: bool = False
    """Whether the bordered ones are rows too."""
    every: bool = False
    """Whether a row must border every one of them, not just one."""
    extreme: str = ""
    """`longest` or `shortest` where only the one with such a border is meant."""


def read_borders(text: str) -> tuple[Borders | None, str]:
    """The border clause of a text, or None, and the text without it."""
    possessive = _POSSESSIVE.search(text)
    if possessive:
        rest = text[: possessive.start()] + " " + text[possessive.end() :]
        return Borders(_readings(possessive["anchors"]), _kept(rest)), rest
    match = _VERB.search(text)
    if not match:
        return _own_neighbours(text)
    before, tail = text[: match.start()], text[match.end() :]
    pronoun = _PRONOUN.match(tail)
    if pronoun:
        return _itself_and(text, before, tail[pronoun.end() :])
    every = _BOTH.match(tail)
    anchors, after = _until_stop(_BOTH.sub("", tail))
    if not re.search(r"[^\W\d_]", anchors):
        return None, text
    return Borders(_readings(anchors), _kept(after), bool(every)), f"{before} {after}"


def _own_neighbours(text: str) -> tuple[Borders | None, str]:
    """`X and its neighbours` at the end of a text."""
    if not re.search(r"\bneighbou?rs?\b", text, re.IGNORECASE):
        return None, text
    return _itself_and(text, text, "")


def _itself_and(text: str, before: str, after: str) -> tuple[Borders | None, str]:
    found = list(_ITSELF_AND.finditer(text))
    if not found:
        return None, text
    anchor = found[-1]
    return Borders(_readings(anchor["anchor"]), not _EXCLUDED.search(after)), before[: anchor.start()] + " " + before[
        anchor.end("anchor") :
    ] + after


def _until_stop(tail: str) -> tuple[str, str]:
    stop = _STOP.search(tail)
    return (tail[: stop.start()], tail[stop.start() :]) if stop else (tail, "")


def _kept(after: str) -> bool:
    return bool(_INCLUDED.search(after)) and not _EXCLUDED.search(after)


def _readings(text: str) -> tuple[tuple[str, ...], ...]:
    flat = re.sub(r"\b(or|and)\s+(?:also\s+)?(?:with|of|on|to)\s+", r"\1 ", text.strip(" ,."))
    # `or` never stands inside a name: where it joins, it is the list's.
    cut = [[flat]] if not re.search(r"\s(?:or|and|as well as)\s|,", flat) else readings(flat)
    plain = [items for items in cut if not any(re.search(r"\s(?:or)\s", item) for item in items)]
    return tuple(tuple(re.sub(r"^the\s+", "", item.strip()) for item in items) for items in plain or cut)
