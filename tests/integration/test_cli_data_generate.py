"""`wideseek data generate` as people run it."""

from pathlib import Path

import pytest

from services.kit.tasks import read_tasks
from tests.data_commands import read_lines, run_data


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        ("factbook-wide", "60 of factbook-wide for train in tasks.jsonl: filter 20, named 20, neighbours 20"),
        ("factbook-qa", "60 of factbook-qa for train in tasks.jsonl: multi_hop"),
    ],
)
def test_tasks_are_written_that_an_evaluation_loads(tmp_path: Path, suite: str, said: str) -> None:
    done = run_data(tmp_path, "generate", "--suite", suite, "--split", "train", "--count", "60", "--out", "tasks.jsonl")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(read_tasks(tmp_path / "tasks.jsonl")) == 60


def test_a_seed_makes_the_same_file_and_passes_the_filter_whole(tmp_path: Path) -> None:
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        made = run_data(tmp_path, "generate", "--suite", "factbook-wide", "--split", "train", "--count", "90",
                   "--seed", seed, "--out", f"{name}.jsonl")  # fmt: skip
        assert made.returncode == 0, made.stderr
    sifted = run_data(tmp_path, "filter", "--tasks", "one.jsonl", "--out", "kept.jsonl", "--split", "train")

    one, two, three = ((tmp_path / f"{name}.jsonl").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one != three
    assert sifted.returncode == 0
    assert (tmp_path / "kept.jsonl").read_bytes() == one


def test_difficulty_rows_and_columns_are_chosen(tmp_path: Path) -> None:
    done = run_data(tmp_path, "generate", "--suite", "factbook-wide", "--split", "dev", "--count", "20", "--difficulty",
               "filter", "--rows", "5-6", "--columns", "4", "--out", "tasks.jsonl")  # fmt: skip

    assert done.returncode == 0, done.stderr
    tasks = read_lines(tmp_path / "tasks.jsonl")
    assert {task["difficulty"] for task in tasks} == {"filter"}
    assert {task["meta"]["rows"] for task in tasks} == {5, 6}
    assert {len(task["meta"]["columns"]) for task in tasks} == {4}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--split": "test"}, "split 'test' is reserved; tasks are made for: train, dev"),
        ({"--suite": "wiki-wide"}, "suite 'wiki-wide' is unknown; there are: factbook-wide, factbook-qa"),
        ({"--difficulty": "hard"}, "difficulty 'hard' is unknown"),
        ({"--difficulty": ","}, "--difficulty: names nothing"),
        ({"--rows": "7-3"}, "--rows 7-3: give LEAST-MOST, from 2 up"),
        ({"--rows": "1-3"}, "--rows 1-3: give LEAST-MOST, from 2 up"),
        ({"--columns": "many"}, "--columns many: give LEAST-MOST"),
        (
            {"--split": "dev", "--difficulty": "neighbours"},
            "999 tasks of factbook-wide for dev were asked for, there are",
        ),
        ({"--rows": "500-600"}, "999 tasks of factbook-wide for train were asked for, there are 0"),
        ({"--count": "3", "--out": "no/tasks.jsonl"}, "no/tasks.jsonl: No such file or directory"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_nothing_is_written(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    options = {"--suite": "factbook-wide", "--split": "train", "--count": "999", "--out": "tasks.jsonl", **changed}

    done = run_data(tmp_path, "generate", *(part for pair in options.items() for part in pair))

    assert done.returncode != 0
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
