"""Rows as subagents report them: the provisional table that grows while a run works.

A report's table counts when every one of its headings was asked for: it stands among the request's
columns or, when the caller named none, literally in the query. A discovery table ("name, page") does not.
A run that answers a question has no rows.
"""

from collections.abc import Sequence

from wideseek.compact import labelled_table
from wideseek.contracts import Output, RunRequest
from wideseek.events import Event, RowUpserted, TableSchema
from wideseek.tables import Table, aligned, fold, parse_markdown_tables


class ProvisionalRows:
    """Reads reports into `table.schema` and `row.upserted` events."""

    def __init__(self, request: RunRequest) -> None:
        self._query = fold(request.query)
        self._wanted = request.output is Output.TABLE
        self._asked = tuple(column.name for column in request.columns) if request.columns else None
        self._key = (request.primary_key or ())[:1]
        self._columns: tuple[str, ...] | None = None
        self._rows: dict[str, tuple[str, ...]] = {}
        self._read: set[str] = set()

    def recall(self, event: Event) -> None:
        """Take over what the log already holds."""
        if isinstance(event, TableSchema):
            self._columns = event.columns
        elif isinstance(event, RowUpserted):
            self._rows[fold(event.key)] = event.cells
            if event.subtask_id:
                self._read.add(event.subtask_id)

    def read(self, subtask_id: str, report: str) -> list[Event]:
        """The events a report gives rise to; none the second time."""
        if not self._wanted or subtask_id in self._read:
            return []
        self._read.add(subtask_id)
        events: list[Event] = []
        stated = labelled_table(report)
        for table in parse_markdown_tables(report) or ([stated] if stated else []):
            if self._counts(table):
                events += self._upserts(subtask_id, table)
        return events

    @property
    def table(self) -> Table | None:
        """The rows so far."""
        return Table(columns=self._columns, rows=tuple(self._rows.values())) if self._columns else None

    def _counts(self, table: Table) -> bool:
        headings = [fold(name) for name in table.columns]
        if self._asked is not None:
            asked = {fold(name) for name in self._asked}
            return bool(asked & set(headings)) and fold(self._key_of(self._asked)) in headings
        return len(headings) > 1 and all(heading and heading in self._query for heading in headings)

    def _upserts(self, subtask_id: str, table: Table) -> list[Event]:
        events: list[Event] = []
        if self._columns is None:
            self._columns = self._asked or table.columns
            events.append(TableSchema(columns=self._columns))
        fitted = aligned(table, self._columns)
        place = self._columns.index(self._key_of(self._columns))
        for row in fitted.rows:
            key = fold(row[place])
            if not key:
                continue
            merged = tuple(new or old for new, old in zip(row, self._rows.get(key, row), strict=True))
            if self._rows.get(key) != merged:
                self._rows[key] = merged
                events.append(RowUpserted(key=row[place], cells=merged, subtask_id=subtask_id))
        return events

    def _key_of(self, columns: Sequence[str]) -> str:
        key = self._key[0] if self._key else columns[0]
        return key if key in columns else columns[0]
