"""`wideseek data world`: practice in a world whose names, regions and numbers are its own, and the world's corpus."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import CommandError, notes
from services.cli.data_generate import limits_of, listed
from services.cli.synthetic import CORPUS, line, write_world

_NOTE = (
    "Synthetic, for training: most states of the training regions bear invented names, all stand under regions that do "
    "not exist, and numbers of the World Factbook were multiplied by seeded factors. Use only with the corpus "
    "beside it; never as facts."
)


def make_world_tasks(  # one parameter an option
    *,
    out: Annotated[Path, typer.Option(help="Folder for tasks, corpus and manifest.", show_default=False)],
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many tasks.", show_default=False)],
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 0,
    difficulty: Annotated[str, typer.Option(help="Any of these, separated by commas.")] = "named,neighbours,filter",
    rows: Annotated[str, typer.Option(help="Least and most rows of gold.")] = "4-12",
    columns: Annotated[str, typer.Option(help="Least and most columns, the key counted.")] = "3-5",
    searched: Annotated[int, typer.Option(min=1, help="Most states in the regions that a filter is about.")] = 24,
    spliced: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of invented words that begin as one real name and end as another."),
    ] = 0.0,
) -> None:
    """Make a world of practice with its tasks: what is learnt there is reading, for there is nothing to know by heart.

    Index the corpus under a name of its own and give that name to `wideseek data demonstrate --corpus`.
    """
    from services.kit.factbook import load_entries  # noqa: PLC0415
    from services.suites.regroup import make_world  # noqa: PLC0415

    limits, difficulties = limits_of(rows, columns, searched), listed(difficulty)
    world = make_world(load_entries(), seed, spliced=spliced)
    made = list(islice(world.tasks(limits=limits, difficulties=difficulties), count))
    if len(made) < count:
        raise CommandError(f"--count {count:,}: there are {len(made):,} such tasks in the world of seed {seed}")
    states = Counter(entry.region for entry in world.entries if entry.sovereign)
    about = {"note": _NOTE, "seed": seed, "spliced": spliced, "regions": dict(sorted(states.items()))}
    pages = write_world(out, [line(record) for record in made], world.entries, about)
    kinds = ", ".join(
        f"{name} {num:,}" for name, num in sorted(Counter(record["difficulty"] for record in made).items())
    )
    notes().print(
        f"{len(made):,} tasks ({kinds}), {pages:,} pages; in {out}. Synthetic: index {out / CORPUS} as a corpus of "
        "its own.",
        markup=False,
        soft_wrap=True,
    )
