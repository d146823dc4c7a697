"""`wideseek data filter`: keep the instances that are fit for use, and say why the others are not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from services.cli.console import CommandError, notes

if TYPE_CHECKING:
    from services.suites.filters import Filter, Rejected, Sifted


def filter_tasks(  # noqa: PLR0913  # one parameter an option
    *,
    tasks: Annotated[Path, typer.Option(help="Wide tasks and questions, JSON lines.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where the instances go that pass, line for line.", show_default=False)],
    rejected: Annotated[
        Path | None,
        typer.Option(help="Where the others go, each with its reason.", show_default="OUT with .rejected.jsonl"),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Held-out instances that nothing may give away; may be repeated.", show_default=False),
    ] = None,
    min_rows: Annotated[int, typer.Option(min=0, help="Gold rows a wide task has at least.")] = 4,
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Gold rows it has at most.", show_default="no limit")
    ] = None,
    min_columns: Annotated[int, typer.Option(min=1, help="Gold columns it has at least, the key counted.")] = 2,
    max_columns: Annotated[
        int | None, typer.Option(min=1, help="Gold columns it has at most.", show_default="no limit")
    ] = None,
    max_jaccard: Annotated[
        float, typer.Option(min=0, max=1, help="Similarity to a kept or held-out instance up to which one is kept.")
    ] = 0.7,
    split: Annotated[
        str | None,
        typer.Option(help="Keep this split only, by its rules.", show_default="each instance's own, else train"),
    ] = None,
) -> None:
    """Keep the instances that are sound, allowed in their split, new, and not held out.

    Nothing is dropped: every instance goes to one of the two files, and the reasons are counted on standard error.
    """
    from services.suites.filters import sift  # noqa: PLC0415
    from services.suites.filters_duplicates import DuplicateFilter, NearDuplicateFilter  # noqa: PLC0415
    from services.suites.filters_gold import GoldFilter, SizeFilter  # noqa: PLC0415
    from services.suites.filters_leaks import LeakFilter  # noqa: PLC0415
    from services.suites.filters_read import read_candidates, read_instances, write_lines  # noqa: PLC0415
    from services.suites.filters_reserved import ReservedFilter  # noqa: PLC0415

    rejected = rejected or out.with_name(f"{out.name.removesuffix('.jsonl')}.rejected.jsonl")
    _distinct({"--out": out, "--rejected": rejected}, [tasks, *(against or ())])
    held_out = [instance for path in against or () for instance in read_instances(path)]
    filters: Sequence[Filter] = (
        GoldFilter(),
        SizeFilter(min_rows, max_rows, min_columns, max_columns),
        ReservedFilter(split),
        DuplicateFilter(),
        NearDuplicateFilter(max_jaccard),
        LeakFilter(held_out, max_jaccard),
    )
    sifted = sift(read_candidates(tasks), filters)
    write_lines(
        [
            (out, [candidate.text for candidate in sifted.kept]),
            (rejected, [json.dumps(record(outcome), ensure_ascii=False) for outcome in sifted.rejected]),
        ]
    )
    _report(sifted, out, rejected)


def _distinct(written: dict[str, Path], read: Sequence[Path]) -> None:
    """Raises CommandError when a file to be written is one that is read, or is written twice."""
    taken = {path.resolve() for path in read}
    for option, path in written.items():
        if path.resolve() in taken:
            raise CommandError(f"{option} {path}: also an input or another output; nothing was written", exit_code=2)
        taken.add(path.resolve())


def record(outcome: "Rejected") -> dict[str, Any]:
    """A rejected instance as it is written: why, and the instance unchanged (its text where it is no JSON)."""
    candidate = outcome.candidate
    content = {"instance": candidate.record} if candidate.record is not None else {"text": candidate.text}
    return {
        "instance_id": candidate.instance_id,
        "line": candidate.line,
        "rejected": {"stage": outcome.stage, "code": outcome.reason.code, "why": outcome.reason.why},
        **content,
    }


def _report(sifted: "Sifted", out: Path, rejected: Path) -> None:
    table = Table("stage", "seen", "rejected", "passed", "reasons")
    for column in table.columns[1:4]:
        column.justify = "right"
    for stage in sifted.stages:
        reasons = ", ".join(f"{code} {count:,}" for code, count in stage.rejected.items())
        table.add_row(stage.name, f"{stage.seen:,}", f"{stage.seen - stage.passed:,}", f"{stage.passed:,}", reasons)
    console = notes()
    console.print(table)
    console.print(
        f"{len(sifted.kept):,} kept in {out}, {len(sifted.rejected):,} rejected in {rejected}",
        markup=False,
        soft_wrap=True,
    )
