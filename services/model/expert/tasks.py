"""Subtasks as the lead words them and the subagent reads them."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from services.model.expert.scope import Scope, read_scope
from services.model.expert.wording import without_sources

_ADDRESS = r"[a-z][\w+.-]*:(?:\([^\s()]*\)|[^\s()])+"
_ROW = re.compile(
    rf"^Look up (?P<name>.+?)(?: \((?P<url>{_ADDRESS})\))?\. Report one table row with the columns: "
    r"(?P<columns>.+?)\.(?:\s+Report too what decides: (?P<decides>.+?)\.)?\s*$",
    re.DOTALL,
)
_BORDER = re.compile(
    r"^List everything that shares a land border with (?P<name>.+?), with the length of each border\.", re.DOTALL
)
_PAGE_LIST = re.compile(
    r"^List every (?P<what>.+?) on the page “(?P<title>.+?)”(?:, section “(?P<section>.+?)”)?, each with the address ",
    re.DOTALL,
)
_HOLDING = re.compile(r"^Find the (?P<what>.+?) whose (?P<fact>.+?) is “(?P<value>.+?)”\. Report", re.DOTALL)
_OPEN = re.compile(
    r"^Answer in a few words: (?P<question>.+?) Report a table with the columns: Answer; Page\.", re.DOTALL
)
_LISTING = re.compile(r"^List (?P<what>.+?) of (?P<name>.+?), each with the address of its page\.", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """Look one entity up."""

    name: str
    url: str = ""
    columns: tuple[str, ...] = ()
    decides: tuple[str, ...] = ()

    def prompt(self) -> str:
        """The subtask in words."""
        where = f" ({self.url})" if self.url else ""
        text = f"Look up {self.name}{where}. Report one table row with the columns: {'; '.join(self.columns)}."
        return text + (f" Report too what decides: {'; '.join(self.decides)}." if self.decides else "")


@dataclass(frozen=True)
class BorderList:
    """Find what borders one entity."""

    name: str

    def prompt(self) -> str:
        """The subtask in words."""
        what = f"everything that shares a land border with {self.name}, with the length of each border"
        return f"List {what}. Report a table with the columns: Name; Length."


@dataclass(frozen=True)
class Listing:
    """Find the members of a region or list."""

    name: str
    what: str = "countries"

    def prompt(self) -> str:
        """The subtask in words."""
        what = f"{self.what} of {self.name}, each with the address of its page"
        return f"List {what}. Report a table with the columns: Name; Page."


@dataclass(frozen=True)
class PageList:
    """Read the entries of a page that lists links."""

    title: str
    section: str = ""
    what: str = "entry"

    @property
    def name(self) -> str:
        """Title and section, as a search would name them."""
        return f"{self.title} {self.section}".strip()

    def prompt(self) -> str:
        """The subtask in words."""
        where = f"“{self.title}”" + (f", section “{self.section}”" if self.section else "")
        what = f"every {self.what} on the page {where}, each with the address of its page"
        return f"List {what}. Report a table with the columns: Name; Page."


@dataclass(frozen=True)
class Holding:
    """Find what a fact identifies."""

    fact: str
    value: str
    what: str = "country"

    @property
    def name(self) -> str:
        """Fact and value, as a search would name them."""
        return f"{self.fact} {self.value}"

    def prompt(self) -> str:
        """The subtask in words."""
        what = f"the {self.what} whose {self.fact} is “{self.value}”"
        return f"Find {what}. Report a table with the columns: Name; Page."


@dataclass(frozen=True)
class Open:
    """Answer a question as well as the pages found for it allow."""

    question: str

    @property
    def name(self) -> str:
        """The question."""
        return self.question

    def prompt(self) -> str:
        """The subtask in words."""
        return f"Answer in a few words: {self.question} Report a table with the columns: Answer; Page."


Task = Row | BorderList | Listing | PageList | Holding | Open


def read_tasks(prompt: str) -> list[Task]:
    """What a subtask asks for, in our wording or, as far as it can be understood, in another's."""
    text = " ".join(prompt.split())
    for pattern, read in _WORDINGS:
        match = pattern.match(text)
        if match:
            return [read(match)]
    return scope_tasks(read_scope(without_sources(re.split(r"(?<=[a-z])[.?!]\s", text)[0])))


def _row(match: "re.Match[str]") -> Row:
    decides = tuple(part.strip() for part in (match["decides"] or "").split(";") if part.strip())
    return Row(match["name"], match["url"] or "", tuple(part.strip() for part in match["columns"].split(";")), decides)


_WORDINGS: list[tuple["re.Pattern[str]", Callable[["re.Match[str]"], Task]]] = [
    (_ROW, _row),
    (_BORDER, lambda match: BorderList(match["name"])),
    (_PAGE_LIST, lambda match: PageList(match["title"], match["section"] or "", match["what"])),
    (_HOLDING, lambda match: Holding(match["fact"], match["value"], match["what"])),
    (_OPEN, lambda match: Open(match["question"])),
    (_LISTING, lambda match: Listing(match["name"], match["what"])),
]


def scope_tasks(scope: Scope) -> list[Task]:
    """What must be found first for a scope: its border lists, its lists, or its rows."""
    if scope.page:
        return [PageList(scope.page.title, scope.page.section, scope.noun.lower())]
    if scope.holder:
        return [Holding(scope.holder.fact, scope.holder.value, scope.noun.lower())]
    if scope.borders:
        borders: list[Task] = [
            BorderList(name) for name in dict.fromkeys(name for items in scope.borders.anchors for name in items)
        ]
        return [*borders, *(Listing(group) for group in scope.groups)]
    if scope.groups:
        return [Listing(group, f"{scope.statehood} countries".strip()) for group in scope.groups]
    return [Row(name) for name in dict.fromkeys(name for items in scope.readings for name in items)]
