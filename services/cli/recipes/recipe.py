"""A recipe, one TOML file: its stages, what each takes, does and leaves.

Words of commands and paths may hold `{work}` (the folder of all files), `{home}` (state of the clusters and jobs),
`{recipe}` (the recipe's folder), any name of its `vars` and, in commands, `{key}` (hash of what the stage is made
from, 12 digits).
Relative paths are seen from the current folder, which commands run in. A command is a line, cut into words as a shell
does, before holes are filled; or a table, where it needs more than that. No shell runs it.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from services.kit.toml import read_toml
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

_HOLE = re.compile(r"\{(\w*)\}")
_KNOWN = {"work", "home", "recipe"}


def _words(value: Any) -> Any:
    """A line as words; words as they are."""
    return tuple(shlex.split(value)) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class Command(Frozen):
    """One command."""

    run: Words = Field(min_length=1)
    """Words; `wideseek` is this command itself, `python` its interpreter."""
    up: Words | None = None
    """Options of `wideseek up` for the cluster that it needs, in place of the stage's."""
    attempts: int = Field(default=1, ge=1, le=20)
    """Times it is run in all until it ends with 0."""
    env: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _line(cls, value: Any) -> Any:
        return {"run": value} if isinstance(value, str | list | tuple) else value


class Stage(Frozen):
    """Commands that leave files."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")
    title: str = ""
    inputs: tuple[str, ...] = ()
    """Files and folders it is made from: when one changes, the stage is done anew."""
    outputs: tuple[str, ...] = Field(min_length=1)
    """Files and folders it leaves."""
    up: Words | None = None
    """Options of `wideseek up` for the cluster that its commands need; unset: none runs."""
    commands: tuple[Command, ...] = Field(min_length=1)


class Recipe(Frozen):
    """A recipe."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")
    title: str = ""
    env: Mapping[str, str] = Field(default_factory=dict)
    """Variables of every command; those that are set outside win."""
    vars: Mapping[str, str] = Field(default_factory=dict)
    """What a caller may choose (`--set`), with what it is otherwise."""
    stages: tuple[Stage, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Places:
    """What the holes of a recipe stand for."""

    recipe: Path
    """The recipe's folder."""
    work: Path
    vars: Mapping[str, str] = field(default_factory=dict)
    """The recipe's, as chosen."""

    @property
    def home(self) -> Path:
        """State of the clusters and jobs of the recipe, apart from everybody else's."""
        return self.work / "home"

    def fill(self, text: str, *, key: str = "") -> str:
        """The text with its holes filled."""
        held = {"work": str(self.work), "home": str(self.home), "recipe": str(self.recipe), "key": key[:12]}

        def filled(hole: re.Match[str]) -> str:
            name = hole[1]
            # A variable's own value may name the folders.
            return self.fill(self.vars[name]) if name in self.vars else held.get(name, hole[0])

        return _HOLE.sub(filled, text)

    def path(self, text: str) -> Path:
        """A path with its holes filled."""
        return Path(self.fill(text))


def holes(stage: Stage) -> set[str]:
    """Names of all holes in a stage."""
    words = [word for command in stage.commands for word in (*command.run, *(command.up or ()), *command.env.values())]
    return {hole for text in (*stage.inputs, *stage.outputs, *(stage.up or ()), *words) for hole in _HOLE.findall(text)}


def with_vars(recipe: Recipe, settings: Sequence[str]) -> dict[str, str]:
    """The recipe's variables with `NAME=VALUE` on top. Raises `InvalidRequest` for a name that is none of them."""
    chosen = dict(recipe.vars)
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator or name not in chosen:
            known = ", ".join(sorted(chosen)) or "none"
            raise InvalidRequest(f"--set {setting}: expected NAME=VALUE with a name of the recipe's vars: {known}")
        chosen[name] = value
    return chosen


def read_recipe(path: Path) -> Recipe:
    """The recipe of a file. Raises `InvalidRequest` naming file and key."""
    recipe = read_toml(path, Recipe)
    for complaint in _complaints(recipe):
        raise InvalidRequest(f"{path}: {complaint}")
    return recipe


def _complaints(recipe: Recipe) -> Iterator[str]:
    names, known = [stage.name for stage in recipe.stages], _KNOWN | recipe.vars.keys()
    for name, value in recipe.vars.items():
        if name in {*_KNOWN, "key"} or not set(_HOLE.findall(value)) <= _KNOWN:
            yield f"vars.{name}: its name is taken, or it holds other holes than {', '.join(sorted(_KNOWN))}"
    yield from (f"stages: {name!r} stands there twice" for name in sorted(set(names)) if names.count(name) > 1)
    for stage in recipe.stages:
        paths = {hole for text in (*stage.inputs, *stage.outputs) for hole in _HOLE.findall(text)}
        for hole in sorted(paths - known) or sorted(holes(stage) - known - {"key"}):
            yield f"stages.{stage.name}: {{{hole}}} stands for nothing here; known: {', '.join(sorted(known))}"
    made: dict[str, str] = {}
    for stage in recipe.stages:
        for text in stage.outputs:
            if text in made:
                yield f"stages.{stage.name}.outputs: {text} is left by {made[text]} too"
            made[text] = stage.name
