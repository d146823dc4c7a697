"""`wideseek data drill`: small steps side by side, as rollouts that a job learns from."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import CommandError, notes
from services.cli.demonstrated import make_room, write_demonstrations

if TYPE_CHECKING:
    from wideseek.rollout import Rollout


def make_drills(
    *,
    out: Annotated[Path, typer.Option(help="Where the rollouts go, length-delimited records.", show_default=False)],
    count: Annotated[int, typer.Option(min=1, help="Drills.")] = 100,
    lines: Annotated[int, typer.Option(min=1, max=100, help="Comparisons of each.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed makes the same drills.")] = 1,
    home: Annotated[Path | None, typer.Option(envvar="WIDESEEK_HOME", help="Folder of all state.")] = None,
) -> None:
    """Write drills in weighing numbers against conditions, for `data.demonstrations` of a job on the bundled model.

    They are worded as the expert words what decides a row, about conditions of training tasks and values drawn at
    random; only the words that decide are learnt. Needs no cluster.
    """
    try:
        make_room(out)
        write_demonstrations(out, _rollouts(count, lines, seed, (home or Path(".wideseek")).absolute()))
    except OSError as error:
        raise CommandError(f"{error.filename or out}: {error.strerror or error}", exit_code=2) from error
    notes().print(f"{count:,} drills of {lines} comparisons in {out}", markup=False, soft_wrap=True)


def _rollouts(count: int, lines: int, seed: int, home: Path) -> "Iterator[Rollout]":
    from services.kit.rollouts.shown import shown_rollout  # noqa: PLC0415
    from services.model.bundled import tokenizer_file  # noqa: PLC0415
    from services.model.expert.tokens import Tokens  # noqa: PLC0415
    from services.suites.drills import comparisons  # noqa: PLC0415

    tokens = Tokens(tokenizer_file(home))
    for number, drill in enumerate(comparisons(count, seed=seed, lines=lines)):
        prompt = tokens.render([{"role": "user", "content": drill.task}], [], add_generation_prompt=True)
        pieces = [(tokens.encode(given), tokens.encode(learnt)) for given, learnt in drill.pieces]
        yield shown_rollout(f"drill-{seed}-{lines}-{number}", drill.task, drill.text, tokens.encode(prompt), pieces)
