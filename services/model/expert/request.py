"""What a query asks for: columns, rows and conditions, read from its wording."""

from dataclasses import dataclass, field

from services.model.expert.columns import KeyedColumns, read_columns
from services.model.expert.conditions import Condition
from services.model.expert.headings import Heading
from services.model.expert.list_pages import read_list_page
from services.model.expert.scope import Scope, read_scope
from services.model.expert.wording import spoken_sentences, without_sources


@dataclass(frozen=True)
class Request:
    """A query understood."""

    columns: KeyedColumns
    scope: Scope
    text: str = field(default="", compare=False)
    pages: tuple[str, ...] = ()
    """Addresses that the caller named."""
    goal: str = ""
    """What is done with the rows: empty for a table, else see `questions`."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What rows must fulfil."""
        return self.scope.conditions

    @property
    def asked(self) -> tuple[Heading, ...]:
        """The columns to be looked up: all but the key."""
        return self.columns.asked


def read_request(query: str, columns: tuple[Heading, ...] = (), pages: tuple[str, ...] = ()) -> Request:
    """Understand a query; `columns` and `pages` are those that the caller named beside it."""
    page, noun, spoken = read_list_page(query)
    keyed, rest = read_columns(spoken_sentences(spoken), spoken, columns)
    if page:
        named = next((place for place, heading in enumerate(keyed.headings) if heading.names_row), None)
        keyed = KeyedColumns(keyed.headings, named, first_is_key=True)
    scope = Scope(page=page, noun=noun.capitalize()) if page else read_scope(without_sources(rest))
    return Request(keyed.with_key(scope.noun), scope, query, pages)
