"""What search and access have shown so far."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.model.expert.conversation import Turn
from services.model.expert.names import abbreviates, canonical, same, variants
from services.model.expert.pages import read_entries

_QUERY = re.compile(r"^Search query: (.*)$", re.MULTILINE)
_DOC = re.compile(r"^\[Doc \d+\] (?P<title>.*?) \((?P<url>[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)$", re.MULTILINE)
_ACCESS = re.compile(r"^Access URL: (\S+)$", re.MULTILINE)
_TITLE = re.compile(r"^Title: (.*)$", re.MULTILINE)
_NEED = re.compile(r"^Info to extract: .*$\n?", re.MULTILINE)
CUT_MARK = "[...]"
_FORMS = re.compile(
    r"\b(?:forms?|(?:also|formerly|otherwise) (?:listed as|known as|called|named)|alias(?:es)?|abbreviation|acronym|"
    r"(?:short|long|full|official|local|other|common|usual|alternative)\s+names?)\s*:?\s+([^.\n]+)",
    re.IGNORECASE,
)
"""Where a page states what else its subject is called."""


@dataclass(frozen=True)
class Hit:
    """One search result."""

    title: str
    url: str
    snippet: str


@dataclass
class PageView:
    """What has been shown of one page."""

    url: str
    title: str = ""
    texts: list[str] = field(default_factory=list)
    accesses: int = 0
    found: bool = False
    verdicts: set[str] = field(default_factory=set)
    """What the tool has said of comparisons: `not fewer than 10 million`."""

    @property
    def text(self) -> str:
        """All that was shown, in the order shown."""
        return f"\n{CUT_MARK}\n".join(self.texts)

    @property
    def cut(self) -> bool:
        """Whether parts were left out."""
        return any(CUT_MARK in text for text in self.texts)

    def states(self, name: str) -> bool:
        """Whether the page says it is about `name`: by title, or as a form of the name near its top."""
        if same(self.title, name) or abbreviates(name, self.title):
            return True
        stated = {canonical(form) for match in _FORMS.finditer(self.text) for form in re.split(r",|;| or ", match[1])}
        return bool(variants(name) & stated)


@dataclass
class Evidence:
    """Everything shown to the agent so far."""

    searches: dict[str, list[Hit]] = field(default_factory=dict)
    """Hits by query."""
    pages: dict[str, PageView] = field(default_factory=dict)
    """Pages by address, those that failed to open too."""

    @property
    def hits(self) -> list[Hit]:
        """All hits in the order they came, then the entries that lists among them link to."""
        found = [hit for hits in self.searches.values() for hit in hits]
        linked = [Hit(entry.name, entry.url, "") for hit in found for entry in read_entries(hit.snippet) if entry.url]
        return [*found, *linked]


def read_evidence(turns: Sequence[Turn]) -> Evidence:
    """What the results of all turns show."""
    evidence = Evidence()
    for result in (result for turn in turns for result in turn.results):
        for kind, text in _blocks(result):
            if kind == "search":
                _read_search(evidence, text)
            else:
                _read_access(evidence, text)
    for hit in evidence.hits:
        page = evidence.pages.get(hit.url)
        if page is not None and page.found and hit.snippet not in page.text:
            page.texts.append(hit.snippet)
    return evidence


def _blocks(result: str) -> list[tuple[str, str]]:
    marks = sorted(
        [(match.start(), "search") for match in _QUERY.finditer(result)]
        + [(match.start(), "access") for match in _ACCESS.finditer(result)]
    )
    ends = [*(start for start, _ in marks[1:]), len(result)]
    return [(kind, result[start:end]) for (start, kind), end in zip(marks, ends, strict=False)]


def _read_search(evidence: Evidence, text: str) -> None:
    query = _QUERY.match(text)
    hits = evidence.searches.setdefault(query[1].strip() if query else "", [])
    docs = list(_DOC.finditer(text))
    ends = [*(match.start() for match in docs[1:]), len(text)]
    for match, end in zip(docs, ends, strict=False):
        hits.append(Hit(match["title"], match["url"], text[match.end() : end].strip()))


def _read_access(evidence: Evidence, text: str) -> None:
    match = _ACCESS.match(text)
    if not match:
        return
    page = evidence.pages.setdefault(match[1], PageView(match[1]))
    page.accesses += 1
    title = _TITLE.search(text, match.end(), match.end() + 500)
    if title:
        page.title, page.found = title[1].strip(), True
        page.texts.append(_NEED.sub("", text[title.end() :], count=1).strip())
