"""`wideseek data filter` as people run it: files in, two files out, a summary, one line of error."""

from pathlib import Path
from typing import Any

import pytest

from tests.data_commands import run_data
from tests.suite_parts import ROWS, question_record, read_records, wide_record, write_records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tasks spoilt in one way each, and a held-out question."""
    tasks: list[dict[str, Any] | str] = [
        wide_record("fine"),
        wide_record("small", rows=ROWS[:3]),
        "{",
        wide_record("again", query="Other words?"),
        wide_record("empty", rows=[*ROWS, ("Erk", "", "1")]),
        wide_record("near", rows=[*ROWS, ("Erk", "Xan", "1")], query="More words?"),
        question_record("seen"),
        question_record("new", split="dev"),
    ]
    write_records(tmp_path / "tasks.jsonl", tasks)
    write_records(tmp_path / "heldout.jsonl", [question_record("test", question="WHAT is the capital of seen")])
    return tmp_path


def test_what_passes_is_written_line_for_line_and_the_rest_with_its_reason(folder: Path) -> None:
    done = run_data(folder, "filter", "--tasks", "tasks.jsonl", "--out", "kept.jsonl", "--rejected", "no.jsonl",
                    "--against", "heldout.jsonl")  # fmt: skip

    given = (folder / "tasks.jsonl").read_text("utf-8").splitlines()
    assert done.returncode == 0, done.stderr
    assert (folder / "kept.jsonl").read_text("utf-8").splitlines() == [given[0], given[7]]
    rejected = read_records(folder / "no.jsonl")
    assert [(line["line"], line["instance_id"], line["rejected"]["code"]) for line in rejected] == [
        (2, "small", "too_few_rows"),
        (3, "", "schema"),
        (4, "again", "duplicate_answer"),
        (5, "empty", "empty_cell"),
        (6, "near", "near_duplicate"),
        (7, "seen", "held_out_question"),
    ]
    assert done.stdout == ""
    assert "2 kept in kept.jsonl, 6 rejected in no.jsonl" in done.stderr
    assert "too_few_rows 1" in done.stderr


def test_a_rejected_instance_is_kept_unchanged_beside_its_reason(folder: Path) -> None:
    run_data(folder, "filter", "--tasks", "tasks.jsonl", "--out", "kept.jsonl")

    small, broken, *_ = read_records(folder / "kept.rejected.jsonl")
    assert small["instance"] == wide_record("small", rows=ROWS[:3])
    assert small["rejected"]["stage"] == "size"
    assert small["rejected"]["why"] == "3 rows, at least 4 are asked for"
    assert broken["text"] == "{"


def test_bounds_and_split_are_options(folder: Path) -> None:
    done = run_data(folder, "filter", "--tasks", "tasks.jsonl", "--out", "kept.jsonl", "--min-rows", "3",
                    "--max-rows", "3", "--max-jaccard", "1", "--split", "train")  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert [record["instance_id"] for record in read_records(folder / "kept.jsonl")] == ["small", "seen"]
    codes = {line["rejected"]["code"] for line in read_records(folder / "kept.rejected.jsonl")}
    assert {"too_many_rows", "other_split"} <= codes


def test_the_same_input_gives_the_same_files(folder: Path) -> None:
    for name in ("one", "two"):
        run_data(folder, "filter", "--tasks", "tasks.jsonl", "--out", f"{name}.jsonl", "--rejected", f"{name}.no.jsonl")

    assert (folder / "one.jsonl").read_bytes() == (folder / "two.jsonl").read_bytes()
    assert (folder / "one.no.jsonl").read_bytes() == (folder / "two.no.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--tasks", "absent.jsonl", "--out", "o.jsonl"], 1, "wideseek: absent.jsonl: No such file or directory"),
        (["--tasks", "tasks.jsonl", "--out", "no/o.jsonl"], 1, "wideseek: no/o.jsonl: No such file or directory"),
        (["--tasks", "tasks.jsonl", "--out", "tasks.jsonl"], 2, "wideseek: --out tasks.jsonl: also an input"),
        (["--tasks", "tasks.jsonl", "--out", "o", "--rejected", "o"], 2, "wideseek: --rejected o: also an input"),
        (
            ["--tasks", "heldout.jsonl", "--out", "o.jsonl", "--against", "tasks.jsonl"],
            1,
            "wideseek: tasks.jsonl, line 3: not JSON",
        ),
        (["--tasks", "tasks.jsonl", "--out", "o.jsonl", "--max-jaccard", "2"], 2, "--max-jaccard"),
    ],
)
def test_bad_input_is_one_line_and_changes_no_file(folder: Path, options: list[str], code: int, said: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    done = run_data(folder, "filter", *options)

    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
