"""Queries that name the page whose entries are the rows: `the films listed on the page “T”, section “S”`."""

import re

from services.model.expert.scope import ListPage

_OPEN, _CLOSE = "[“\"'‘«「《]", "[”\"'’»」》]"
_QUOTED = rf"{_OPEN}(?P<{{}}>[^“”\"«»「」《》\n]+?){_CLOSE}(?![\w])"
_PAGE = re.compile(
    rf"\b(?:[A-Z][\w-]*\s+)?(?:page|article|list|entry)\s+(?:titled\s+|called\s+|named\s+|on\s+|about\s+)?"
    rf"{_QUOTED.format('title')}"
    rf"(?:,?\s+(?:in\s+|under\s+)?(?:the\s+|its\s+)?(?:section|heading|part|table)\s+{_QUOTED.format('section')})?"
    rf"(?:\s+(?:section|part))?"
)
_SECTION_FIRST = re.compile(
    rf"\b(?:section|heading|part|table)\s+{_QUOTED.format('section')}\s+(?:of|on|in|from)\s+(?:the\s+)?"
    rf"(?:[A-Z][\w-]*\s+)?(?:page|article|list)\s+{_QUOTED.format('title')}"
)
_SET = re.compile(r"\b(?:set|list|number|series|group|collection)\s+of\s+(?P<noun>[a-z][a-z-]*)\b")
_NOUN = re.compile(
    r"\b(?:each|every|all|any)\s+(?:(?:of\s+)?(?:the|these|those)\s+)?(?P<noun>[a-z][a-z-]*)\s+(?:is\s+|are\s+|that\s+)?"
    r"(?:named|listed|enumerated|given|on|in|I|i|mentioned|linked)\b"
    r"|\bthe\s+(?P<noun2>[a-z][a-z-]*)\s+(?:that\s+are\s+)?(?:named|listed|enumerated|given|mentioned|linked)\s+(?:on|in|under)\b"
)
_NO_NOUN = frozenset({"following", "article", "page", "section", "columns", "column", "details", "entries", "entry"})


def read_list_page(query: str) -> tuple[ListPage | None, str, str]:
    """The page that a query names, the noun of its entries, and the query without the page."""
    match = _SECTION_FIRST.search(query) or _PAGE.search(query)
    if not match:
        return None, "", query
    page = ListPage(" ".join(match["title"].split()), " ".join((match["section"] or "").split()))
    rest = f"{query[: match.start()]}list{query[match.end() :]}"
    return page, _noun(rest), rest


def _noun(text: str) -> str:
    found = [match["noun"] for match in _SET.finditer(text)]
    found += [match["noun"] or match["noun2"] for match in _NOUN.finditer(text)]
    plain = [noun for noun in found if noun not in _NO_NOUN]
    return singular(plain[0]) if plain else "entry"


def singular(noun: str) -> str:
    """An English noun in the singular, as far as its ending tells."""
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    if noun.endswith(("sses", "shes", "ches", "xes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun
