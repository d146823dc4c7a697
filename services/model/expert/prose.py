"""Facts told in running text, read by rules of wording and not by field.

In order: a label in brackets (`(IATA: ABZ; Spanish: La casa)`), a word before a hyphen (`French-language`), who did it
(`directed by X` for a director), where it is (`in X, Y, Z`), a year, and last the name or number nearest to the words
of the heading. Where none applies the cell stays empty.
"""

import re
from collections.abc import Callable, Sequence

from services.model.expert.headings import Heading
from services.model.expert.names import canonical
from services.model.expert.pages import Fact, read_facts
from services.model.expert.places import place
from services.model.expert.values import number, text_date
from wideseek.quantities import quantities
from wideseek.words import FAINT_STEMS, alike, fold, raw_tokens, stem

_SENTENCE_END = re.compile(r"(?:[^\W\d_]{2}|[)\]\d\"”])\.(?:\s|$)")
_SENTENCE = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\bJr\.)(?<!\bSt\.)(?<!\bDr\.)(?<!\bMr\.)\s+(?=[^\W\d_a-z]|[\"“(])")
_INITIAL = r"[^\W\d_a-z]\.(?:\s?[^\W\d_a-z]\.)*"
WORD = rf"(?:{_INITIAL}|(?:[a-z]{{1,2}}['’-])?[^\W\d_a-z][\w'’-]*)"
_SMALL = r"(?:de|da|do|dos|das|del|della|van|von|der|den|di|du|la|le|al|el|bin|ibn|y|e|of|the)"
NAME = rf"{WORD}(?:\s+(?:{_SMALL}\s+){{0,2}}{WORD})*"
_PEOPLE = rf"{NAME}(?:(?:\s*,\s*|\s*,?\s+(?:and|&)\s+){NAME})*"
_LABEL_END = (
    r"(?=\s*(?:;|\)|\]|,\s*(?:[\w ]{2,25}:|trans|romani[sz]ed|lit\b|lit\.|literally|pronounced|also|meaning"
    r"|or\b|was\b|is\b|[a-z]+\.)))"
)
_FIRST_LABEL = re.compile(rf"^.{{0,120}}?\((?P<label>[^\W\d_a-z]\w*[a-z](?:\s\w+)?):\s*(?P<value>[^()]+?){_LABEL_END}")
_ORIGINAL_IS = re.compile(r"^.{0,120}?\(original (?:\w+ )?(?:title|name)(?: in \w+)?:?\s+(?P<value>[^();]+)")
_SCRIPT = re.compile(rf"^.{{0,120}}?\((?P<value>[^()\x00-\u024f]{{2}}[^()]*?){_LABEL_END}")
_ORIGINAL = re.compile(r"\boriginal\b|\bnative\b", re.IGNORECASE)
_COMPOUND = r"[^\W\d_a-z][\w&]*"
_SPOKEN = re.compile(r"\bis an?\s+(?:\d{4}\s+)?(?P<label>[^\W\d_a-z]\w+)\b")
_AGENT = re.compile(r"^\w{2,}(?:[ts]or|er|eur|ist)$")
_FUNCTION = re.compile(
    r"^(?:of|in|at|on|for|from|by|with|and|or|as|to|is|was|are|were|who|which|that|the|where|when|until|since|during"
    r"|after|before|while|but|has|had|have|under|near|through|into)\b"
)
_COPULA = re.compile(r"\b(?:is|was|are|were)\b")
_MAX_VALUE = 200
_DESCRIBED = (
    rf"(?:the\s+)?(?:{NAME}\s+)?(?:(?!(?:and|or|in|at|on|for|from|by|with|as|to|who|is|was|{_SMALL})\b)"
    rf"(?![a-z-]+(?:ing|ed)\b)[a-z][\w-]*\s+){{1,5}}"
)
"""What may stand before a person's name: `the Thai singer-songwriter`."""
_NEAR = 12
"""Words between what was asked and a name or number; farther ones are about something else."""


def is_prose(text: str) -> bool:
    """Whether a page is running text rather than labelled facts: more of its lines are sentences than are labelled."""
    running = labelled = 0
    for line in text.splitlines():
        ends = len(_SENTENCE_END.findall(line))
        facts = plain_facts(read_facts(line))
        if ends > 1 or (ends and not facts and _COPULA.search(line)):
            running += 1
        elif facts:
            labelled += 1
    return running > labelled


def plain_facts(facts: Sequence[Fact]) -> list[Fact]:
    """The facts whose label is no piece of a sentence and whose value is none either."""
    return [fact for fact in facts if not re.search(r"[(,]", fact.label) and len(fact.value) <= _MAX_VALUE]


def told(heading: Heading, text: str, title: str) -> str:
    """The value that running text gives for a heading, or empty."""
    rules: tuple[Callable[[Heading, str, str], str], ...] = (
        _labelled,
        _original,
        _hyphened,
        _agent,
        place,
        _year,
        nearest,
    )
    flat = " ".join(text.split())
    return next((value for rule in rules if (value := rule(heading, flat, title))), "")


def sentences(text: str) -> list[str]:
    """The sentences of a text; initials end none."""
    return [part for part in _SENTENCE.split(text) if part]


def _labelled(heading: Heading, text: str, _: str) -> str:
    """`(Polish: Lato; English: Summer)`: what stands behind the heading's name or a proper name in it."""
    proper = re.findall(r"(?<!^)\b[^\W\d_a-z]\w+|^[^\W\d_a-z]\w+(?=\s)", f"{heading.name} {heading.description}")
    for label in dict.fromkeys([heading.name, *proper]):
        match = re.search(rf"\b{re.escape(label)}(?:\s[a-z]+)?:\s*(?P<value>[^();]+?)(?:{_LABEL_END}|\s*\()", text)
        if match:
            return match["value"].strip(" \"“”'")
    return ""


def _original(heading: Heading, text: str, title: str) -> str:
    """What the subject is called in its own language: the first label of its opening bracket, else its name."""
    if not _ORIGINAL.search(heading.text) or not re.search(r"\b(?:title|name)\b", fold(heading.name)):
        return ""
    match = _ORIGINAL_IS.match(text) or _FIRST_LABEL.match(text) or _SCRIPT.match(text)
    own = re.sub(r"\s*\([^()]*\)$", "", title)
    # A label that translates into the language of the page is no original.
    return match["value"].strip(" \"“”'") if match and match.groupdict().get("label") != "English" else own


def _hyphened(heading: Heading, text: str, _: str) -> str:
    """`Fox-affiliated`, `Thai-language`: what stands before the hyphen of a form of the heading's name."""
    for word in raw_tokens(heading.name):
        if len(word) < 5 or heading.kind == "number":
            continue
        forms = rf"(?i:{re.escape(word[: max(5, len(stem(word)) - 1)])}\w*)"
        match = re.search(rf"(?P<value>{_COMPOUND})-{forms}", text) or re.search(
            rf"\b{forms}\s+(?:of|with|to)\s+(?:the\s+)?(?P<value>{NAME})", text
        )
        if match:
            return match["value"]
    if "language" not in fold(heading.name):
        return ""
    spoken = _FIRST_LABEL.match(text) or _SPOKEN.search(text)
    return spoken["label"] if spoken else ""


def _agent(heading: Heading, text: str, title: str) -> str:
    """`directed by X` for a director; in the first sentence, `by X` for who did it in any other word."""
    doers = (
        [word for word in raw_tokens(heading.name) if _AGENT.match(word)] if heading.kind in {"name", "text"} else []
    )
    opening = sentences(text)[0] if text else ""
    for doer in doers:
        base = rf"\b{re.escape(re.sub(r'(?:or|er|eur|ist)$', '', doer))}\w*"
        for verb, part in ((rf"{base}(?:,?\s+(?:and\s+)?\w+){{0,3}}\s+by", text), (base, text), (r"\bby", opening)):
            for said in (_DESCRIBED, ""):
                match = re.search(rf"(?i:{verb}),?\s+(?:and\s+\w+\s+)?{said}(?P<name>{_PEOPLE})", part)
                if match and canonical(match["name"]) != canonical(title):
                    return match["name"]
    return ""


def _year(heading: Heading, text: str, _: str) -> str:
    """The year that the opening gives (`is a 1968 film`), else the first."""
    if not re.search(r"\byear\b", fold(heading.text)) or heading.units - {"years"}:
        return ""
    opening = re.search(r"\b(?:is|was|are|were)\s+(?:an?|the)\s+(?:[\w-]+\s+){0,3}?(1\d{3}|20\d{2})\b", text)
    match = opening or re.search(r"(?<![\d,.–-])\b(1\d{3}|20\d{2})\b(?![,.]\d)", text)
    return match[1] if match else ""


def nearest(heading: Heading, text: str, title: str) -> str:
    """The name, number or date nearest to the heading's words."""
    found = [scored for sentence in sentences(text) for scored in _candidates(heading, sentence, title)]
    best = max(found, key=lambda item: item[0], default=(0.0, ""))
    return best[1] if best[0] > 0 else ""


def _candidates(heading: Heading, sentence: str, title: str) -> list[tuple[float, str]]:
    """Values in a sentence with their worth: the heading's words near them, those before counting most."""
    wanted = {
        token: 1.0 if token in heading.name_tokens else 0.4 for token in heading.wanted if token not in FAINT_STEMS
    }
    asked = set(heading.wanted)
    words = [(match.start(), stem(match[0])) for match in re.finditer(r"\w+", fold(sentence))]
    marks = [(at, worth) for at, word in words for token, worth in wanted.items() if alike(token, word) == 1.0]
    found = []
    for start, end, value in _values(heading, sentence):
        if not marks or canonical(value) == canonical(title) or {stem(word) for word in raw_tokens(value)} <= asked:
            continue
        worth = 0.0
        for at, mark in marks:
            apart = len(sentence[min(at, end) : max(at, start)].split())
            if (at < start or at >= end) and apart <= _NEAR:
                worth += mark * (1.0 if at < start else 0.5) / (1 + apart)
        own = max((wanted[token] for token in map(stem, raw_tokens(value)) if token in wanted), default=0.0)
        worth += 0.6 * own
        after = sentence[end:].lstrip()
        plain = not after or not after[0].isalnum() or after[0].isupper() or bool(_FUNCTION.match(after))
        found.append((worth if plain else worth * 0.3, value))
    return found


def _values(heading: Heading, sentence: str) -> list[tuple[int, int, str]]:
    if heading.kind == "date":
        return [(0, 0, value)] if (value := text_date(sentence)) else []
    if heading.kind == "number":
        return [
            (one.start, one.end, number(heading, sentence[one.start : one.end]))
            for one in quantities(sentence)
            if not one.year
        ]
    return [(match.start(), match.end(), match[0]) for match in re.finditer(NAME, sentence) if match.start() > 0]
