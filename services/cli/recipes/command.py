"""What `wideseek reproduce` does with its options."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from services.cli.console import CommandError, duration, notes, results
from services.cli.recipes.ledger import Ledger
from services.cli.recipes.processes import INTERRUPTED, Interrupted, Processes, interruptible, only_run
from services.cli.recipes.recipe import Places, Recipe, read_recipe, with_vars
from services.cli.recipes.runner import Runner, chosen
from wideseek.errors import InvalidRequest

ELSEWHERE = frozenset(
    f"{service}_URL" for service in ("WIDESEEK", "ORCHESTRATOR", "RETRIEVAL", "MODEL", "TRAINER", "REDIS")
)
"""Addresses of other clusters, which commands of a recipe must not ask."""


@dataclass(frozen=True)
class Asked:
    """The options."""

    recipe: Path
    home: Path
    """Folder of all state; the recipe's own lies below it unless `work` says otherwise."""
    work: Path | None = None
    first: str | None = None
    only: str | None = None
    show: bool = False
    settings: Sequence[str] = ()
    """`NAME=VALUE` of the recipe's variables."""


def run(asked: Asked) -> int:
    """Do what is asked; the exit code. Raises CommandError."""
    try:
        recipe = read_recipe(asked.recipe)
        chosen_vars = with_vars(recipe, asked.settings)
    except InvalidRequest as error:
        raise CommandError(str(error), exit_code=2) from error
    work = (asked.work or asked.home / "reproduce" / recipe.name).absolute()
    ledger = Ledger(recipe, Places(asked.recipe.parent.absolute(), work, chosen_vars))
    stages = chosen(recipe, first=asked.first, only=asked.only)
    if asked.show:
        results().print(_table(ledger))
        return 0
    with only_run(work) as lock:
        processes = Processes(environment(recipe, ledger.places), lock)
        with interruptible(processes):
            try:
                Runner(ledger, processes, notes()).run(stages)
            except Interrupted:
                notes().print("interrupted; the same command goes on where this one stopped")
                return INTERRUPTED
    return 0


def environment(recipe: Recipe, places: Places) -> dict[str, str]:
    """Variables of every command: the recipe's below those that are set; its home and its cluster are its own."""
    given = {name: places.fill(value) for name, value in recipe.env.items()}
    outside = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return {**given, **outside, "WIDESEEK_HOME": str(places.home)}


def _table(ledger: Ledger) -> Table:
    table = Table("stage", "state", "commands", "took", "what", title=ledger.recipe.title or ledger.recipe.name)
    for stage in ledger.recipe.stages:
        marker = ledger.marker(stage)
        done, took = (marker.commands_done, duration(marker.seconds)) if marker else (0, "")
        table.add_row(stage.name, ledger.state(stage), f"{done} of {len(stage.commands)}", took, stage.title)
    return table
