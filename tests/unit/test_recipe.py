"""Recipes: read from TOML, done stage by stage, gone on with where they were."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.console import CommandError
from services.cli.recipes.command import environment
from services.cli.recipes.ledger import Ledger, Marker, hashed
from services.cli.recipes.processes import Interrupted, Processes, only_run, programme
from services.cli.recipes.recipe import Command, Places, Recipe, Stage, read_recipe, with_vars
from services.cli.recipes.runner import Runner, chosen
from services.cli.state import state_file
from wideseek.errors import InvalidRequest

TEXT = """
name = "small"
title = "A small recipe"
env = {ORCHESTRATOR_PORT = "9080"}

[[stages]]
name = "data"
outputs = ["{work}/data"]
commands = ["python -c 'print(1)'", {run = ["wideseek", "data"], attempts = 3}]

[[stages]]
name = "train"
inputs = ["{work}/data", "{recipe}/job.toml"]
outputs = ["{work}/adapter"]
up = "--model smollm2 --no-lora"
commands = [{run = "wideseek train --as train-{key}", up = []}]
"""


@dataclass
class Scripted(Processes):
    """Processes that are only written down; `wideseek up` and `down` leave and take the cluster's file."""

    home: Path = Path()
    makes: Mapping[str, Path] = field(default_factory=dict)
    """Command -> file that it writes."""
    codes: list[int] = field(default_factory=list)
    """Exit codes of the next commands; then 0."""
    lines: list[str] = field(default_factory=list)

    def run(self, words: Sequence[str], *, env: Mapping[str, str] | None = None, lasting: bool = False) -> int:
        line = " ".join(words)
        self.lines.append(line)
        if lasting:
            place = state_file(self.home)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch() if "up" in words else place.unlink()
            return 0
        if self.asked_to_end:
            raise Interrupted
        code = self.codes.pop(0) if self.codes else 0
        if code == 0 and line in self.makes:
            self.makes[line].write_text(f"{line}\n")
        return code


def stage(name: str, *commands: str, **more: object) -> Stage:
    values = {"name": name, "commands": list(commands), "outputs": [f"{{work}}/{name}"]}
    return Stage.model_validate(values | more)


def ledger_of(folder: Path, *stages: Stage) -> Ledger:
    return Ledger(Recipe(name="small", stages=stages), Places(recipe=folder, work=folder / "work"))


def runner_of(ledger: Ledger, **more: object) -> tuple[Runner, Scripted, io.StringIO]:
    makes = {one.run[0]: ledger.places.work / stage.name for stage in ledger.recipe.stages for one in stage.commands}
    processes = Scripted(env={}, lock=-1, home=ledger.places.home, makes=makes, **more)  # type: ignore[arg-type]
    said = io.StringIO()
    return Runner(ledger, processes, Console(file=said, width=200)), processes, said


# ---- the file -----------------------------------------------------------------------------


def test_a_recipe_is_read_with_commands_as_lines_or_tables(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TEXT)

    recipe = read_recipe(tmp_path / "recipe.toml")

    data, train = recipe.stages
    assert data.commands[0] == Command(run=("python", "-c", "print(1)"))
    assert (data.commands[1].run, data.commands[1].attempts, data.up) == (("wideseek", "data"), 3, None)
    assert (train.up, train.commands[0].up) == (("--model", "smollm2", "--no-lora"), ())


def test_holes_are_filled_and_braces_that_are_none_are_left(tmp_path: Path) -> None:
    places = Places(recipe=Path("/r"), work=Path("/a folder"))

    assert places.fill("{work}/x {home} {recipe} {key}", key="0123456789abcdef") == (
        "/a folder/x /a folder/home /r 0123456789ab"
    )
    assert places.fill('{"a": {}}') == '{"a": {}}'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "train"', 'name = "data"', "stages: 'data' stands there twice"),
        ("{work}/adapter", "{work}/data", "stages.train.outputs: {work}/data is left by data too"),
        ("{recipe}/job.toml", "{folder}/job.toml", "{folder} stands for nothing here; known: home, recipe, work"),
        ("{recipe}/job.toml", "{key}", "{key} stands for nothing here"),
        ("train-{key}", "train-{stage}", "{stage} stands for nothing here; known: home, recipe, work"),
        ("[[stages]]", "[vars]\nwork = ''\n[[stages]]", "vars.work: its name is taken"),
        (
            "[[stages]]",
            "[vars]\ntasks = '{else}'\n[[stages]]",
            "vars.tasks: its name is taken, or it holds other holes",
        ),
        ('outputs = ["{work}/adapter"]', "outputs = []", "stages.1.outputs: Tuple should have at least 1"),
        ("attempts = 3", "attempts = 0", "stages.0.commands.1.attempts: Input should be greater than or equal to 1"),
        ('name = "small"', 'name = "Small"', "name: String should match pattern"),
        ('title = "A small recipe"', "title = ", "not TOML"),
    ],
)
def test_a_broken_recipe_is_refused_by_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(TEXT.replace(old, new, 1))

    with pytest.raises(InvalidRequest) as refused:
        read_recipe(path)

    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


