"""`wideseek data stats` as people run it: a table, JSON, a page."""

import json
from pathlib import Path

import pytest

from tests.data_commands import run_data
from tests.suite_parts import ROWS, question_record, wide_record, write_records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks, one of them small, and a question."""
    tasks = [wide_record("w1"), wide_record("w2", rows=ROWS[:2], query="Others?"), question_record("q1")]
    write_records(tmp_path / "tasks.jsonl", tasks)
    return tmp_path


def test_the_table_says_what_the_file_holds(folder: Path) -> None:
    done = run_data(folder, "stats", "--tasks", "tasks.jsonl")

    assert done.returncode == 0, done.stderr
    for said in ("tasks.jsonl", "invented-qa", "population", "gold rows", "near duplicates"):
        assert said in done.stdout
    assert done.stderr == ""


def test_json_for_machines_counts_rejections_of_the_filter(folder: Path) -> None:
    run_data(folder, "filter", "--tasks", "tasks.jsonl", "--out", "kept.jsonl")

    done = run_data(folder, "stats", "--tasks", "kept.jsonl", "--rejected", "kept.rejected.jsonl", "--json")

    sheet = json.loads(done.stdout)
    assert (sheet["instances"], sheet["wide_tasks"], sheet["questions"]) == (2, 1, 1)
    assert sheet["rejected"] == {"size": {"too_few_rows": 1}}
    assert sheet["rows"] == {"least": 4, "median": 4, "mean": 4, "most": 4}


def test_the_page_is_written_where_it_is_asked_for(folder: Path) -> None:
    done = run_data(folder, "stats", "--tasks", "tasks.jsonl", "--html", "sheet.html")

    page = (folder / "sheet.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    assert "datasheet in sheet.html" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--tasks", "absent.jsonl"], 1, "wideseek: absent.jsonl: No such file or directory"),
        (["--tasks", "tasks.jsonl", "--html", "tasks.jsonl"], 2, "wideseek: --html tasks.jsonl: also an input"),
        (["--tasks", "tasks.jsonl", "--rejected", "tasks.jsonl"], 1, "wideseek: tasks.jsonl, line 1: rejected: no"),
    ],
)
def test_bad_input_is_one_line(folder: Path, options: list[str], code: int, said: str) -> None:
    done = run_data(folder, "stats", *options)

    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
