"""What a page that was read says: values, decisions, borders, entries."""

import re
from dataclasses import replace

from services.model.expert.conditions import Condition
from services.model.expert.headings import Heading
from services.model.expert.matching import Labels
from services.model.expert.names import canonical
from services.model.expert.pages import Entry, Fact, listed_lengths, read_entries, read_facts
from services.model.expert.prose import is_prose, plain_facts, told
from services.model.expert.values import take
from wideseek.words import fold, kin, tokens

BORDER_HEADING = Heading(
    "Border countries", "neighbours that share a land border, land boundaries, frontier, neighbouring, adjacent"
)
_MAX_MENTION = 300
_HELD = 3
_NOTHING = re.compile(r"\s*(?:0(?![\d.,]*[1-9])|none\b|nil\b)", re.IGNORECASE)


class Reading:
    """A page read: labelled facts, or prose."""

    def __init__(self, title: str, text: str) -> None:
        facts = read_facts(text)
        self.title = title
        self.text = text
        self.prose = is_prose(text)
        self.labels = Labels(plain_facts(facts) if self.prose else facts)

    def answer(self, heading: Heading) -> str:
        """The value that the page states for a heading, or empty."""
        stated = answer(self.labels, heading)
        return told(heading, self.text, self.title) if self.prose and not stated else stated

    def decision(self, condition: Condition) -> str:
        """What decides a condition."""
        return decision(self.labels, condition)

    def holds(self, fact: str, value: str) -> bool:
        """Whether the page states `value` for `fact`."""
        wanted = canonical(value)
        best = [
            match for match in self.labels.ranked(Heading(fact, loose=True))[:_HELD] if match.score >= Labels.threshold
        ]
        return bool(wanted) and any(f" {wanted} " in f" {canonical(match.fact.value)} " for match in best)


def answer(labels: Labels, heading: Heading) -> str:
    """The value that labelled facts state for a heading, or empty."""
    for match in labels.ranked(heading)[:3]:
        if match.score < labels.threshold:
            break
        spelt = heading.loose and match.fact.value.strip()[:1].isalpha()
        named = heading.kind == "text" and (spelt or fold(match.fact.path[-1]) == "name")
        value = take(replace(heading, description="name of it") if named else heading, match.fact.value)
        if value:
            return value
    return ""


def decision(labels: Labels, condition: Condition) -> str:
    """What decides a condition: the value of a fact, or yes/no for a property the page states in words."""
    if condition.bounds or condition.contains:
        match = labels.best(condition.heading)
        return _short(match.fact.value) if match else ""
    match = labels.best(condition.heading)
    if match and re.match(r"\s*(?:yes|no)\b", match.fact.value, re.IGNORECASE):
        return _short(match.fact.value)
    return "yes" if any(_mentions(fact, word) for fact in labels.facts for word in condition.words) else "no"


def _mentions(fact: Fact, word: str) -> bool:
    # A label over nothing (`Coastline: 0 km (landlocked)`) says that there is none.
    label = "" if _NOTHING.match(fact.value) else fact.path[-1]
    wanted, said = set(tokens(word)), set(tokens(f"{label} {fact.value}"))
    return bool(wanted) and len(fact.value) < _MAX_MENTION and all(any(kin(one, two) for two in said) for one in wanted)


def _short(value: str, limit: int = 160) -> str:
    return " ".join(value.split())[:limit]


def border_entries(labels: Labels) -> list[tuple[str, str]]:
    """Names and lengths of the best list of borders on a page."""
    for match in labels.ranked(BORDER_HEADING):
        entries = list(listed_lengths(match.fact.value))
        if entries:
            return entries
    return []


def section_of(text: str, section: str) -> str:
    """The part of a page under the heading that names `section`; the whole page where none does."""
    wanted, lines = set(tokens(section)), text.splitlines()
    marks = [(place, len(match[1]), match[2]) for place, line in enumerate(lines) if (match := _TITLE.match(line))]
    for number, (place, level, title) in enumerate(marks):
        if wanted and set(tokens(title)) and set(tokens(title)) <= wanted and _last_word(title) == _last_word(section):
            end = next((after for after, depth, _ in marks[number + 1 :] if depth <= level), len(lines))
            return "\n".join(lines[place:end])
    return text


_TITLE = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")


def _last_word(text: str) -> str:
    return (canonical(text).split() or [""])[-1]


def kept_entries(text: str) -> list[tuple[str, str]]:
    """Names and addresses of a list's entries; those marked as not being what the others are marked as are left out."""
    entries = read_entries(text)
    denied = {_without_negation(entry.remark) for entry in entries if _negated(entry)}
    affirmed = {fold(entry.remark) for entry in entries} & denied
    return [(entry.name, entry.url) for entry in entries if not (affirmed and _negated(entry))]


def _negated(entry: Entry) -> bool:
    return bool(re.match(r"(?:not|no)\b", fold(entry.remark)))


def _without_negation(remark: str) -> str:
    return " ".join(fold(remark).replace("not an ", "").replace("not a ", "").replace("not ", "").split())


def natural(title: str) -> str:
    """A title in natural order: `Bahamas, The` as `The Bahamas`."""
    match = re.match(r"^([^,]+),\s*(The)$", title)
    return f"{match[2]} {match[1]}" if match else title
