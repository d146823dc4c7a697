"""`wideseek data generate`: tasks and questions over the Factbook, made from a seed."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.console import CommandError, notes

if TYPE_CHECKING:
    from services.suites.drafts import Limits

_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
_WIDE_ONLY = "Of wide tasks: "


def generate_tasks(  # one parameter an option
    *,
    suite: Annotated[str, typer.Option(help="factbook-wide or factbook-qa.", show_default=False)],
    split: Annotated[str, typer.Option(help="train or dev; all else is reserved for tests.", show_default=False)],
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where they go, JSON lines.", show_default=False)],
    seed: Annotated[int, typer.Option(help="The same seed makes the same tasks.")] = 0,
    difficulty: Annotated[
        str, typer.Option(help=f"{_WIDE_ONLY}any of these, separated by commas.")
    ] = "named,neighbours,filter",
    rows: Annotated[str, typer.Option(help=f"{_WIDE_ONLY}least and most rows of gold.")] = "4-12",
    columns: Annotated[str, typer.Option(help=f"{_WIDE_ONLY}least and most columns, the key counted.")] = "3-5",
) -> None:
    """Make tasks of a split, by its rules, with gold from the profiles; the same arguments make the same file.

    More than there are is an error, which says how many there are; then nothing is written.
    """
    from services.suites.filters_read import write_lines  # noqa: PLC0415
    from services.suites.generate import composition, generate  # noqa: PLC0415

    limits, difficulties = limits_of(rows, columns), listed(difficulty)
    shown = (TextColumn("Making tasks"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = notes()
    with Progress(*shown, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=count)
        made = generate(
            suite,
            split,
            count,
            seed,
            difficulties=difficulties,
            limits=limits,
            progress=lambda number: bar.update(task, completed=number),
        )
    write_lines([(out, [json.dumps(record, ensure_ascii=False) for record in made])])
    kinds = ", ".join(f"{name} {number:,}" for name, number in sorted(composition(made).items()))
    console.print(f"{len(made):,} of {suite} for {split} in {out}: {kinds}", markup=False, soft_wrap=True)


def limits_of(rows: str, columns: str, searched: int | None = None) -> "Limits":
    """How large tasks may be, from the options that say so. Raises CommandError for one that is no range."""
    from services.suites.drafts import Limits  # noqa: PLC0415

    limits = Limits(*_range("--rows", rows, least=2), *_range("--columns", columns, least=2))
    return limits if searched is None else replace(limits, max_searched=searched)


def listed(difficulty: str) -> list[str]:
    """The difficulties that an option names. Raises CommandError for none."""
    found = [name.strip() for name in difficulty.split(",") if name.strip()]
    if not found:
        raise CommandError("--difficulty: names nothing", exit_code=2)
    return found


def _range(option: str, text: str, *, least: int) -> tuple[int, int]:
    """Both ends of `4-12`, or of `4`. Raises CommandError for anything else."""
    match = _RANGE.fullmatch(text.strip())
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not least <= low <= high:
        raise CommandError(f"{option} {text}: give LEAST-MOST, from {least} up, such as 4-12", exit_code=2)
    return low, high
