"""Questions with one short answer, read into what the lead works with: rows, a column, and what to do with them.

`goal` says what: `value` (the fact of the row), `names` (of the rows), `count` (of the rows), `highest` and `lowest`
(the row whose fact is), `open` (no more is understood than the question itself).
"""

import re
from collections.abc import Callable
from dataclasses import replace

from services.model.expert.asked import asked_heading, entities
from services.model.expert.borders import Borders
from services.model.expert.columns import KeyedColumns
from services.model.expert.headings import Heading
from services.model.expert.lists import readings
from services.model.expert.request import Request
from services.model.expert.scope import Holder, Scope, read_scope
from services.model.expert.wording import without_sources
from wideseek.quantities import units_named

_MORE = (
    r"more|most|(?:great|high|larg|bigg|long|old|tall|deep|heavi|rich|fast|wid|broad)(?:er|est)(?:\s+(?:number|amount)"
    r"\s+of)?"
)
_LESS = (
    r"less|least|fewer|fewest|(?:low|small|short|young|light|poor|slow|narrow)(?:er|est)(?:\s+(?:number|amount)\s+of)?"
)
_COMPARED = re.compile(rf"\b(?:the\s+|an?\s+)?(?:(?P<more>{_MORE})|(?P<less>{_LESS}))\b\s*", re.IGNORECASE)
_IMPLIED = {
    "larg": "area", "bigg": "area", "small": "area", "high": "elevation", "tall": "height", "low": "elevation",
    "long": "length", "short": "length", "old": "age", "young": "age", "deep": "depth",
}  # fmt: skip
"""What an adjective measures where the question names no fact."""
_EITHER = re.compile(r"^(?P<fact>(?:which|what|who)\b.+?)\s*[:,–—-]\s+(?P<names>[^:]+\s+or\s+[^:]+)$", re.IGNORECASE)
_NAMES = r"(?P<names>(?:the\s+)?[^\W\d_a-z].+?\s+(?:and|or)\s+.+?)"
_WHICH_OF = re.compile(
    rf"^(?i:which (?:one )?of|between|out of|of)\s+(?:the\s+two\s+\w+\s+)?{_NAMES},?\s+"
    r"(?P<fact>(?:which\s+(?:one\s+)?)?(?:has|have|had|is|was|are)\b.+)$"
)
_DOES = re.compile(
    rf"^(?i:do|does|did|is|are|was|were|has|had)\s+{_NAMES}\s+(?P<fact>(?:have\s+)?(?:the|an?|more|less|fewer|[a-z]+er)\s.+"
    r"|[a-z]+er)$"
)
_NEIGHBOURS = re.compile(
    r"^how many\s+(?:neighbou?rs|(?:(?:neighbou?ring|bordering)\s+)?(?:countries|states|nations))\s+(?:does|do|did)\s+"
    r"(?P<name>.+?)\s+(?:have|border)$",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"^how many\s+(?P<rows>(?:of\s+(?:the\s+|all\s+)?)?(?:[\w-]+\s+){0,3}?(?:countries|states|nations|neighbou?rs)\b.*"
    r"|of\s+.+)$",
    re.IGNORECASE,
)
_CLAUSE = r"(?:whose|that|which|with|where|bordering|sharing|located|in|to|from|next)\b.+"
_NESTED = re.compile(
    rf"\s+(?:(?:of|in|for|by|does|do|did|has|have)\s+)?the\s+(?:only\s+|one\s+)?(?P<noun>[a-z]+)\s+(?=(?P<clause>{_CLAUSE})$)"
)
_ORDER = re.compile(
    r"^(?:please\s+)?(?:name|state|give(?:\s+me)?|tell\s+me|report|find(?:\s+out)?|look\s+up|identify)\s+(?=the\b|which\b|what\b"
    r"|how\b)",
    re.IGNORECASE,
)
_THE_ONE = re.compile(
    r"^the\s+(?:(?:one|only|single)\s+){0,2}(?P<noun>country|state|nation)\s+(?:that|which)\s+", re.IGNORECASE
)
_UNIT_FIRST = re.compile(r"^(?P<unit>(?:per|in)\s.+?),\s+(?P<rest>(?:how|what|which)\b.+)$", re.IGNORECASE)
_OF_THESE = re.compile(r"^(?P<these>(?:out\s+)?of\s+(?:the|all)\s+.+?),\s+how many\s+(?P<rest>.+)$", re.IGNORECASE)
_VALUE = r"[\"“']?(?P<value>[^\W_a-z].*?|\.\w+)[\"”']?"
_HELD = re.compile(
    rf"^(?:whose|(?:that|which)\s+(?:has|uses)\s+(?:the|an?)|with\s+(?:the|an?))\s+(?P<fact>[a-z].*?)\s+"
    rf"(?:(?:is|are|was|were|of|called|named)\s+)?(?:the\s+)?{_VALUE}$"
)
_WHICH = r"(?i:which|what)\s+(?P<noun>[a-z]+)"
_IDENTIFIED = [
    re.compile(rf"^{_WHICH}(?:'s|’s|\s+whose)\s+(?P<fact>.+?)\s+is\s+(?:the\s+)?{_VALUE}$"),
    re.compile(
        rf"^(?:(?:Of|In|of|in)\s+)?{_WHICH}\s+(?:is|has)\s+{_VALUE}\s+(?:as\s+(?:its|the)|the)\s+(?P<fact>[a-z].+)$"
    ),
    re.compile(rf"^{_VALUE}\s+is\s+the\s+(?P<fact>[a-z].+?)\s+of\s+{_WHICH}$"),
    re.compile(rf"^{_WHICH}\s+(?:has|uses)\s+the\s+(?P<fact>[a-z][a-z -]+?)\s+(?P<value>[^\W_a-z].*|\.\w+)$"),
]
_EXTREME = re.compile(
    r"\b(?P<extreme>longest|shortest)\s+(?:[a-z]+\s+)?(?:border|boundary|frontier)s?\b", re.IGNORECASE
)
_NAME = r"(?:the\s+)?(?P<name>[^\W\d_a-z].*?)"
_OWN_BORDER = re.compile(
    rf"\bwhich\s+{_NAME}\s+(?:shares?|has|have)\b|\bto\s+which\s+{_NAME.replace('name', 'other')}\s+"
)
_WITH = re.compile(rf"\b(?:border|boundary|frontier)s?\s+with\s+{_NAME}$")


