"""Facts on a page: labelled values, whatever plain layout states them.

Read are: `Label: value`, `Label > sublabel: value`, `- sub: value` under a label that stands alone or indented,
`**Label**: value`, rows of two-column tables, definition-like `Label = value`, and sentences such as
`The X of E is V` or `E has an X of V`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wideseek.words import tokens

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_MARKS = re.compile(r"\*\*|__|`")
_BULLET = re.compile(r"^(?:[-*+•]|\d+[.)])\s+")
_SPLIT = re.compile(r"\s*[:：]\s+|\s*：\s*|\t+|\s+=\s+|\s+[–—]\s+")
_LABEL = re.compile(r"^[^\W\d_(][^;:!?|]{0,90}$|^\d+[^;:!?|]{1,60}$")
_NESTED = re.compile(r"^([^\W_][^;:.|]{1,60}):\s+(?=\S)")
_SENTENCES = [
    re.compile(
        r"^(?:The|Its|Their|Total)\s+(?P<label>[^,:]{2,60}?)\s+(?:of|in"
        r"|for)\s+(?P<entity>(?:the\s+)?[^\W\d_][^,:]{0,60}?)\s+(?:is|are|was|were|amounts? to|stands? at"
        r"|totals?|reached|measures?)\s+(?P<value>.+?)\.?$"
    ),
    re.compile(
        r"^(?P<entity>[^\W\d_][^,:]{0,60}?)(?:'s|’s|s')\s+(?P<label>[^,:]{2,60}?)\s+(?:is|are|was|were"
        r"|amounts? to|stands? at|totals?|reached|measures?)\s+(?P<value>.+?)\.?$"
    ),
    re.compile(
        r"^(?P<entity>[^\W\d_][^,:]{0,60}?)\s+(?:has|had|records?|reports?)\s+(?:an?|the"
        r"|its)\s+(?P<label>[^,:]{2,60}?)\s+of\s+(?P<value>.+?)\.?$"
    ),
    re.compile(
        r"^(?:The|Its|Their)\s+(?P<label>[^,:]{2,60}?)\s+(?:is|are|was|were|amounts? to|stands? at"
        r"|totals?)\s+(?P<value>.+?)\.?$"
    ),
]
_MAX_LABEL_WORDS = 14
_CUT = "[...]"


@dataclass(frozen=True)
class Fact:
    """One labelled value."""

    section: str
    path: tuple[str, ...]
    """Labels from the outermost to the innermost."""
    value: str

    @property
    def label(self) -> str:
        """The label as a page would write it."""
        return " > ".join(self.path)


def read_facts(text: str) -> list[Fact]:
    """The facts of a page or of passages of it, in order."""
    reader = _Reader()
    for line in text.splitlines():
        reader.read(line)
    return reader.facts


class _Reader:
    """Reads lines and remembers what they stand under."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self._section = ""
        self._parents: list[tuple[int, str]] = []
        self._pending = ""

    def read(self, raw: str) -> None:
        """Read one line."""
        line = _MARKS.sub("", raw.strip())
        if not line or line == _CUT:
            if line == _CUT:
                self._parents, self._pending = [], ""
            return
        heading = _HEADING.match(raw.strip())
        if heading:
            self._section = _MARKS.sub("", heading[2]).strip(" :")
            self._parents, self._pending = [], self._section
        elif line.startswith("|"):
            self._row(line)
        else:
            self._line(line, _depth(raw), bulleted=bool(_BULLET.match(raw.strip())))

    def _row(self, line: str) -> None:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if all(re.fullmatch(r":?-{2,}:?", cell) for cell in cells):
            # What stood above the delimiter was the header, not a fact.
            if self.facts and self.facts[-1].section == f"{self._section}|":
                self.facts.pop()
            return
        if len(cells) >= 2 and cells[0] and cells[1]:
            self.facts.append(Fact(f"{self._section}|", _path(cells[0]), " ".join(cells[1:])))

    def _line(self, raw_line: str, depth: int, *, bulleted: bool) -> None:
        line = _BULLET.sub("", raw_line)
        label, value = _split(line)
        if label and not value:
            self._open(depth, label)
            return
        if label:
            self._nest(depth, bulleted=bulleted)
            parents = [name for _, name in self._parents]
            self.facts.append(Fact(self._section, _path(label, parents), value))
            self._pending = ""
            if not bulleted:
                self._open(depth, label)
            return
        sentences = [fact for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", line) if (fact := self._sentence(part))]
        if sentences:
            self.facts.extend(sentences)
        elif self._pending and not self._parents:
            # A heading whose value is the text below it.
            self.facts.append(Fact("", (self._pending,), line))
        elif self._parents:
            self._nest(depth, bulleted=bulleted)
            path = [name for _, name in self._parents]
            if path:
                self.facts.append(Fact(self._section, tuple(path), line))
        self._pending = ""

    def _open(self, depth: int, label: str) -> None:
        self._parents = [(level, name) for level, name in self._parents if level < depth]
        self._parents.append((depth, label))
        self._pending = ""

    def _nest(self, depth: int, *, bulleted: bool) -> None:
        """Keep the labels that this line stands under: less indented ones, or an unbulleted one above a bullet."""
        self._parents = [
            (level, name)
            for level, name in self._parents
            if level < depth or (bulleted and level == depth and level % 2 == 0)
        ]

    def _sentence(self, text: str) -> Fact | None:
        for pattern in _SENTENCES:
            match = pattern.match(text.strip())
            if match and len(match["label"].split()) <= _MAX_LABEL_WORDS:
                return Fact(self._section, (match["label"].strip(),), match["value"].strip())
        return None


def _depth(raw: str) -> int:
    """Indentation in steps of two columns, doubled; odd depths are bullets."""
    indent = len(raw.expandtabs(4)) - len(raw.expandtabs(4).lstrip())
    return indent * 2 + (1 if _BULLET.match(raw.strip()) else 0)


def _split(line: str) -> tuple[str, str]:
    """Label and value of a line; the value is empty where the label stands alone; both empty when it is neither."""
    if line.endswith((":", "：")) and _is_label(line[:-1]):
        return line[:-1].strip(), ""
    match = _SPLIT.search(line)
    if not match or not _is_label(line[: match.start()]):
        return "", ""
    label, value = line[: match.start()].strip(), line[match.end() :].strip()
    nested = _NESTED.match(value)
    if nested and " > " in label and _is_label(nested[1]):
        return f"{label} > {nested[1]}", value[nested.end() :].strip()
    return label, value


def _is_label(text: str) -> bool:
    return bool(_LABEL.match(text.strip())) and len(text.split()) <= _MAX_LABEL_WORDS


def _path(label: str, parents: list[str] | None = None) -> tuple[str, ...]:
    return (*(parents or []), *(part.strip() for part in re.split(r"\s+(?:>|»|→|/)\s+", label) if part.strip()))


@dataclass(frozen=True)
class Entry:
    """One entry of a list: a name, its page where the list links it, and what is said of it."""

    name: str
    url: str
    remark: str


LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(((?:\([^\s()]*\)|[^\s()])+)\)")
"""A Markdown link: text and address."""
_LINK = re.compile(rf"^(?:\*\*)?{LINK.pattern}(?:\*\*)?\s*[:,–—-]?\s*(.*)$")
_BARE = re.compile(r"^([^\W_][^|:;–—(\[]{0,80}?)\s*(?:[:–—]\s*|\s-\s|(?=[(\[])|$)(.*)$")
_BRACKETED = re.compile(r"^([^\W_][^|:;–—(\[]{0,80}\([^():]{1,60}\)):\s+(\D.*)$")
"""A name that ends in brackets, and what is said of it."""
_URL = re.compile(r"\(?\b([a-z][a-z0-9+.-]*:[^\s)<>|,]+)\)?")


_GROUP = re.compile(r"- (?P<mark>[a-z][a-z ]*): (?P<names>[^\W\d_a-z][^;]*(?P<more>;.*)?)")
"""Entries that are marked alike, as the compact profile shows them: `- sovereign state: Chad; Mali`."""


def read_entries(text: str) -> list[Entry]:
    """The entries of a list page: bulleted, numbered or tabled lines that name something, or several under a mark."""
    lines = [line.strip() for line in text.splitlines()]
    groups = [group for line in lines if (group := _GROUP.fullmatch(line))]
    if any(group["more"] for group in groups):
        return [Entry(name.strip(), "", group["mark"]) for group in groups for name in group["names"].split(";")]
    return [entry for line in lines if (entry := _entry(line))]


def _entry(line: str) -> Entry | None:
    stripped = line.strip()
    if stripped.startswith("|"):
        cells = [cell.strip() for cell in stripped.strip("|").split("|")]
        stripped = f"- {cells[0]}: {' '.join(cells[1:])}" if cells and re.search(r"\w", cells[0]) else ""
    if not _BULLET.match(stripped):
        return None
    body = _BULLET.sub("", stripped)
    link = _LINK.match(body)
    if link:
        return Entry(link[1].strip(), link[2], link[3].strip())
    bracketed = _BRACKETED.match(_MARKS.sub("", body))
    if bracketed:
        return Entry(bracketed[1].strip(), "", bracketed[2].strip())
    bare = _BARE.match(_MARKS.sub("", body))
    if not bare:
        return None
    url = _URL.search(bare[2])
    return Entry(bare[1].strip(), url[1] if url else "", _URL.sub("", bare[2]).strip() if url else bare[2].strip())


_BORDER_ENTRY = re.compile(
    r"^\s*(?:and\s+)?(?P<name>[^\W\d_][^\d]*?)\s*[:(–-]?\s*(?P<length>\d[\d,.]*)\s*(?P<unit>[a-zA-Z]+)?"
    r"\.?\)?(?:\s*\(.*\))?\s*$"
)


def listed_lengths(value: str) -> Iterator[tuple[str, str]]:
    """Names with their lengths in a value such as `Chad 1,055 km; Mali 838 km, Niger (disputed) 12 km`."""
    # An `and` after a length is the list's; one after a word belongs to a name (`Tar and Belt 20 km`).
    for part in re.split(r";|,(?=\s*[^\W\d])|(?<=\dkm)\s+and\s+|(?<=\d\skm)\s+and\s+|(?<=[\d)])\s+and\s+", value):
        match = _BORDER_ENTRY.match(part)
        if match:
            yield re.sub(r"\s*\([^)]*\)", "", match["name"]).strip(), match["length"].replace(",", "")


def label_tokens(fact: Fact) -> list[str]:
    """Stems of all labels of a fact."""
    return tokens(" ".join(fact.path))
