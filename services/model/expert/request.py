"""What a query asks for: columns, rows and conditions, read from its wording."""

from dataclasses import dataclass, field

from services.model.expert.columns import KeyedColumns, read_columns
from services.model.expert.conditions import Condition
from services.model.expert.headings import Heading
from services.model.expert.scope import Scope, read_scope
from services.model.expert.wording import spoken_sentences, without_sources


@dataclass(frozen=True)
class Request:
    """A query understood."""

    columns: KeyedColumns
    scope: Scope
    text: str = field(default="", compare=False)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What rows must fulfil."""
        return self.scope.conditions

    @property
    def asked(self) -> tuple[Heading, ...]:
        """The columns to be looked up: all but the key."""
        return self.columns.asked


def read_request(query: str, columns: tuple[Heading, ...] = ()) -> Request:
    """Understand a query; `columns` are those that the caller named beside it."""
    keyed, rest = read_columns(spoken_sentences(query), query, columns)
    scope = read_scope(without_sources(rest))
    return Request(keyed.with_key(scope.noun), scope, query)