def read_question(question: str, pages: tuple[str, ...] = ()) -> Request:
    """Understand a question as far as it goes."""
    text = _asked_plainly(without_sources(" ".join(question.split())).strip(" ?？."))
    readers: tuple[Callable[[str], Request | None], ...] = (_either, _count, _identified, _nested, _which, _value)
    found = next((request for reader in readers if (request := reader(text)) is not None), None)
    request = found or _request(None, Scope(), "open")
    return replace(request, text=" ".join(question.split()), pages=pages)


def _asked_plainly(text: str) -> str:
    """Orders and inversions as questions: `Name the one country that …` is `which country …`."""
    ordered = _ORDER.match(text)
    if ordered:
        rest = text[ordered.end() :]
        one = _THE_ONE.match(rest)
        text = (
            f"which {one['noun']} {rest[one.end() :]}" if one else f"what is {rest}" if rest.startswith("the") else rest
        )
    unit = _UNIT_FIRST.match(text)
    if unit and (units_named(unit["unit"]) or unit["unit"].lower().startswith("per")):
        text = f"{unit['rest']} {unit['unit'][0].lower()}{unit['unit'][1:]}"
    inverted = _OF_THESE.match(text)
    return f"how many {inverted['these']} {inverted['rest']}" if inverted else text


def _request(heading: Heading | None, scope: Scope, goal: str) -> Request:
    headings = (Heading("Name"), heading) if heading and heading.name else (Heading("Name"),)
    return Request(KeyedColumns(headings, 0), scope, goal=goal)


def _either(text: str) -> Request | None:
    """`Which has the higher …: A or B?`, `Which of A and B is …?`: rows compared."""
    match = _EITHER.match(text) or _WHICH_OF.match(text) or _DOES.match(text)
    found = _compared(match["fact"]) if match else None
    if not match or not found:
        return None
    plain = re.split(r"\s*,\s*(?:or\s+)?|\s+or\s+", match["names"])
    found_names = [plain] if len(plain) > 1 else readings(match["names"])
    names = tuple(tuple(re.sub(r"^the\s+", "", name) for name in items) for items in found_names)
    return _request(found[0], Scope(names), found[1])


