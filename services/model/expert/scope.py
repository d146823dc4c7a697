"""The rows a query asks for: named ones, those that border something, or all of a group that fulfil conditions."""

import re
from dataclasses import dataclass

from services.model.expert.borders import Borders, read_borders
from services.model.expert.conditions import Condition, read_conditions
from services.model.expert.lists import readings

_ASIDE = r"\((?:[^()]|\([^()]*\))*\)"
"""Words in brackets, in which brackets may stand: `(Italy, the Holy See (Vatican City) and San Marino)`."""
_NAME = r"(?:the\s+)?[^\W\d_a-z][^,;:()]*?"
_LIST_OF_GROUPS = (
    rf"{_NAME}(?:\s*{_ASIDE})?(?:\s*,?\s*(?:or|and)\s+(?:filed\s+)?(?:under|in|of"
    rf"|from)\s+{_NAME}(?:\s*{_ASIDE})?|\s+or\s+{_NAME}(?:\s*{_ASIDE})?)*"
)
_GROUP_END = (
    r"(?=\s*(?:[,;:.?!]|$)|\s+(?:that|which|who|whose|where|with|have|has|had|for which|and have"
    r"|and had|and has|and are|are|is|were|taking|only|do|does|did|by|not|without|sharing|bordering)\b"
    r"|\s+(?!(?:and|of|the|or|in|under|from)\b)[a-z])"
)
_GROUP = re.compile(
    r"\b(?:(?:filed|listed|grouped|classed|placed|counted)\s+(?:under|in|into|among)|(?:located|situated|lying"
    r"|found)\s+in|within|belonging to|from|in|across|throughout|(?<=ies )of|(?<=[a-z]s )of)\s+"
    rf"(?P<groups>{_LIST_OF_GROUPS}){_GROUP_END}"
)
_ADJECTIVE_GROUP = re.compile(
    r"(?i:\b(?:every|all|each|which|the|what|list|of|any)\b"
    r"|^)\s*(?:[a-z-]+\s+){0,2}(?P<group>[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*)\s+(?P<noun>countr(?:y|ies)|states?"
    r"|nations?)\b"
)
_NOUN = re.compile(
    r"\b(?:every|each|all(?:\s+of)?(?:\s+the|\s+these)?|any|which|what|these|those|the(?:\s+following)?"
    r"|following|list(?:\s+of)?|find|compare|show|\d+)\s+"
    r"(?:\d+\s+)?(?P<words>(?:[a-z][a-z-]*\s+){0,3}?)(?P<noun>countr(?:y|ies)|states?|nations?)\b|"
    r"\b(?:every|each|these|those"
    r"|following)\s+(?:\d+\s+)?(?P<words2>(?:[a-z][a-z-]*\s+){0,2}?)(?P<noun2>[a-z]{4,})\b(?=\s*(?:[:,(]|that"
    r"|which|in|of|filed|for|with|$|listed|whose))|^(?P<words4>[a-z-]+\s+)?(?P<noun4>countries|states|nations)\b"
    r"|\ball\s+(?:the\s+)?(?P<noun3>[a-z]{3,}s)\b",
    re.IGNORECASE,
)
_STATEHOOD = frozenset({"sovereign", "independent"})
_NO_ADJECTIVE = frozenset(
    [
        "the",
        "of",
        "all",
        "every",
        "each",
        "any",
        "these",
        "those",
        "following",
        "complete",
        "full",
        "other",
        "such",
        "only",
        "different",
        "world",
        "various",
        "is",
        "are",
        "in",
        "on",
        "for",
        "and",
        "or",
        "with",
        "sovereign",
        "independent",
        "neighbouring",
        "neighboring",
        "bordering",
        "adjacent",
        "surrounding",
        "fact",
        "facts",
        "about",
        "table",
    ]
)
_CONDITION_START = re.compile(
    r"\bfor which (?:all of this|all of these|the following|both|each of these|it)?\s*(?:holds?|is true"
    r"|are true|apply|applies)\s*:|\bfor which\b|\bsuch that\b"
    r"|\b(?:that|which|who)\s+(?=[a-z])|\bwhose\b|\bwhere\b|\bwith\s+(?=(?:an?|at|more|less|fewer|over|under"
    r"|no|between|exactly|the|[a-z]+ing)\b)"
    r"|\b(?:have|has|had|having)\s+(?=[a-z])",
    re.IGNORECASE,
)
_CONDITION_END = re.compile(
    r"[.?!](?:\s|$)|,\s*(?:taking|counting|considering|restricted|limited|based|only|and only|list|please|give)\b",
    re.IGNORECASE,
)
_KEPT_STARTS = ("with", "whose", "have", "has", "had", "having")


