"""A recipe, stage by stage: what is done is passed over, what was begun is gone on with, clusters come and go."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from services.cli.console import CommandError, duration
from services.cli.recipes.ledger import Ledger, Marker
from services.cli.recipes.processes import Interrupted, Processes
from services.cli.recipes.recipe import Command, Recipe, Stage
from services.cli.state import state_file


def chosen(recipe: Recipe, *, first: str | None, only: str | None) -> Sequence[Stage]:
    """The stages asked for. Raises CommandError for a name that is none."""
    names = [stage.name for stage in recipe.stages]
    for option, name in (("--from", first), ("--only", only)):
        if name is not None and name not in names:
            raise CommandError(f"{option} {name}: no such stage; there are {', '.join(names)}", exit_code=2)
    if only is not None:
        return [recipe.stages[names.index(only)]]
    return recipe.stages[names.index(first) if first else 0 :]


@dataclass
class Runner:
    """Does stages. At most one cluster runs at a time, in the recipe's own home."""

    ledger: Ledger
    processes: Processes
    console: Console
    _up: tuple[str, ...] | None = None
    """Options of the cluster that runs; None: none does."""

    def run(self, stages: Sequence[Stage]) -> None:
        """Do those of these stages that are not done, in order.

        Raises CommandError naming the command that failed, `Interrupted` when asked to end. No cluster is left.
        """
        try:
            for stage in stages:
                self._stage(stage)
        finally:
            self._cluster(None)

    def _stage(self, stage: Stage) -> None:
        key = self.ledger.key(stage)
        if self.ledger.state(stage) == "done":
            self.console.print(f"[green]✓[/] {stage.name}: done")
            return
        marker = self._begin(stage, key)
        for number in range(marker.commands_done, len(stage.commands)):
            began = time.monotonic()
            try:
                self._command(stage, number, key)
            finally:
                marker = marker.model_copy(update={"seconds": marker.seconds + time.monotonic() - began})
                self.ledger.write(stage, marker)
            marker = marker.model_copy(update={"commands_done": number + 1})
            self.ledger.write(stage, marker)
        if missing := self.ledger.missing_outputs(stage):
            # Their command has to be run again: nothing says which one it was.
            self.ledger.write(stage, marker.model_copy(update={"commands_done": 0}))
            raise CommandError(f"{stage.name}: all commands have ended, but {missing[0]} is not there")
        self.ledger.write(stage, marker.model_copy(update={"done": True}))
        self.console.print(f"[green]✓[/] {stage.name}: done after {duration(marker.seconds)}")

    def _begin(self, stage: Stage, key: str) -> Marker:
        """The marker to go on from; what was made from other inputs is moved aside before."""
        marker = self.ledger.marker(stage)
        if marker is None or marker.key != key:
            for path in self.ledger.set_aside(stage) if marker is not None else ():
                self.console.print(f"{stage.name}: what was there is in {path}", soft_wrap=True, markup=False)
            marker = Marker(key=key)
        elif marker.done:
            # Outputs were removed since.
            marker = Marker(key=key, seconds=marker.seconds)
        for text in stage.outputs:
            self.ledger.places.path(text).parent.mkdir(parents=True, exist_ok=True)
        self.ledger.write(stage, marker)
        return marker

    def _command(self, stage: Stage, number: int, key: str) -> None:
        command, places = stage.commands[number], self.ledger.places
        words = [places.fill(word, key=key) for word in command.run]
        env = {name: places.fill(value, key=key) for name, value in command.env.items()}
        self._cluster(command.up if command.up is not None else stage.up)
        shown = " ".join(words)
        self.console.print(f"{stage.name} {number + 1}/{len(stage.commands)}: {shown}", soft_wrap=True, markup=False)
        for attempt in range(command.attempts):
            code = self.processes.run(words, env=env)
            if code == 0:
                return
            self._note(stage, code, command, attempt)
        raise CommandError(f"{stage.name}: `{shown}` ended with {code}; the same command goes on from here")

    def _note(self, stage: Stage, code: int, command: Command, attempt: int) -> None:
        if attempt + 1 < command.attempts:
            left = command.attempts - attempt - 1
            self.console.print(f"{stage.name}: ended with {code}; {left} more tries", markup=False)

    def _cluster(self, wanted: tuple[str, ...] | None) -> None:
        """Have exactly this cluster running; one that a killed run has left is ended first."""
        home = self.ledger.places.home
        if wanted == self._up and (wanted is not None or not state_file(home).exists()):
            return
        if state_file(home).exists():
            self._up = None
            self._wideseek("down")
        if wanted is not None:
            self._wideseek("up", *(self.ledger.places.fill(word) for word in wanted), "--detach")
            self._up = wanted

    def _wideseek(self, *words: str) -> None:
        code = self.processes.run(["wideseek", *words], lasting=True)
        if words[0] == "up" and self.processes.asked_to_end:
            raise Interrupted
        if code:
            raise CommandError(f"`wideseek {' '.join(words)}` ended with {code}")
