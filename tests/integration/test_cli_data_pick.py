"""`wideseek data pick` over generated tasks."""

import json
from pathlib import Path

import pytest

from services.cli.main import main
from services.suites.generate import generate


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "wide.jsonl"
    made = generate("factbook-wide", "train", 60, 3)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in made), "utf-8")
    return path


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["data", "pick", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_first_of_each_kind_are_taken_in_the_files_order(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "picked.jsonl"

    assert run("--tasks", tasks, "--take", "named=4", "--take", "neighbours=2", "--out", out) == 0

    every, picked = records(tasks), records(out)
    expected = [one for one in every if one["difficulty"] == "named"][:4]
    expected += [one for one in every if one["difficulty"] == "neighbours"][:2]
    assert sorted(picked, key=str) == sorted(expected, key=str)
    assert picked == [one for one in every if one in picked]


def test_regions_are_those_alone_and_rows_are_bounded(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "picked.jsonl"

    assert run("--tasks", tasks, "--take", "all:africa=3", "--rows", "4-8", "--out", out) == 0

    assert len(records(out)) == 3
    assert all(one["meta"]["regions"] == ["africa"] and 4 <= one["meta"]["rows"] <= 8 for one in records(out))  # type: ignore[index]


def test_some_are_asked_plainly_whatever_else_is_taken(tasks: Path, tmp_path: Path) -> None:
    some, more = tmp_path / "some.jsonl", tmp_path / "more.jsonl"

    for out, number in ((some, 30), (more, 60)):
        assert run("--tasks", tasks, "--take", f"all={number}", "--plain", "0.6", "--out", out) == 0

    asked, picked, fewer = (
        {str(one["instance_id"]): str(one["query"]) for one in records(f)} for f in (tasks, more, some)
    )
    plain = {name: query for name, query in picked.items() if query != asked[name]}
    assert 20 < len(plain) < 50
    assert all(asked[name][:60] == query[:60] and "Markdown" not in query for name, query in plain.items())
    assert 0 < sum("(" not in query for query in plain.values()) < len(plain)
    assert all("Markdown" in query for query in asked.values())
    assert fewer == {name: picked[name] for name in fewer}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--take", "named"), "give KIND=N"),
        (("--take", "named=0"), "give KIND=N"),
        (("--take", "named=5000"), "there are 20 such tasks"),
        (("--take", "all=1", "--rows", "few"), "give LEAST-MOST"),
    ],
)
def test_a_wish_that_cannot_be_met_writes_nothing(
    tasks: Path, tmp_path: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "picked.jsonl"

    assert run("--tasks", tasks, *arguments, "--out", out) == 2

    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
