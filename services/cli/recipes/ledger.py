"""Which stages of a recipe are done: a marker a stage, `<work>/stages/<name>.json`.

    key = sha256(the stage as the recipe has it, with the hash of every input and the variables it names)

A stage is done when its marker says so under the key it has now and its outputs are there. One that was begun under
the same key is gone on with behind the last command that ended; what another key has left is moved aside.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from services.cli.console import CommandError
from services.cli.recipes.recipe import Places, Recipe, Stage, holes
from services.kit.durable import sync_folder, written_beside
from wideseek.values import Frozen

State = Literal["done", "begun", "changed", "to do"]


class Marker(Frozen):
    """How far a stage is."""

    key: str
    commands_done: int = Field(default=0, ge=0)
    """Commands that have ended with 0, from the first on."""
    done: bool = False
    seconds: float = 0.0
    """What all its commands took, over all attempts."""


@dataclass(frozen=True)
class Ledger:
    """The markers of a recipe."""

    recipe: Recipe
    places: Places

    def marker(self, stage: Stage) -> Marker | None:
        """The stage's marker; None when it was never begun, or what stands there is none."""
        try:
            return Marker.model_validate_json(self._file(stage).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, stage: Stage, marker: Marker) -> None:
        """Replace the stage's marker, in one step that survives a power cut."""
        path = self._file(stage)
        with written_beside(path, marker.model_dump_json(indent=1).encode() + b"\n") as draft:
            draft.replace(path)
        sync_folder(path.parent)

    def key(self, stage: Stage) -> str:
        """Hash of what the stage is made from.

        Raises CommandError naming an input that is missing, and the stage that leaves it.
        """
        inputs = {text: self._hashed(stage, text) for text in stage.inputs}
        chosen = {name: self.places.vars[name] for name in holes(stage) & self.places.vars.keys()}
        made_from = {"stage": stage.model_dump(mode="json"), "inputs": inputs, "vars": chosen}
        text = json.dumps(made_from, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def state(self, stage: Stage) -> State:
        """How the stage stands, its inputs as they are now; a missing input makes it to do, or changed."""
        marker = self.marker(stage)
        if marker is None:
            return "to do"
        if any(not self.places.path(text).exists() for text in stage.inputs) or marker.key != self.key(stage):
            return "changed"
        if marker.done and not self.missing_outputs(stage):
            return "done"
        return "begun"

    def missing_outputs(self, stage: Stage) -> list[str]:
        """Outputs that are not there."""
        paths = [self.places.path(text) for text in stage.outputs]
        return [str(path) for path in paths if not path.exists()]

    def set_aside(self, stage: Stage) -> list[Path]:
        """Move what an earlier key has left below the work folder out of the way; where it is now.

        Outputs elsewhere (in the repository) are left to be written over.
        """
        moved: list[Path] = []
        for text in stage.outputs:
            path = self.places.path(text)
            if path.exists() and path.resolve().is_relative_to(self.places.work.resolve()):
                moved.append(self._aside(stage, path))
                path.replace(moved[-1])
        return moved

    def _aside(self, stage: Stage, path: Path) -> Path:
        folder = self.places.work / "aside" / stage.name
        folder.mkdir(parents=True, exist_ok=True)
        taken = sum(1 for _ in folder.iterdir())
        return folder / f"{taken + 1}-{path.name}"

    def _hashed(self, stage: Stage, text: str) -> str:
        path = self.places.path(text)
        if not path.exists():
            makers = [one.name for one in self.recipe.stages if text in one.outputs]
            made = f"the stage {makers[0]} leaves it: do that first" if makers else "no stage leaves it"
            raise CommandError(f"{stage.name}: {path} is missing; {made}", exit_code=2)
        return hashed(path)

    def _file(self, stage: Stage) -> Path:
        return self.places.work / "stages" / f"{stage.name}.json"


def hashed(path: Path) -> str:
    """Hash of a file, or of a folder's files with their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    lines = [f"{one.relative_to(path)} {hashed(one)}" for one in _files(path)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(one for one in folder.rglob("*") if one.is_file())
