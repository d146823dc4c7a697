"""A run's table in the format that was asked for."""

from enum import StrEnum

from fastapi import Response

from services.orchestrator.fold import RunFold
from services.orchestrator.refusals import NoTable, NoTableYet, RunHasFailed
from wideseek.contracts import RunStatus
from wideseek.tables import Table, render_csv, render_markdown


class Format(StrEnum):
    """How a table is written."""

    JSON = "json"
    MD = "md"
    CSV = "csv"


_MEDIA = {
    Format.JSON: "application/json",
    Format.MD: "text/markdown; charset=utf-8",
    Format.CSV: "text/csv; charset=utf-8; header=present",
}


def chosen(asked: Format | None, accept: str) -> Format:
    """The format asked for by name, else the first that `Accept` names, else JSON."""
    if asked is not None:
        return asked
    for part in accept.split(","):
        for name, media in _MEDIA.items():
            if part.split(";")[0].strip().lower() == media.split(";")[0]:
                return name
    return Format.JSON


def shown_table(fold: RunFold) -> Table:
    """The run's table, provisional while the run works; a run that answers a question has none.

    Raises `RunHasFailed`, `NoTableYet` or `NoTable`.
    """
    if fold.answers_question:
        raise NoTable("the run answers a question: read `answer` and `answer_text` of the run")
    if fold.status is RunStatus.FAILED:
        raise RunHasFailed(fold.error.message if fold.error else "the run failed")
    table = fold.table()
    if table is None and fold.status.terminal:
        raise NoTable(f"the run ended as {fold.status.value} without a table")
    if table is None:
        raise NoTableYet("no row has been reported yet")
    return table


def table_response(fold: RunFold, format_: Format) -> Response:
    """The table, with the run's status beside it: rows of a run that works may still change."""
    table = shown_table(fold)
    if format_ is Format.MD:
        body = render_markdown(table) + "\n"
    else:
        body = render_csv(table) if format_ is Format.CSV else table.model_dump_json()
    headers = {"Wideseek-Run-Status": fold.status.value, "Vary": "Accept"}
    return Response(body, media_type=_MEDIA[format_], headers=headers)
