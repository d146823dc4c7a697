"""Subtasks as the lead words them and the subagent reads them."""

import re
from dataclasses import dataclass

from services.model.expert.scope import Scope, read_scope
from services.model.expert.wording import without_sources

_ROW = re.compile(
    r"^Look up (?P<name>.+?)(?: \((?P<url>[a-z][\w+.-]*:[^\s()]+)\))?\. Report one table row with the columns: "
    r"(?P<columns>.+?)\.(?:\s+Report too what decides: (?P<decides>.+?)\.)?\s*$",
    re.DOTALL,
)
_BORDER = re.compile(
    r"^List everything that shares a land border with (?P<name>.+?), with the length of each border\.", re.DOTALL
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


Task = Row | BorderList | Listing


def read_tasks(prompt: str) -> list[Task]:
    """What a subtask asks for, in our wording or, as far as it can be understood, in another's."""
    text = " ".join(prompt.split())
    row = _ROW.match(text)
    if row:
        decides = tuple(part.strip() for part in (row["decides"] or "").split(";") if part.strip())
        columns = tuple(part.strip() for part in row["columns"].split(";"))
        return [Row(row["name"], row["url"] or "", columns, decides)]
    border = _BORDER.match(text)
    if border:
        return [BorderList(border["name"])]
    listing = _LISTING.match(text)
    if listing:
        return [Listing(listing["name"], listing["what"])]
    return scope_tasks(read_scope(without_sources(re.split(r"(?<=[a-z])[.?!]\s", text)[0])))


def scope_tasks(scope: Scope) -> list[Task]:
    """What must be found first for a scope: its border lists, its lists, or its rows."""
    if scope.borders:
        borders: list[Task] = [
            BorderList(name) for name in dict.fromkeys(name for items in scope.borders.anchors for name in items)
        ]
        return [*borders, *(Listing(group) for group in scope.groups)]
    if scope.groups:
        return [Listing(group, f"{scope.statehood} countries".strip()) for group in scope.groups]
    return [Row(name) for name in dict.fromkeys(name for items in scope.readings for name in items)]