def test_what_is_set_outside_wins_but_for_home_and_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(name="x", env={"A_PORT": "1", "B_PORT": "{work}"}, stages=(stage("s", "c"),))
    monkeypatch.setenv("A_PORT", "2")
    monkeypatch.setenv("WIDESEEK_HOME", "/elsewhere")
    monkeypatch.setenv("WIDESEEK_URL", "http://elsewhere:8080")

    found = environment(recipe, Places(tmp_path, Path("/w")))

    assert (found["A_PORT"], found["B_PORT"], found["WIDESEEK_HOME"]) == ("2", "/w", "/w/home")
    assert "WIDESEEK_URL" not in found
    assert found["PATH"] == os.environ["PATH"]


# ---- which stages are done ----------------------------------------------------------------


def test_the_hash_of_a_folder_is_that_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "x").write_text("1")
    before = hashed(tmp_path / "a")
    (tmp_path / "a" / "deep" / "x").rename(tmp_path / "a" / "deep" / "y")

    assert hashed(tmp_path / "a") != before
    (tmp_path / "a" / "deep" / "y").rename(tmp_path / "a" / "deep" / "x")
    assert hashed(tmp_path / "a") == before


def test_a_stage_s_key_follows_its_words_and_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1")
    one, two = stage("s", "a", inputs=["{recipe}/in"]), stage("s", "b", inputs=["{recipe}/in"])
    ledger = ledger_of(tmp_path, one)
    before = ledger.key(one)

    assert ledger.key(two) != before
    (tmp_path / "in").write_text("2")
    assert ledger.key(one) != before
    (tmp_path / "in").write_text("1")
    assert ledger.key(one) == before


def test_variables_are_chosen_by_name_and_are_part_of_the_key_where_they_are_named(tmp_path: Path) -> None:
    recipe = Recipe(name="x", vars={"tasks": "{work}/t"}, stages=(stage("a", "run {tasks}"), stage("b", "run")))
    usual = Ledger(recipe, Places(tmp_path, tmp_path, with_vars(recipe, [])))
    other = Ledger(recipe, Places(tmp_path, tmp_path, with_vars(recipe, ["tasks=/other=x"])))

    assert usual.places.fill("{tasks}") == f"{tmp_path}/t"
    assert other.places.fill("{tasks}") == "/other=x"
    first, second = recipe.stages
    assert usual.key(first) != other.key(first)
    assert usual.key(second) == other.key(second)
    with pytest.raises(
        InvalidRequest, match="--set task=1: expected NAME=VALUE with a name of the recipe's vars: tasks"
    ):
        with_vars(recipe, ["task=1"])


def test_a_missing_input_names_the_stage_that_leaves_it(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, stage("data", "a"), stage("train", "b", inputs=["{work}/data", "{work}/else"]))

    with pytest.raises(CommandError, match=r"train: .*/data is missing; the stage data leaves it: do that first"):
        ledger.key(ledger.recipe.stages[1])
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "data").touch()
    with pytest.raises(CommandError, match="else is missing; no stage leaves it"):
        ledger.key(ledger.recipe.stages[1])
    assert ledger.state(ledger.recipe.stages[1]) == "to do"


def test_states_of_a_stage(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1")
    one = stage("s", "a", inputs=["{recipe}/in"])
    ledger = ledger_of(tmp_path, one)
    assert ledger.state(one) == "to do"
    ledger.write(one, Marker(key=ledger.key(one)))
    assert ledger.state(one) == "begun"
    ledger.write(one, Marker(key=ledger.key(one), done=True))
    assert ledger.state(one) == "begun"  # its output is gone
    (tmp_path / "work" / "s").touch()
    assert ledger.state(one) == "done"
    (tmp_path / "in").write_text("2")
    assert ledger.state(one) == "changed"
    (tmp_path / "work" / "stages" / "s.json").write_text("{torn")
    assert ledger.state(one) == "to do"


# ---- running ------------------------------------------------------------------------------


def test_stages_are_done_once_and_in_order(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, stage("data", "a"), stage("train", "b", inputs=["{work}/data"]))
    runner, processes, said = runner_of(ledger)

    runner.run(ledger.recipe.stages)
    runner.run(ledger.recipe.stages)

    assert processes.lines == ["a", "b"]
    assert [ledger.state(one) for one in ledger.recipe.stages] == ["done", "done"]
    assert "✓ train: done\n" in said.getvalue()
    marker = json.loads((tmp_path / "work" / "stages" / "data.json").read_text())
    assert (marker["done"], marker["commands_done"]) == (True, 1)


def test_a_stage_goes_on_behind_the_last_command_that_ended(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, stage("data", "a", "b", "c"))
    runner, processes, _ = runner_of(ledger, codes=[0, 7])

    with pytest.raises(CommandError, match="data: `b` ended with 7; the same command goes on from here"):
        runner.run(ledger.recipe.stages)
    runner.run(ledger.recipe.stages)

    assert processes.lines == ["a", "b", "b", "c"]


def test_a_command_may_have_several_attempts(tmp_path: Path) -> None:
    again = Stage.model_validate({**stage("data", "x").model_dump(), "commands": [{"run": "a", "attempts": 3}]})
    ledger = ledger_of(tmp_path, again)
    runner, processes, said = runner_of(ledger, codes=[3, 3, 0])

    runner.run([again])

    assert processes.lines == ["a", "a", "a"]
    assert "data: ended with 3; 2 more tries" in said.getvalue()


def test_a_stage_whose_inputs_changed_is_done_anew_and_what_was_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1")
    one = stage("data", "a", inputs=["{recipe}/in"])
    ledger = ledger_of(tmp_path, one)
    runner, processes, said = runner_of(ledger)
    runner.run([one])
    (tmp_path / "work" / "data").write_text("precious")
    (tmp_path / "in").write_text("2")

    runner.run([one])
    (tmp_path / "in").write_text("3")
    runner.run([one])

    assert processes.lines == ["a", "a", "a"]
    assert (tmp_path / "work" / "aside" / "data" / "1-data").read_text() == "precious"
    assert (tmp_path / "work" / "aside" / "data" / "2-data").read_text() == "a\n"
    assert "data: what was there is in" in said.getvalue()


def test_outputs_outside_the_work_folder_are_left_to_be_written_over(tmp_path: Path) -> None:
    one = stage("ship", "a", outputs=["{recipe}/models/x"])
    ledger = ledger_of(tmp_path, one)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "x").write_text("shipped")

    assert ledger.set_aside(one) == []
    assert (tmp_path / "models" / "x").read_text() == "shipped"


