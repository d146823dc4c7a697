"""Questions over prose and tables, answered by a small rule without any weights.

1. Search the question; open the two best hits. On a page with a table, follow the links of the row that has the most
   words in common with the question, at most three.
2. The question's first word says what an answer looks like: a number (`how many`), a year or a date (`when`), a name
   (`who`, `where`, and all else).
3. Sentences come before rows of tables, those with the most of the question's words first, words of few sentences
   counting more. The answer is the first value of that kind in them which the question does not say itself.

It answers about one in ten of the questions that people write over tables and linked pages; it is there so that such
suites run end to end.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

from services.model.expert.evidence import Evidence, PageView
from services.model.expert.pages import LINK
from services.model.expert.prose import NAME, sentences
from services.model.expert.research import Want
from services.model.expert.tasks import Open
from services.model.expert.values import text_date
from wideseek.quantities import quantities
from wideseek.tables import Table, render_markdown
from wideseek.words import fold, stem, tokens

_OPENED, _FOLLOWED = 2, 3
_YEAR = re.compile(r"\b(?:1\d{3}|20\d{2})\b")
_KINDS = [
    ("year", re.compile(r"\b(?:what|which) year\b")),
    ("date", re.compile(r"^when\b|\bwhat date\b|\bon which day\b")),
    ("number", re.compile(r"\bhow (?:many|much|old|long|high|tall|far|large|big)\b|\bpopulation\b|\bnumber of\b")),
]


class OpenResearch:
    """A question's state, told from what was shown."""

    def __init__(self, task: Open, evidence: Evidence) -> None:
        self.question = task.question
        self.evidence = evidence
        self.words = set(tokens(task.question))

    def next_want(self) -> Want | None:
        """Search, open the best hits, follow the best row's links; None when all that was done."""
        if self.question not in self.evidence.searches:
            return Want("search", self.question)
        hits = self.evidence.searches[self.question][:_OPENED]
        for url in [*(hit.url for hit in hits), *self._links([hit.url for hit in hits])]:
            if url not in self.evidence.pages:
                return Want("access", url, self.question)
        return None

    def _links(self, urls: Sequence[str]) -> list[str]:
        """The links of the table row that has the most of the question's words."""
        pages = [page for url in urls if (page := self.evidence.pages.get(url)) and page.found]
        rows = [line for page in pages for line in _rows(page.text)]
        rarity = Rarity(rows)
        best = max(rows, key=lambda row: rarity.worth(self.words, row), default="")
        return [match[2] for match in LINK.finditer(best)][:_FOLLOWED]

    def report(self) -> list[str]:
        """The answer with its page, or that there is none."""
        answer, page = self.answer()
        if not answer:
            return ["No page answers this."]
        table = Table(columns=("Answer", "Page"), rows=((answer, page),))
        return [f"The likeliest, from {page}:", render_markdown(table)]

    def answer(self) -> tuple[str, str]:
        """The likeliest answer and the address of its page; both empty when none was found."""
        pages = [page for page in self.evidence.pages.values() if page.found]
        told = [(part, page) for page in pages if not _rows(page.text) for part in _sentences(page.text)]
        listed = [(_plain(row), page) for page in pages for row in _rows(page.text)]
        rarity = Rarity([part for part, _ in [*told, *listed]])
        for parts in (told, listed):
            ranked = sorted(parts, key=lambda item: -rarity.worth(self.words, f"{item[1].title} {item[0]}"))
            for part, page in ranked:
                value = self._value(part, page)
                if value:
                    return value, page.url
        return "", ""

    def _value(self, part: str, page: PageView) -> str:
        kind = next((kind for kind, pattern in _KINDS if pattern.search(fold(self.question))), "name")
        if kind == "year":
            return next((year for year in _YEAR.findall(part) if year not in self.question), "")
        if kind == "date":
            found = text_date(part)
            return found if found not in self.question else ""
        if kind == "number":
            plain = [one for one in quantities(part) if not one.year and one.digits not in self.question]
            return part[plain[0].start : plain[0].end].strip() if plain else ""
        said = {stem(word) for word in re.findall(r"\w+", fold(f"{self.question} {page.title}"))}
        names = [re.sub(r"['’]s$", "", match[0]) for match in re.finditer(NAME, part) if match.start() > 0]
        return next((name for name in names if not {stem(word) for word in re.findall(r"\w+", fold(name))} & said), "")


class Rarity:
    """How few of some texts have a word."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = Counter(token for text in texts for token in set(tokens(_plain(text))))
        self._total = max(1, len(texts))

    def worth(self, words: set[str], text: str) -> float:
        """How many of `words` a text says; words of few texts count more."""
        shared = words & set(tokens(_plain(text)))
        return sum(1 + math.log(self._total / max(1, self._counts[token])) for token in shared)


def _plain(text: str) -> str:
    """A text with links reduced to what they show."""
    return LINK.sub(lambda match: match[1], text)


def _rows(text: str) -> list[str]:
    """The rows of a page's tables, headers aside."""
    lines = text.splitlines()
    rules = {place for place, line in enumerate(lines) if re.match(r"\|\s*:?-{3}", line)}
    heads = rules | {place - 1 for place in rules}
    return [line for place, line in enumerate(lines) if line.startswith("|") and place not in heads]


def _sentences(text: str) -> list[str]:
    lines = [line for line in _plain(text).splitlines() if line.strip() and not line.startswith(("#", "|"))]
    return [part for line in lines for part in sentences(line)]