def _compared(text: str) -> tuple[Heading, str] | None:
    """The fact that is compared, and whether the highest or the lowest is meant."""
    match = _COMPARED.search(text)
    if not match:
        return None
    word = (match["more"] or match["less"]).lower()
    fact = re.sub(r"^(?:in|by|in terms of|than|of)\s+", "", text[match.end() :].strip(" ,"))
    implied = next((measure for start, measure in _IMPLIED.items() if word.startswith(start)), "")
    heading = asked_heading(fact or implied)
    measured = replace(heading, description=f"{heading.description} number of it".strip())
    return (measured, "highest" if match["more"] else "lowest") if heading.name else None


def _count(text: str) -> Request | None:
    """`How many of the countries that border X have …?`: rows counted."""
    text = _NEIGHBOURS.sub(r"how many countries that border \g<name>", text)
    match = _COUNT.match(text)
    scope = read_scope(match["rows"]) if match else None
    return _request(None, scope, "count") if scope and (scope.borders or scope.groups) else None


def _identified(text: str) -> Request | None:
    """`Which country's seat is X?`: the row that a fact identifies."""
    match = next((match for pattern in _IDENTIFIED if (match := pattern.match(text))), None)
    if not match or _COMPARED.search(match["value"]):
        return None
    holder = Holder(match["fact"].strip(), match["value"].strip())
    return _request(None, Scope(holder=holder, noun=match["noun"].capitalize()), "names")


def _nested(text: str) -> Request | None:
    """`What is the … of the country whose seat is X?`: a fact of a row that must be found first."""
    for match in reversed(list(_NESTED.finditer(text))):
        scope, heading = _clause(match["noun"], match["clause"]), asked_heading(text[: match.start()])
        if scope and heading.name:
            return _request(heading, scope, "value")
    return None


def _clause(noun: str, clause: str) -> Scope | None:
    """The rows that a relative clause describes."""
    extreme = _EXTREME.search(clause)
    if extreme:
        anchor = _WITH.search(clause) or _OWN_BORDER.search(clause)
        name = next((part for part in anchor.groups() if part), "") if anchor else ""
        borders = Borders(((name,),), extreme=extreme["extreme"].lower())
        return Scope(borders=borders, noun=noun.capitalize()) if name else None
    held = _HELD.match(clause)
    if held and not _COMPARED.match(held["value"]):
        return Scope(holder=Holder(held["fact"].strip(), held["value"].strip()), noun=noun.capitalize())
    scope = read_scope(f"the {noun} {clause}")
    return scope if scope.borders or scope.groups else None


def _which(text: str) -> Request | None:
    """`Which country borders both A and B?`, `Which country in X has the largest …?`: rows named."""
    if not re.match(r"(?:which|what)\s+(?!is\b|are\b|was\b|were\b|percentage\b|share\b)", text, re.IGNORECASE):
        return None
    extreme = _EXTREME.search(text)
    if extreme:
        scope = _clause("country", text)
        return _request(None, scope, "names") if scope else None
    compared = _COMPARED.search(text)
    superlative = compared and re.search(r"(?:est|most|least)\b", compared[0])
    scope = read_scope(text[: compared.start()] if compared and superlative else text)
    if not (scope.borders or scope.groups):
        return None
    if not superlative:
        return _request(None, _bordering_all(scope, text), "names")
    found = _compared(text)
    return _request(found[0], replace(scope, conditions=()), found[1]) if found else None


def _bordering_all(scope: Scope, text: str) -> Scope:
    """One country is asked for: what it borders, joined by `and`, it borders all."""
    one = re.match(r"(?:which|what)\s+(?:one\s+|single\s+)?(?:country|state|nation)\b", text, re.IGNORECASE)
    if not scope.borders or not one or re.search(r"\bor\b", text):
        return scope
    return replace(scope, borders=replace(scope.borders, every=True))


def _value(text: str) -> Request | None:
    """`What is the … of X?`: one fact of one row; where several names stand, each is a reading."""
    found = entities(text)
    if not found:
        return None
    first = found[0]
    heading = asked_heading(f"{text[: first.start]} {text[first.end :]}")
    return _request(heading, Scope(tuple((one.name,) for one in found)), "value") if heading.name else None