@dataclass(frozen=True)
class ListPage:
    """A page that lists the rows."""

    title: str
    section: str = ""


@dataclass(frozen=True)
class Holder:
    """Rows are what a fact identifies: `whose seat is X`."""

    fact: str
    value: str


@dataclass(frozen=True)
class Scope:
    """Which rows are asked for."""

    readings: tuple[tuple[str, ...], ...] = ()
    """Named rows; several readings where a conjunction may belong to a name."""
    borders: Borders | None = None
    """Rows are what borders something."""
    groups: tuple[str, ...] = ()
    """Rows come from, or are restricted to, these regions or lists."""
    conditions: tuple[Condition, ...] = ()
    statehood: str = ""
    """What the rows must be marked as where a list marks its entries (`sovereign`)."""
    noun: str = "Name"
    """What a row is, as the heading of a key column."""
    stated_members: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Members that the text itself names in brackets after a group."""
    page: ListPage | None = None
    """Rows are the entries of this page."""
    holder: Holder | None = None
    """Rows are what this identifies."""

    def members(self, group: str) -> tuple[str, ...]:
        """The members of a group that the text itself names."""
        return dict(self.stated_members).get(group, ())

    @property
    def kind(self) -> str:
        """`page`, `holder`, `borders`, `group`, `named`, or `unknown`."""
        if self.page or self.holder:
            return "page" if self.page else "holder"
        if self.borders:
            return "borders"
        if self.groups:
            return "group"
        return "named" if any(self.readings) else "unknown"


def read_scope(text: str) -> Scope:
    """The rows that a text asks for, the column list and sources already taken out."""
    noun, adjectives = _noun(text)
    statehood = next((word for word in adjectives if word in _STATEHOOD), "")
    borders, rest = read_borders(text)
    groups, rest = read_groups(rest)
    passed = _NO_ADJECTIVE | {group.lower() for group in groups}
    also = tuple(Condition(f"are {word}", words=(word,)) for word in adjectives if word not in passed)
    if borders is not None or groups:
        which = re.match(r"(?:which|what)\b", rest.strip(), re.IGNORECASE)
        predicate = _conditions(_NOUN.sub(" ", rest, count=1), asked_which=bool(which and _NOUN.match(rest.strip())))
        stated = tuple((group, found) for group in groups if (found := _stated_members(text, group)))
        return Scope((), borders, groups, (*predicate, *also), statehood, noun, stated)
    return Scope(named_rows(text), None, (), (), statehood, noun)


def _noun(text: str) -> tuple[str, tuple[str, ...]]:
    match = _NOUN.search(text)
    if not match:
        return "Name", ()
    words = (match["words"] or match["words2"] or "").split()
    words = [word for word in words if word.islower()] or (match["words4"] or "").lower().split()
    noun = (match["noun"] or match["noun2"] or match["noun3"] or match["noun4"]).lower()
    singular = noun[:-3] + "y" if noun.endswith("ies") else noun.removesuffix("s")
    heading = "Country" if singular in {"country", "state", "nation"} else singular.capitalize()
    return heading, tuple(words)


def read_groups(text: str) -> tuple[tuple[str, ...], str]:
    """Regions or lists that rows come from, and the text without them."""
    found: list[str] = []

    def take(match: "re.Match[str]") -> str:
        listed = re.sub(_ASIDE, " ", match["groups"])
        parts = re.split(
            r"\s*,?\s+or\s+(?:(?:filed\s+)?(?:under|in|of|from)\s+)?|\s+and\s+(?:filed\s+)?(?:under|in|of|from)\s+",
            listed,
        )
        found.extend(" ".join(part.split()).strip(" ,") for part in parts)
        return " "

    rest = _GROUP.sub(take, text)
    adjective = None if found else _ADJECTIVE_GROUP.search(rest)
    if adjective:
        found.append(adjective["group"])
        rest = rest[: adjective.start("group")] + rest[adjective.start("noun") :]
    return tuple(dict.fromkeys(group for group in found if group)), rest


def _stated_members(text: str, group: str) -> tuple[str, ...]:
    match = re.search(rf"{re.escape(group)}\s*(?P<members>{_ASIDE})", text)
    return tuple(_name(item) for item in readings(match["members"][1:-1])[0]) if match else ()


def _conditions(text: str, *, asked_which: bool = False) -> tuple[Condition, ...]:
    if asked_which and not re.match(r"\s*(?:that|which|who|whose|where)\b", text):
        # `Which countries in X have …`: all that is left is the predicate.
        return read_conditions(_CONDITION_END.split(text.strip())[0])
    start = _CONDITION_START.search(text)
    if not start:
        return ()
    kept = start[0].lower().startswith(_KEPT_STARTS)
    clause = text[start.start() if kept else start.end() :]
    return read_conditions(_CONDITION_END.split(clause)[0])


_LEAD = re.compile(
    r"^.*?(?:(?i:\b(?:for|of|about|on|compare|contrast|covers?|covering|countries|states|nations|look up|list"
    r"|show|following(?:\s+\d+)?(?:\s+[a-z]+)?"
    r"|these(?:\s+\d+)?(?:\s+[a-z]+)?)\b)|[:：])\s*(?:the\s+|both\s+)?(?=[^\W\d_a-z])",
    re.DOTALL,
)
_NAMES_AT_ONCE = re.compile(r"(?:the\s+|both\s+)?[^\W\d_a-z]")
_LEAD_LOWER = re.compile(
    r"^(?:.*\b(?:for|of|about|compare|contrast|look up|countries|states)\b|.*[:：])?\s*(?:both\s+|all\s+"
    r"|the\s+)?(?P<names>.+)$",
    re.DOTALL | re.IGNORECASE,
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_HAN_LEAD = re.compile(
    r"^(?:请|帮我|列出|给出|查找|查询|告诉我|比较|提供|整理|以下|下列|这些|国家|对于|关于|[一二三四五六七八九十\d]+个|[:：，、\s])+"
)
_END = re.compile(
    r"[.?!](?:\s|$)|,?\s+(?:respectively|side by side|with (?:their|its|the)|in (?:a|one) table|please|report"
    r"|and report)\b|\s+\((?![^()]*\)\s*(?:[,;]|and\b|or\b))|[，,]?(?:并|，以表格)",
    re.IGNORECASE,
)


def named_rows(text: str) -> tuple[tuple[str, ...], ...]:
    """The rows that a text names, in every reading of the list."""
    body = text.strip().rstrip(".。?？!")
    if _HAN.search(body):
        listed_names = readings(_HAN_LEAD.sub("", _END.split(body)[0]).strip("。：: "))
        return tuple(tuple(_name(item) for item in items if item) for items in listed_names)
    named_at_once = False
    if ":" in body and body.rsplit(":", 1)[1].strip():
        body = body.rsplit(":", 1)[1].strip()
        # Names behind a colon need no lead; an `of` is part of one of them.
        named_at_once = bool(_NAMES_AT_ONCE.match(body))
    lead = None if named_at_once else _LEAD.match(body)
    lower = None if lead or named_at_once or body[:1].isupper() else _LEAD_LOWER.match(body)
    listed = body[lead.end() :] if lead else (lower["names"] if lower else body)
    found = [tuple(_name(item) for item in items if item) for items in readings(_END.split(listed)[0])]
    count = re.search(r"\b(\d{1,3})\s+(?:[a-z]+\s+){0,2}?[a-z]+s\b", text)
    exact = [items for items in found if count and len(items) == int(count[1])]
    return tuple(exact or found)


def _name(text: str) -> str:
    name = re.sub(r"\s+(?:itself|themselves|respectively|too)$", "", text.strip(" .,;:?!\"'`*"))
    return re.sub(r"^(?:the|both)\s+", "", name)
