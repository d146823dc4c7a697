"""What a page is asked for in the compact profile, and the comparisons among it that the page's numbers answer.

`area; fewer than 10 million inhabitants` asks for an area, and for a population, of which it is also to be said whether
it is fewer than 10 million. A small model copies words well and compares numbers at chance, so the tool compares:

    Population: 17833885 (not fewer than 10 million) (2025 est.)
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wideseek.comparisons import Comparison, read_comparison
from wideseek.quantities import quantities
from wideseek.words import alike, everyday, tokens, weight

_PART = re.compile(r"[^;\n]+")
_LABEL = re.compile(r"(.{1,160}?):\s")
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?!\d|,\d)")
_YEAR = re.compile(r"\bin [12]\d{3}\b")
_NOTE = re.compile(r"(?<=[\d%A-Za-z]) \(([^()]+)\)")
_LEAST_SHARE = 0.5
"""Of what an ask says, by weight, that a line's label must say to be what is asked for."""


@dataclass(frozen=True)
class Ask:
    """One thing that a page is asked for."""

    fact: str
    """In a page's words; what stands before a comparison, and what stands behind it where nothing does."""
    comparison: Comparison | None = None


def read_asks(need: str) -> list[Ask]:
    """The parts of a need, which semicolons or lines set apart.

    >>> [ask.fact for ask in read_asks("area; fewer than 10 million inhabitants")]
    ['area', 'population']
    """
    return [_ask(part) for part in _PART.findall(need) if part.strip()]


def _ask(part: str) -> Ask:
    found = read_comparison(part)
    if not found or not found.words:
        return Ask(everyday(part))
    before, after = part[: found.start], part[found.end :]
    year = _YEAR.search(after)
    return Ask(everyday(f"{before} {year[0] if year else ''}" if tokens(before) else after), found)


def facts_of(need: str) -> str:
    """The need as a page is searched for it: its facts, parted as they were."""
    return _PART.sub(lambda part: _ask(part[0]).fact if part[0].strip() else part[0], need)


def answered(lines: Sequence[str], asks: Sequence[Ask]) -> list[str]:
    """The lines with thousands no longer set apart, and behind numbers whether a comparison with them holds.

    A policy that leaves commas out as it copies loses digits as well.

    >>> answered(["Population: 17,833,885 (2025 est.)"], read_asks("fewer than 10 million inhabitants"))
    ['Population: 17833885 (not fewer than 10 million) (2025 est.)']
    """
    notes: dict[int, dict[int, list[str]]] = {}
    for fact, comparison in ((ask.fact, ask.comparison) for ask in asks if ask.comparison):
        place = _line_of(fact, comparison, lines)
        if place is not None:
            for stop, verdict in _verdicts(lines[place], comparison).items():
                notes.setdefault(place, {}).setdefault(stop, []).append(verdict)
    return [_noted(line, notes.get(place, {})) for place, line in enumerate(lines)]


def verdict_of(comparison: Comparison, number: float) -> str:
    """What is said behind a number that is compared."""
    return comparison.words if comparison.holds(number) else f"not {comparison.words}"


def without_verdicts(text: str) -> str:
    """The text without what `answered` puts behind numbers.

    >>> without_verdicts("Population: 17833885 (not fewer than 10 million) (2025 est.)")
    'Population: 17833885 (2025 est.)'
    """
    return _NOTE.sub(lambda note: "" if _verdicts_of(note) else note[0], text)


def verdicts_in(text: str) -> set[str]:
    """What `answered` has put behind numbers."""
    return {verdict for note in _NOTE.finditer(text) for verdict in _verdicts_of(note)}


def _verdicts_of(note: re.Match[str]) -> list[str]:
    """What brackets say where that is verdicts and nothing else, else nothing."""
    parts = note[1].split(", ")
    return parts if all(map(_is_comparison, parts)) else []


def _is_comparison(text: str) -> bool:
    words = text.removeprefix("not ")
    found = read_comparison(words)
    return found is not None and found.words == words


def _line_of(fact: str, comparison: Comparison, lines: Sequence[str]) -> int | None:
    """The line with a number whose label says most of what is asked for, and least besides; the first of several."""
    labels = [_labelled(line, comparison) for line in lines]
    scores = [_served(fact, label[1]) if label else 0.0 for label in labels]
    best = max(scores, default=0.0)
    return scores.index(best) if best else None


def _labelled(line: str, comparison: Comparison) -> re.Match[str] | None:
    label = _LABEL.match(line)
    stated = quantities(line[label.end() :]) if label else []
    shares = comparison.bounds[0].unit == "%"
    return label if any(one.unit == "%" or not shares for one in stated) else None


def _served(fact: str, label: str) -> float:
    wanted, said = set(tokens(fact)), set(tokens(label))
    shared = sum(weight(one) * max((alike(one, other) for other in said), default=0.0) for one in wanted)
    if not shared or shared < _LEAST_SHARE * sum(map(weight, wanted)):
        return 0.0
    besides = sum(weight(one) for one in said if not any(alike(one, other) for other in wanted))
    return shared * (1 + shared / (shared + besides))


def _verdicts(line: str, comparison: Comparison) -> dict[int, str]:
    """Verdicts by where in the line they go: behind the first number that can be meant of each part of a list."""
    label = _LABEL.match(line)
    found = [one for one in quantities(line) if not label or one.start >= label.end() - 1]
    meant = comparison.meant(found)
    ends = [match.start() for match in re.finditer(r";|$", line)]
    firsts = {next(end for end in ends if one.start <= end): one for one in reversed(meant)}
    return {one.stop: verdict_of(comparison, one.value) for one in firsts.values()}


def _noted(line: str, notes: Mapping[int, Sequence[str]]) -> str:
    text, place = "", 0
    for stop in sorted(notes):
        text += f"{_joined(line[place:stop])} ({', '.join(notes[stop])})"
        place = stop
    return text + _joined(line[place:])


def _joined(text: str) -> str:
    return _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
