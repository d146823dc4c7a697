"""`wideseek data pipeline` as people run it: its files, its one line when something is down, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.kit.tasks import read_tasks
from services.pipeline.sheet import PipelineSheet
from services.suites.filters_reserved import places
from tests.integration.eval_orchestrator import EvalOrchestrator, serving
from tests.pipeline_parts import CLUBS, HEADER, lines_of, link, page, speaking, write_tables
from tests.servers import free_port, wait_until

COMMAND = [sys.executable, "-m", "services.cli.main", "data"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "160"}


def data(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *options], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=240
    )


def sheet_in(folder: Path) -> PipelineSheet:
    return PipelineSheet.model_validate_json((folder / "datasheet.json").read_bytes())


@pytest.fixture
def orchestrator() -> Iterator[EvalOrchestrator]:
    """An orchestrator that gives every query the same answer."""
    with serving() as parts:
        yield parts


def test_templates_gold_and_rules_make_a_set_of_the_training_regions_without_a_network(tmp_path: Path) -> None:
    done = data(tmp_path, "pipeline", "--out", "set", "--seed", "1", "--count", "300")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "150 wide tasks and 150 questions in set/hybrid" in done.stderr
    tasks = [task for name in ("wide", "questions") for task in read_tasks(tmp_path / "set/hybrid" / f"{name}.jsonl")]
    assert len(tasks) == 300
    assert {region for task in tasks for region, _ in places(task)} == {"africa", "europe", "south-america"}
    sheet = sheet_in(tmp_path / "set")
    assert (sheet.wide, sheet.questions, sheet.findings, sheet.looks) == (150, 150, 0, ())


def test_a_killed_pipeline_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    command = ("pipeline", "--seed", "2", "--count", "900")
    whole = data(tmp_path, *command, "--out", "whole")
    part = tmp_path / "cut" / "answers.jsonl.part"
    with subprocess.Popen([*COMMAND, *command, "--out", "cut"], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: part.is_file() and part.stat().st_size > 200_000, seconds=120, what="answers")
        os.kill(process.pid, signal.SIGKILL)
    there = part.read_bytes().count(b"\n")

    done = data(tmp_path, *command, "--out", "cut")

    assert (whole.returncode, done.returncode) == (0, 0), done.stderr
    assert f"answers: there before {there:,}" in done.stderr
    for name in ("queries.jsonl", "answers.jsonl", "hybrid/wide.jsonl", "hybrid/questions.jsonl", "datasheet.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_tables_and_held_out_files_are_taken_in(tmp_path: Path) -> None:
    cup = [[row[0], link(f"Cup {row[0]}"), *row[2:]] for row in CLUBS]
    write_tables(tmp_path / "tables.jsonl.gz", [page("League", HEADER, CLUBS), page("Cup", HEADER, cup)])
    made = data(tmp_path, "pipeline", "--out", "free", "--count", "20", "--tables", "tables.jsonl.gz")
    held = {"instance_id": "h", "question": "Who?", "answers": ["x"], "gold_docs": ["https://wiki/Cup"]}
    (tmp_path / "held.jsonl").write_text(json.dumps(held) + "\n", "utf-8")

    done = data(tmp_path, "pipeline", "--out", "set", "--count", "20", "--tables", "tables.jsonl.gz",
                "--against", "held.jsonl")  # fmt: skip

    assert (made.returncode, done.returncode) == (0, 0), done.stderr
    codes = [line["rejected"]["code"] for line in lines_of(tmp_path / "set/rejected.jsonl")]
    assert codes.count("held_out_page") == 3
    assert sheet_in(tmp_path / "set").sources["tables"] == sheet_in(tmp_path / "free").sources["tables"] - 3 == 3
    assert set(sheet_in(tmp_path / "set").checks.against) == {"held.jsonl"}


def test_a_cluster_looks_at_the_sample_once_and_the_sheet_is_made_again(
    orchestrator: EvalOrchestrator, tmp_path: Path
) -> None:
    command = ("pipeline", "--out", "set", "--seed", "1", "--count", "20", "--sample", "6")
    plain = data(tmp_path, *command)
    looked = data(tmp_path, *command, "--cluster", orchestrator.url, "--model", "m", "--profile", "full")
    asked = len(orchestrator.runs)
    again = data(tmp_path, *command, "--cluster", orchestrator.url, "--model", "m", "--profile", "full")
    before = (tmp_path / "set/datasheet.md").read_bytes()
    made = data(tmp_path, "datasheet", "--out", "set")

    assert [done.returncode for done in (plain, looked, again, made)] == [0, 0, 0, 0], looked.stderr
    assert asked == len(orchestrator.runs) == 18
    modes = [run.request.mode for run in orchestrator.runs.values()]
    assert {str(mode): modes.count(mode) for mode in modes} == {"multi_agent": 6, "closed_book": 6, "single_agent": 6}
    assert {run.request.prompt_profile for run in orchestrator.runs.values()} == {"full"}
    assert {run.request.model for run in orchestrator.runs.values()} == {"m", None}
    sheet = sheet_in(tmp_path / "set")
    assert {look.name: (look.answered, look.objected) for look in sheet.looks} == {
        "agent": (6, 6),
        "closed_book": (6, 0),
        "single_search": (6, 0),
    }
    assert (sheet.looked_at, sheet.looked_at_kept) == (6, 0)
    assert (tmp_path / "set/datasheet.md").read_bytes() == before
    assert "prompt profile full" in before.decode()


def test_two_models_answer_the_sample_in_two_ways(tmp_path: Path) -> None:
    with speaking(lambda _: r"\boxed{nothing}") as speaker:
        done = data(tmp_path, "pipeline", "--out", "set", "--count", "8", "--sample", "4", "--answerer", speaker.url,
                    "--answerer", speaker.url, "--answerer-model", "talker")  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert len(speaker.prompts) == 8
    (look,) = sheet_in(tmp_path / "set").looks
    assert (look.name, look.answered, look.objected) == ("models", 4, 4)
    assert look.by == f"talker at {speaker.url} and first model at {speaker.url}"


def test_what_is_down_stops_the_stage_with_one_line(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    written = data(tmp_path, "pipeline", "--out", "w", "--count", "8", "--writer", nowhere)
    looked = data(tmp_path, "pipeline", "--out", "c", "--count", "8", "--sample", "2", "--cluster", nowhere)
    went_on = data(tmp_path, "pipeline", "--out", "c", "--count", "8", "--sample", "2")

    assert (written.returncode, looked.returncode, went_on.returncode) == (3, 3, 0)
    assert written.stderr.startswith(f"wideseek: queries stopped: model: {nowhere}: ConnectError")
    assert len(written.stderr.splitlines()) == 1
    assert looked.stderr.splitlines()[-1].startswith("wideseek: look agent stopped: orchestrator: nobody answers")
    assert looked.stderr.endswith("the same command goes on\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--stage", "some"), "--stage some: there are queries, answers, filter, all"),
        (("--looks", "agent,far"), "--looks far: there are agent, closed_book, single_search"),
        (("--answerer", "http://a", "--answerer", "http://b", "--answerer", "http://c"), "--answerer: give one"),
        (("--tables", "gone.jsonl"), "gone.jsonl: No such file or directory"),
        (("--against", "gone.jsonl"), "gone.jsonl: No such file or directory"),
        (("--profile", "tiny", "--cluster", "http://127.0.0.1:9", "--count", "4"), "--prompt-profile tiny"),
        (("--count", "1"), "Invalid value for '--count'"),
    ],
)
def test_a_wrong_option_is_said_in_one_line(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = data(tmp_path, "pipeline", "--out", "set", *options)

    assert done.returncode == 2, done.stderr
    assert said in done.stderr.splitlines()[-1]


def test_a_folder_with_another_pipeline_is_left_alone(tmp_path: Path) -> None:
    data(tmp_path, "pipeline", "--out", "set", "--count", "8", "--stage", "queries")
    before = (tmp_path / "set/queries.jsonl").read_bytes()

    other = data(tmp_path, "pipeline", "--out", "set", "--count", "8", "--seed", "7")
    missing = data(tmp_path, "datasheet", "--out", "none")

    assert (other.returncode, missing.returncode) == (2, 2)
    assert "was made with seed = 0, not 7; choose another --out" in other.stderr
    assert (tmp_path / "set/queries.jsonl").read_bytes() == before
    assert len(missing.stderr.splitlines()) == 1
