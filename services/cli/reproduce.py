"""`wideseek reproduce`: a recipe from its first unfinished stage on.

Exit codes: 0 all stages asked for are done; 1 a command failed, or another run is at work; 2 the recipe or an option is
wrong, or an input is missing; 130 interrupted. After 1 and 130, the same command goes on.
"""

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.", show_default=False)],
    *,
    first: Annotated[
        str | None, typer.Option("--from", help="Begin with this stage; those before are left.", show_default=False)
    ] = None,
    only: Annotated[str | None, typer.Option("--only", help="Do this stage alone.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="`NAME=VALUE` of the recipe's variables; may be repeated.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Say how the stages stand, do nothing.")] = False,
    work: Annotated[
        Path | None,
        typer.Option(help="Folder of all files.", show_default="reproduce/NAME in the folder of all state"),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", envvar="WIDESEEK_HOME", help="Folder of all state.", show_default="./.wideseek"),
    ] = None,
) -> None:
    """Make what a recipe makes, stage by stage; killed or interrupted, the same command goes on where it was.

    Clusters are started and ended as the stages need them, apart from any other. Exit codes: 0 done, 1 a command
    failed, 2 refused, 130 interrupted.
    """
    from services.cli.recipes.command import Asked, run  # noqa: PLC0415

    folder = (home or Path(".wideseek")).absolute()
    raise typer.Exit(run(Asked(recipe, folder, work, first, only, show=show, settings=settings or ())))
