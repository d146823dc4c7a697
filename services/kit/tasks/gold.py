"""Gold tables: found beside the tasks where a record holds none, read from CSV or markdown, and checked.

WideSearch publishes its gold as `widesearch_gold/<instance_id>.csv`. Robust mode compares text, so the CSV's cells
become a markdown table as they stand; official mode infers types, so the CSV itself is kept for it.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kit.tasks.lines import Place
from wideseek.instances import InvalidInstance, WideTask
from wideseek.scoring.answer_tables import read_answer
from wideseek.scoring.cells import key_form
from wideseek.scoring.folding import norm_str
from wideseek.tables import Table, render_markdown

FOLDERS = ("widesearch_gold", "gold")
"""Looked into beside the task file."""


@dataclass(frozen=True)
class KeyClash:
    """Two gold rows with one key."""

    key: str
    rows: tuple[int, int]
    """From 1, the header not counted."""


def with_gold(record: Mapping[str, Any], place: Place, folder: Path | None) -> Mapping[str, Any]:
    """The record with its gold: a file of that name in `folder`, else its own answer, else a file beside the tasks.

    Raises InvalidInstance naming where it was looked for.
    """
    name = str(record.get("instance_id", ""))
    given = _existing(name, [folder] if folder else [])
    if given is None and record.get("answer"):
        return record
    beside = [place.path.parent / one for one in FOLDERS]
    path = given or _existing(name, beside)
    if path is None:
        looked = ", ".join(str(one / f"{name}.csv") for one in ([folder] if folder else []) + beside)
        raise place.fault(f"answer: missing or empty, and there is no gold table at {looked}")
    return {**record, **_read(path)}


def _existing(name: str, folders: Sequence[Path]) -> Path | None:
    if not name or Path(name).name != name:
        return None  # not a name that a file of its own could have
    files = (folder / f"{name}{suffix}" for folder in folders for suffix in (".csv", ".md"))
    return next((file for file in files if file.is_file()), None)


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInstance(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidInstance(f"{path}: not UTF-8 at byte {error.start + 1}") from error
    if path.suffix == ".md":
        return {"answer": text, "answer_csv": ""}
    return {"answer": render_markdown(_from_csv(text, path)), "answer_csv": text}


def _from_csv(text: str, path: Path) -> Table:
    """The table, cells as they stand. Raises InvalidInstance naming the line that cannot be read."""
    reader = csv.reader(io.StringIO(text, newline=""))
    header: list[str] = []
    rows: list[tuple[str, ...]] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not header:
                header = cells
                continue
            if any(cells[len(header) :]):
                raise InvalidInstance(f"{path}:{reader.line_num}: {len(cells)} cells, the header has {len(header)}")
            rows.append((*cells[: len(header)], *[""] * (len(header) - len(cells))))
    except csv.Error as error:
        raise InvalidInstance(f"{path}:{reader.line_num}: not CSV: {error}") from error
    if not header:
        raise InvalidInstance(f"{path}: holds no table")
    return Table(columns=tuple(header), rows=tuple(rows))


def check_columns(task: WideTask) -> None:
    """Raise InvalidInstance when the gold is no table or lacks a required column, as robust mode reads it."""
    table = read_answer(task.answer)
    if table is None:
        raise InvalidInstance("answer: holds no table")
    there = {norm_str(name) for name in table.columns}
    for name in task.evaluation.required:
        if norm_str(name) not in there:
            raise InvalidInstance(f"answer: lacks the required column {name!r}")


def key_clashes(task: WideTask, *, folded: bool) -> list[KeyClash]:
    """Gold rows whose key an earlier row has: as it is written, or `folded` to what robust mode compares.

    The task's columns have been checked; `folded` needs its specification checked too.
    """
    table = read_answer(task.answer)
    names = [norm_str(name) for name in table.columns] if table else []
    places = [(name, names.index(norm_str(name))) for name in task.evaluation.unique_columns if norm_str(name) in names]
    first: dict[tuple[str, ...], int] = {}
    clashes: list[KeyClash] = []
    for number, row in enumerate(table.rows if table and places else (), 1):
        key = tuple(row[place] for _, place in places)
        form = tuple(_form(task, name, row[place]) for name, place in places) if folded else key
        if form in first:
            clashes.append(KeyClash(" / ".join(key), (first[form], number)))
        first.setdefault(form, number)
    return clashes


def _form(task: WideTask, name: str, cell: str) -> str:
    return key_form(cell, task.evaluation.eval_pipeline.get(name))
