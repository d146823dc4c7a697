"""`wideseek reproduce` as people use it: run, interrupted, killed, gone on with, refused in one line."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import wait_until

LASTING = """
import sys, time, pathlib
work = pathlib.Path(sys.argv[1])
with (work / "log").open("a") as log:
    log.write("begun\\n")
while not (work / "go").exists():
    time.sleep(0.02)
(work / "slow").write_text("done")
"""
RECIPE = """
name = "small"

[[stages]]
name = "quick"
title = "A file"
inputs = ["{recipe}/in"]
outputs = ["{work}/quick"]
commands = ["cp {recipe}/in {work}/quick", "cp {work}/quick {work}/log"]

[[stages]]
name = "slow"
inputs = ["{work}/quick"]
outputs = ["{work}/slow"]
commands = ["python {recipe}/lasting.py {work}"]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "lasting.py").write_text(LASTING)
    (tmp_path / "in").write_text("one\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "recipe.toml"


def command(recipe: Path, *words: str) -> "subprocess.Popen[str]":
    home = recipe.parent / "state"
    arguments = [sys.executable, "-m", "services.cli.main", "reproduce", str(recipe), *words]
    env = {**os.environ, "WIDESEEK_HOME": str(home), "COLUMNS": "200"}
    return subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(recipe: Path, *words: str) -> tuple[int, str, str]:
    with command(recipe, *words) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def work_of(recipe: Path) -> Path:
    return recipe.parent / "state" / "reproduce" / "small"


def begun(recipe: Path) -> int:
    log = work_of(recipe) / "log"
    return log.read_text().count("begun") if log.exists() else 0


def test_an_interrupted_run_goes_on_at_the_stage_it_was_at(recipe: Path) -> None:
    with command(recipe) as process:
        wait_until(lambda: begun(recipe) == 1, seconds=60, what="the slow command")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    shown = ended(recipe, "--show")
    (work_of(recipe) / "go").touch()
    again = ended(recipe)
    done = ended(recipe)

    assert process.returncode == 130, err
    assert "interrupted; the same command goes on where this one stopped" in err
    assert "begun" in shown[1]
    assert "0 of 1" in shown[1]
    assert again[0] == done[0] == 0
    assert "✓ quick: done\n" in again[2]
    assert "slow 1/1: python " in again[2]
    assert begun(recipe) == 2
    assert (work_of(recipe) / "slow").read_text() == "done"


def test_a_killed_run_is_not_taken_up_while_its_command_lives(recipe: Path) -> None:
    with command(recipe) as process:
        wait_until(lambda: begun(recipe) == 1, seconds=60, what="the slow command")
        process.kill()
        # Its pipes are held by the command that it leaves behind.
        process.wait(timeout=60)
        second = ended(recipe)
        (work_of(recipe) / "go").touch()
        wait_until((work_of(recipe) / "slow").exists, seconds=60, what="the orphan's end")
    third = ended(recipe)

    assert second[0] == 1
    assert "another run, or a command that one has left behind, is at work" in second[2]
    assert third[0] == 0


def test_changed_inputs_do_the_stages_behind_them_anew(recipe: Path) -> None:
    work_of(recipe).mkdir(parents=True)
    (work_of(recipe) / "go").touch()
    first = ended(recipe)
    (recipe.parent / "in").write_text("two\n")
    shown = ended(recipe, "--show")
    second = ended(recipe)

    assert first[0] == second[0] == 0
    assert "changed" in shown[1]
    assert (work_of(recipe) / "quick").read_text() == "two\n"
    assert (work_of(recipe) / "aside" / "quick" / "1-quick").read_text() == "one\n"
    assert (work_of(recipe) / "aside" / "slow" / "1-slow").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "slow"], "slow: .*/quick is missing; the stage quick leaves it: do that first"),
        (["--from", "fast"], "--from fast: no such stage; there are quick, slow"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(recipe: Path, words: list[str], said: str) -> None:
    code, _, err = ended(recipe, *words)

    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert said.rsplit(".*", maxsplit=1)[-1] in err


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = ended(tmp_path / "none.toml")

    assert code == 2
    assert "none.toml: cannot be read (No such file" in err