def test_a_command_that_leaves_nothing_is_found_out(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, stage("data", "a", outputs=["{work}/other"]))
    runner, processes, _ = runner_of(ledger)

    for _ in range(2):
        with pytest.raises(CommandError, match=r"data: all commands have ended, but .*/other is not there"):
            runner.run(ledger.recipe.stages)
    assert processes.lines == ["a", "a"]


def test_a_cluster_runs_while_a_command_needs_it_and_is_kept_for_the_next(tmp_path: Path) -> None:
    mixed = {"commands": ["b", {"run": "c", "up": "--model smollm2"}, {"run": "d", "up": "--model smollm2"}]}
    ledger = ledger_of(tmp_path, stage("x", "a"), stage("y", **mixed, up=["--model", "expert"]), stage("z", "e"))
    runner, processes, _ = runner_of(ledger)

    runner.run(ledger.recipe.stages)

    expert, vllm = "wideseek up --model expert --detach", "wideseek up --model smollm2 --detach"
    assert processes.lines == ["a", expert, "b", "wideseek down", vllm, "c", "d", "wideseek down", "e"]


def test_a_cluster_that_a_killed_run_left_is_ended_first(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, stage("x", "a"))
    state_file(ledger.places.home).parent.mkdir(parents=True)
    state_file(ledger.places.home).touch()
    runner, processes, _ = runner_of(ledger)

    runner.run(ledger.recipe.stages)

    assert processes.lines == ["wideseek down", "a"]


def test_an_interrupted_run_ends_its_cluster(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, stage("x", "a", up=[]))
    runner, processes, _ = runner_of(ledger)
    processes.asked_to_end = True

    with pytest.raises(Interrupted):
        runner.run(ledger.recipe.stages)

    assert processes.lines == ["wideseek up --detach", "wideseek down"]


def test_stages_are_chosen_by_name(tmp_path: Path) -> None:
    recipe = ledger_of(tmp_path, stage("a", "x"), stage("b", "x"), stage("c", "x")).recipe

    assert [one.name for one in chosen(recipe, first=None, only=None)] == ["a", "b", "c"]
    assert [one.name for one in chosen(recipe, first="b", only=None)] == ["b", "c"]
    assert [one.name for one in chosen(recipe, first=None, only="b")] == ["b"]
    with pytest.raises(CommandError, match="--from d: no such stage; there are a, b, c"):
        chosen(recipe, first="d", only=None)


# ---- processes ----------------------------------------------------------------------------


def test_commands_are_run_with_their_variables(tmp_path: Path) -> None:
    with only_run(tmp_path) as lock:
        processes = Processes({**os.environ, "A": "1"}, lock)
        script = "import os, sys; sys.exit(int(os.environ['A'] + os.environ['B']))"

        assert processes.run(["python", "-c", script], env={"B": "2"}) == 12
        with pytest.raises(CommandError, match="no-such-program: No such file"):
            processes.run(["no-such-program"])


def test_wideseek_is_this_very_command() -> None:
    assert programme(["wideseek", "up"])[1:] == ["-m", "services.cli.main", "up"]
    assert programme(["cp", "a"]) == ["cp", "a"]


def test_a_work_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    with only_run(tmp_path), pytest.raises(CommandError, match="another run"), only_run(tmp_path):
        pass
    with only_run(tmp_path):
        pass
