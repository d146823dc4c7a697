"""The columns a query asks for, and what is left of it: the rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.model.expert.headings import Heading
from services.model.expert.lists import split_list
from wideseek.words import fold, tokens

_WITH_COLUMNS = re.compile(
    r",?\s*\b(?:with|using|having|in)?\s*(?:exactly\s+)?(?:the\s+)?columns\s+[^.;:\n]+", re.IGNORECASE
)
_CHINESE_COLUMNS = re.compile(r"(?:列为|列[:：]|包含(?:以下)?列[:：]?|字段[:：]|包括[:：])\s*(?P<names>[^。\n]+)")
_SEPARATOR = re.compile(r";\s*(?:and\s+)?(?![^()]*\))", re.IGNORECASE)
_DESCRIBED = re.compile(r"^(?P<name>[^()]+?)\s*[(（](?P<description>.+)[)）]\s*$", re.DOTALL)
_NOUN_KEY = re.compile(
    r"^(?:the\s+)?(?:name|entity|item|title|country|countries|state|nation|名称|国家|名字)$", re.IGNORECASE
)
_OF = re.compile(
    r"^(?P<head>(?:please\s+|can you\s+|could you\s+|i(?:'d| would) like(?: to know)?\s+|i (?:want"
    r"|need)(?: to know)?\s+|what(?:'s| is| are| was| were)\s+|"
    r"give(?: me)?\s+|show(?: me)?\s+|list\s+|tell me\s+|find(?: me| out)?\s+|get(?: me)?\s+|look up\s+"
    r"|report\s+|provide\s+|compare\s+|a table of\s+|table of\s+|collect\s+|make a table of\s+)*)"
    r"(?:both\s+)?(?:the\s+)?(?P<columns>[^:?]{3,300}?)\s+(?:of|for|in|across|among)\s+(?P<rows>(?:each of\s+"
    r"|all\s+|every\s+|the\s+)?\S.{1,})$",
    re.IGNORECASE | re.DOTALL,
)
_BY = re.compile(
    r"^(?P<rows>.*?\b(?:compare|contrast|rank|table|list)\b.{3,}?)\s*,?\s+(?:by|on|in terms of|with respect to"
    r"|regarding|with(?: their| its| the)?|and (?:give|show|list|report|state|record)(?: me)?(?: their| its"
    r"| the| for each)?|"
    r"showing|listing|along with|together with|including)\s+(?P<columns>[^:]{3,300}?)\s*[.?!]?$",
    re.IGNORECASE | re.DOTALL,
)
_THEIRS = re.compile(
    r"^(?P<rows>.{3,}?),?\s+(?:with|and|plus|showing|including|together with|along with)\s+(?:their"
    r"|its)\s+(?P<columns>(?!neighbou?r|border)[^:]{3,300}?)\s*[.?!]?$",
    re.IGNORECASE | re.DOTALL,
)
_COMMA_WITH = re.compile(
    r"^(?P<rows>.{3,}?),\s+(?:with|showing|including|giving|stating)\s+(?!(?:an?|at|more|less|fewer|over|under|no"
    r"|between|exactly|[a-z]+ing)\b)(?P<columns>[^:]{3,300}?)\s*[.?!]?$",
    re.IGNORECASE | re.DOTALL,
)
_FOR_COMMA = re.compile(
    r"^(?:for|regarding|about)\s+(?P<rows>.{3,}?),?\s+(?:please\s+)?(?:give|list|show|report|find|tell|state"
    r"|provide|look up|get|record|i (?:want|need)|what)\b(?: me| out| up)?\s*(?:is|are)?\s*(?:the|their"
    r"|its)?\s*(?P<columns>.{3,300}?)\s*[.?!]?$",
    re.IGNORECASE | re.DOTALL,
)
_CHINESE_OF = re.compile(
    r"^(?:请|帮我|列出|给出|查找|查询|告诉我|比较|提供|整理)*(?P<rows>.+?)(?:的|各自的|分别的)(?P<columns>[^的]+?)[。？！?!]?$"
)


@dataclass(frozen=True)
class KeyedColumns:
    """The columns in order, and which of them names the row."""

    headings: tuple[Heading, ...]
    key: int | None
    """Place of the key column; None while none is known."""
    first_is_key: bool = False
    """Whether the columns were listed as the whole table, so that the first names the row if none else does."""

    @property
    def asked(self) -> tuple[Heading, ...]:
        """All columns but the key."""
        return tuple(heading for place, heading in enumerate(self.headings) if place != self.key)

    def with_key(self, noun: str) -> "KeyedColumns":
        """The columns with a key: the known one, else one named for the rows, else the first or a new one."""
        if self.key is not None:
            return self
        wanted = set(tokens(noun))
        named = [place for place, one in enumerate(self.headings) if wanted and wanted <= set(tokens(one.name))]
        if named or self.first_is_key:
            return KeyedColumns(self.headings, named[0] if named else 0)
        return KeyedColumns((Heading(noun), *self.headings), 0)

    def row(self, name: str, cells: Sequence[str]) -> tuple[str, ...]:
        """A row of the table: the name in the key column, `cells` in the others."""
        key = 0 if self.key is None else self.key
        return (*cells[:key], name, *cells[key:])


def read_columns(sentences: Sequence[str], query: str, given: tuple[Heading, ...]) -> tuple[KeyedColumns, str]:
    """The columns, and the text that tells the rows."""
    names, first_is_key = _exact_names(query), False
    spoken = [_WITH_COLUMNS.sub("", sentence) for sentence in sentences] if names else sentences
    listed, rest = _listed(spoken)
    if given or names:
        headings = [_described(heading, listed) for heading in given or [Heading(name) for name in names]]
        asked, rest = (set(), rest) if listed else _without_prose(spoken, rest, headings)
        first_is_key = not asked & set(tokens(headings[0].name))
    elif listed:
        headings = listed
    else:
        headings, rest = _ordered(sentences) or _prose(rest)
    return KeyedColumns(tuple(headings), _key(headings), first_is_key), rest


def _without_prose(sentences: Sequence[str], text: str, headings: Sequence[Heading]) -> tuple[set[str], str]:
    """The words of columns that the text names in prose beside the list of headings, and the text without them."""
    if not sentences:
        return set(), text
    spoken, rest = _ordered(sentences) or _prose(text)
    listed = {token for heading in headings for token in tokens(heading.text)}
    asked = {token for heading in spoken for token in tokens(heading.name)}
    return (asked, rest) if asked & listed else (set(), text)


def _exact_names(query: str) -> list[str]:
    match = re.search(
        r"\bcolumns\s+(?P<names>[^.;:\n]+?)(?:,?\s+in (?:that|this) order|,\s*one row|[.;\n]|$)", query, re.IGNORECASE
    ) or _CHINESE_COLUMNS.search(query)
    if match:
        return [_clean(name) for name in split_list(match["names"]) if name.strip()]
    return []


_ASKS = re.compile(
    r"\b(?:give|show|record|list|report|state|provide|include|columns?|note|fill in|tell me|facts?|following"
    r"|want|need|each|every)\b[^:]*$",
    re.IGNORECASE,
)
_HOLDS = re.compile(r"\b(?:holds?|true|apply|applies|conditions?|criteria|met)\s*$", re.IGNORECASE)
_FOR_EACH = re.compile(
    r"^(?:and\s+)?(?:(?:for|of|about) (?:each|every)(?:\s+(?:one|of (?:them|these|those)|row"
    r"|[a-z]+))?(?:,?\s+(?:please\s+)?(?:give|record|show|list|report|state|provide|note|tell"
    r"|include)(?:\s+(?:me|us))?)?"
    r"|the table\b.*|it\b.*|each row\b.*|(?:with\s+)?(?:the\s+)?columns?\b.*)$",
    re.IGNORECASE,
)


def _listed(sentences: Sequence[str]) -> tuple[list[Heading], str]:
    """Columns from a sentence such as `For each give: A (what A is); B (what B is)`, and the text besides them."""
    best, chosen = 0, -1
    for place, sentence in enumerate(sentences):
        worth = max((_worth(sentence, match) for match in re.finditer(r":\s+", sentence)), default=0)
        if worth > best:
            best, chosen = worth, place
    if chosen < 0:
        return [], " ".join(sentences)
    sentence = sentences[chosen]
    match = max(re.finditer(r":\s+", sentence), key=lambda found: _worth(sentence, found))
    head, parts = sentence[: match.start()], _parts(sentence[match.end() :])
    rest = [*sentences[:chosen], *([] if _FOR_EACH.match(head) else [head]), *sentences[chosen + 1 :]]
    return [_heading(part) for part in parts], " ".join(rest)


def _parts(tail: str) -> list[str]:
    tail = tail.strip().rstrip(".?! ")
    parts = [part for part in _SEPARATOR.split(tail) if part.strip()]
    return parts if len(parts) > 1 else split_list(tail)


def _worth(sentence: str, colon: "re.Match[str]") -> int:
    """How likely what follows a colon is the list of columns: 0 when it is not."""
    head, tail = sentence[: colon.start()], sentence[colon.end() :]
    parts = _parts(tail)
    if _HOLDS.search(head) or not parts or re.match(r"(?:they|it)\b", parts[0], re.IGNORECASE):
        return 0
    described = sum(1 for part in parts if _DESCRIBED.match(part.strip()))
    if not described and (not _ASKS.search(head) or rows_follow(head, tail)):
        return 0
    return 1 + described * 2 + (3 if _FOR_EACH.match(head) else 0)


def rows_follow(head: str, tail: str) -> bool:
    """Whether a colon is followed by names of rows: capitalised items after words that name none."""
    named_before = re.search(r"\b(?:for|of|in|about|compare|cover\w*|and)\s+(?:the\s+)?[^\W\d_a-z]", head)
    return _names_rows(tail) and not named_before and not _FOR_EACH.match(head)


_ORDER = re.compile(
    r"^(?:and\s+|also\s+)*(?:please\s+)?(?:give|show|list|report|include|state|provide|add|record|tell"
    r"|i (?:want|need))\b(?:\s+(?:me|us))?\s+(?P<columns>[^:]+?)"
    r"(?:\s+(?:for|of|in)\s+(?:each|every|all|them|those|these)\b.*)?(?:,?\s+please)?[.?!]*$",
    re.IGNORECASE,
)


def _ordered(sentences: Sequence[str]) -> tuple[list[Heading], str] | None:
    """Columns from a later sentence of their own: `… Show capital and area for each.`"""
    for place, sentence in enumerate(sentences[1:], 1):
        match = _ORDER.match(sentence)
        if match:
            return _headings(match["columns"]), " ".join([*sentences[:place], *sentences[place + 1 :]])
    last = (
        re.match(r"^(?P<columns>[^:.]{3,120}?),?\s+please[.!]*$", sentences[-1], re.IGNORECASE)
        if len(sentences) > 1
        else None
    )
    return (_headings(last["columns"]), " ".join(sentences[:-1])) if last else None


def _prose(text: str) -> tuple[list[Heading], str]:
    """Columns from free wording: `A and B of X, Y`, `for X, Y: A, B`, `compare X and Y by A and B`."""
    sentence = text.strip().rstrip(".?!")
    colon = re.match(r"^(?P<left>[^:：]{2,}?)[:：]\s*(?P<right>[^:：]+)$", sentence, re.DOTALL)
    if colon and not _HOLDS.search(colon["left"]):
        left, right = colon["left"], colon["right"]
        if not rows_follow(left, right):
            return _headings(right), left
        return _headings(_ROWS_NOUN.sub("", _unlead(left))), right
    for pattern in (_FOR_COMMA, _BY, _THEIRS, _COMMA_WITH, _CHINESE_OF, _OF):
        match = pattern.match(sentence)
        headings = _headings(_unlead(match["columns"])) if match else []
        if match and headings:
            return headings, match["rows"]
    return [], text


_ROWS_NOUN = re.compile(r"\s+(?:of|for|in)(?:\s+(?:the|these|all|each of|following|\d+|[a-z]+))*$", re.IGNORECASE)


def _names_rows(text: str) -> bool:
    """Whether a list looks like names: most of its items begin with a capital letter."""
    items = [re.sub(r"^(?:the|and)\s+", "", item.strip()) for item in split_list(text)]
    capital = sum(1 for item in items if item[:1].isupper())
    return bool(items) and capital > len(items) / 2


_LEAD_IN = re.compile(
    r"^(?:please|can you|could you|would you|i(?:'d| would) like(?: to know| to see)?|i (?:want"
    r"|need)(?: to know)?|what(?:'s| is| are| was| were)|"
    r"give|show|list|tell|find|get|look up|report|provide|compare|collect|record|make|me|out|a table (?:of"
    r"|with)|table (?:of|with)|the|their|its|each(?: one)?(?:'s)?|and)\s+",
    re.IGNORECASE,
)


def _unlead(text: str) -> str:
    while (shorter := _LEAD_IN.sub("", text.strip())) != text.strip():
        text = shorter
    return text.strip()


def _headings(text: str) -> list[Heading]:
    return [_heading(part) for part in split_list(_unlead(text)) if _clean(part)]


def _heading(text: str) -> Heading:
    match = _DESCRIBED.match(text.strip())
    if match:
        return Heading(_clean(match["name"]), match["description"].strip())
    return Heading(_clean(text))


def _clean(text: str) -> str:
    name = re.sub(
        r"^(?:and|the|its|their|a|an|和|以及)\s+", "", text.strip(" \t.,;:。，；：\"'`*“”"), flags=re.IGNORECASE
    )
    name = re.sub(r"\s+(?:is|are|was|were)$", "", name)
    for pattern, shape in _QUESTIONS:
        match = pattern.match(name)
        if match:
            name = shape.format(match[1])
            break
    return name[:1].upper() + name[1:]


_QUESTIONS = [
    (
        re.compile(
            r"^(?:what|which)\s+(?:is\s+|are\s+)?(?:the\s+|their\s+|its\s+)?(.+?)(?:\s+(?:is|are|was|were))?$",
            re.IGNORECASE,
        ),
        "{}",
    ),
    (
        re.compile(
            r"^how many\s+(.+?)(?:\s+(?:(?:they|it|each|there)\s+)?(?:have|has|are|is)(?:\s+there)?)?$", re.IGNORECASE
        ),
        "Number of {}",
    ),
    (
        re.compile(
            r"^how (?:long|big|large|high|tall|deep|wide|great|old)\s+(?:is|are)\s+(?:the\s+|their\s+|its\s+)?(.+)$",
            re.IGNORECASE,
        ),
        "{}",
    ),
]
"""Columns asked for as questions: `how many airports they have` is `Number of airports`."""


def _described(heading: Heading, listed: Sequence[Heading]) -> Heading:
    same = next((other for other in listed if fold(other.name) == fold(heading.name)), None)
    return Heading(heading.name, heading.description or same.description) if same else heading


def _key(headings: Sequence[Heading]) -> int | None:
    described = (place for place, heading in enumerate(headings) if heading.names_row)
    named = (place for place, heading in enumerate(headings) if _NOUN_KEY.match(heading.name))
    return next(described, next(named, None))
