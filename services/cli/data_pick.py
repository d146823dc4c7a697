"""`wideseek data pick`: so many tasks of each kind, as a smaller set for what is slow."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.console import CommandError, notes


def pick_tasks(
    *,
    tasks: Annotated[Path, typer.Option(help="File of tasks or questions, JSON lines.", show_default=False)],
    take: Annotated[
        list[str],
        typer.Option(help="KIND=N or KIND:REGION+REGION=N; KIND is a difficulty or a kind of question, `all` any."),
    ],
    out: Annotated[Path, typer.Option(help="Where they go.", show_default=False)],
    rows: Annotated[str, typer.Option(help="Least and most rows of gold; questions have none.")] = "0-1000",
    plain: Annotated[float, typer.Option(min=0, max=1, help="Share of the wide tasks that are asked plainly.")] = 0.0,
) -> None:
    """Take the first tasks of each kind, in the file's order; with regions, those about these regions alone.

    Fewer than asked for is an error that says how many there are; then nothing is written. Tasks that are asked plainly
    say nothing of values and form, half of them do not describe their columns either: people ask so, suites do not.
    """
    from services.suites.filters_read import write_lines  # noqa: PLC0415

    records = _read(tasks)
    fitting = [record for record in records if _fits(record, rows)]
    chosen: dict[str, Mapping[str, Any]] = {}
    for wish in take:
        found = wanted(fitting, wish)
        chosen.update({str(record["instance_id"]): record for record in found})
    taken = [record for record in records if record.get("instance_id") in chosen]
    lines = [json.dumps(_asked(record, plain), ensure_ascii=False) for record in taken]
    write_lines([(out, lines)])
    notes().print(f"{len(lines):,} of {len(records):,} tasks in {out}", markup=False, soft_wrap=True)


def wanted(records: Sequence[Mapping[str, Any]], wish: str) -> list[Mapping[str, Any]]:
    """The records that `KIND:REGION+REGION=N` asks for. Raises `CommandError` for another form, or too few."""
    what, _, number = wish.rpartition("=")
    kind, _, places = what.partition(":")
    if not kind or not number.isdigit() or int(number) < 1:
        raise CommandError(f"--take {wish}: give KIND=N or KIND:REGION+REGION=N, such as named=100", exit_code=2)
    regions = set(places.split("+")) if places else set()
    found = [
        record
        for record in records
        if kind in ("all", record.get("difficulty"), record.get("kind"))
        and (not regions or set(record.get("meta", {}).get("regions", ())) == regions)
    ]
    if len(found) < int(number):
        raise CommandError(f"--take {wish}: there are {len(found):,} such tasks", exit_code=2)
    return found[: int(number)]


def _fits(record: Mapping[str, Any], rows: str) -> bool:
    low, _, high = rows.partition("-")
    if not (low.isdigit() and (high or low).isdigit()):
        raise CommandError(f"--rows {rows}: give LEAST-MOST, such as 2-8", exit_code=2)
    return "question" in record or int(low) <= int(record.get("meta", {}).get("rows", 0)) <= int(high or low)


def _asked(record: Mapping[str, Any], plain: float) -> Mapping[str, Any]:
    """The record, its query put plainly where its id says so, whatever else is taken."""
    from services.suites.wide_wording import plainer  # noqa: PLC0415

    dice = random.Random(str(record["instance_id"]))
    if "query" not in record or dice.random() >= plain:
        return record
    return {**record, "query": plainer(record["query"], described=dice.random() < 0.5)}


def _read(path: Path) -> list[dict[str, Any]]:
    """The records of a file, fit to be asked. Raises `CommandError` naming the file, or `InvalidInstance` the line."""
    from services.kit.tasks import load_tasks  # noqa: PLC0415

    try:
        load_tasks(path)
        return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise CommandError(f"--tasks {path}: {error.strerror or error}", exit_code=2) from error
