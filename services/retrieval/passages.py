"""Pages cut into passages: packed lines for the index, single lines for a reader with a small budget."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.retrieval.text import pieces, trimmed

MIN_CHARS = 400
MAX_CHARS = 1_000
MAX_LINE_CHARS = 500
_HEADING = re.compile(r"(#{1,6})\s+(\S.*)")


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` of a page, offsets in Unicode code points, and the heading it stands under."""

    start: int
    end: int
    section: str = ""
    heading: bool = False


def lines(text: str, limit: int = MAX_LINE_CHARS) -> Iterator[Span]:
    """The visible lines of a page in order, long ones cut at sentence ends; a heading belongs to its own section."""
    section, position = "", 0
    for raw in text.splitlines(keepends=True):
        start, end = trimmed(text, position, position + len(raw))
        position += len(raw)
        if start == end:
            continue
        heading = _HEADING.fullmatch(text, start, end)
        if heading:
            # The heading of the first level is the page's title.
            section = "" if heading[1] == "#" else heading[2]
        for piece_start, piece_end in pieces(text, start, end, limit):
            yield Span(piece_start, piece_end, section, heading is not None)


def passages(text: str) -> Iterator[Span]:
    """A page packed into spans of 400 to 1,000 characters, cut on line borders.

    A heading closes the passage before it unless that is still short; the last passage of a page, and a page's
    only one, may be shorter. A line longer than a passage is cut at sentence ends.
    """
    held: Span | None = None
    for line in lines(text, MAX_CHARS):
        if held is None:
            held = line
            continue
        size, joined = held.end - held.start, line.end - held.start
        if joined > MAX_CHARS or (line.heading and size >= MIN_CHARS):
            yield held
            held = line
        else:
            section = line.section if held.heading else held.section
            held = Span(held.start, line.end, section, held.heading and line.heading)
    if held is not None:
        yield held
