"""Task and response files: what loads, and the one line that says what does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.files import read_responses
from services.kit.tasks import Checks, load_tasks, read_tasks
from wideseek.instances import InvalidInstance, Question, WideTask
from wideseek.official import gold_frame

RULE: dict[str, Any] = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
EVALUATION: dict[str, Any] = {
    "required": ["country", "capital"],
    "unique_columns": ["country"],
    "eval_pipeline": {"country": RULE, "capital": RULE},
}
GOLD = "| Country | Capital |\n| --- | --- |\n| France | Paris |\n| Peru | Lima |"
TASK = {"instance_id": "one", "query": "Capitals?", "evaluation": EVALUATION, "answer": GOLD}
QUESTION = {"instance_id": "two", "question": "The capital of Peru?", "answers": ["Lima"]}


def write(path: Path, *records: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def changed(**fields: Any) -> dict[str, Any]:
    return {**TASK, **fields}


def ruled(**rules: Any) -> dict[str, Any]:
    return changed(evaluation={**EVALUATION, "eval_pipeline": {**EVALUATION["eval_pipeline"], **rules}})


def refusal(path: Path, *, checks: Checks = Checks.EVALUATION, gold: Path | None = None) -> str:
    with pytest.raises(InvalidInstance) as caught:
        load_tasks(path, gold=gold, checks=checks)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}:")


def test_tasks_and_questions_load_from_one_file_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", TASK, "", QUESTION)

    tasks = read_tasks(path)

    assert [type(task) for task in tasks] == [WideTask, Question]


@pytest.mark.parametrize("folder", ["widesearch_gold", "gold"])
def test_widesearchs_own_release_loads_unmodified(tmp_path: Path, folder: str) -> None:
    record = {"instance_id": "ws_en_001", "query": "?", "evaluation": json.dumps(EVALUATION), "language": "en"}
    path = write(tmp_path / "widesearch.jsonl", record)
    text = '\ufeffCapital,Country,Note\r\n"Paris, ""City"" | of\r\nLight",France,x\r\n007,Peru,y\r\n'
    write(tmp_path / folder / "ws_en_001.csv", "").write_bytes(text.encode())

    (task,) = read_tasks(path)

    assert isinstance(task, WideTask)
    assert task.answer.splitlines()[2:] == ['| Paris, "City" \\| of Light | France | x |', "| 007 | Peru | y |"]
    assert gold_frame(task).to_numpy().tolist() == [["France", 'Paris, "City" | of\r\nLight'], ["Peru", "007"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("one.csv", "Country,Capital\nChad,N'Djamena\n"),
        ("one.md", "| Country | Capital |\n|-|-|\n| Chad | N'Djamena |"),
    ],
)
def test_a_gold_folder_that_is_named_wins_over_the_answer_in_the_record(tmp_path: Path, name: str, text: str) -> None:
    folder = write(tmp_path / "truth" / name, text).parent

    (task,) = read_tasks(write(tmp_path / "tasks.jsonl", TASK), gold=folder)

    assert isinstance(task, WideTask)
    assert "| Chad | N'Djamena |" in task.answer
    assert list(gold_frame(task)["country"]) == ["Chad"]


def test_a_gold_without_a_file_of_its_own_keeps_the_answer_in_the_record(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()

    (task,) = read_tasks(write(tmp_path / "tasks.jsonl", TASK), gold=tmp_path / "truth")

    assert isinstance(task, WideTask)
    assert task.answer == GOLD


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("{oops", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[1]", "not an object but an array"),
        ('{"instance_id": "a", "instance_id": "b"}', "instance_id: stands twice in one object"),
        ({"instance_id": "one"}, "evaluation: missing, and so is question, so this is no task"),
        ({**TASK, "instance_id": ""}, "instance_id: missing or empty"),
        ({**QUESTION, "answers": []}, "answers: missing or empty"),
        ({**QUESTION, "question": ""}, "question: missing or empty"),
        (changed(evaluation={"required": ["country"]}), "evaluation.unique_columns: missing or empty"),
        (changed(evaluation="{oops"), "evaluation: Expecting property name"),
        (changed(answer="Paris"), "answer: holds no table"),
        (changed(answer="| Country |\n|---|\n| Peru |"), "answer: lacks the required column 'capital'"),
        (changed(answer=GOLD.split("\n| France", maxsplit=1)[0]), "answer: the table has no rows"),
        (changed(answer=GOLD + "\n| France | Lyon |"), "answer: a duplicate key, 'France', in rows 1 and 3"),
        (ruled(capital={"metric": ["near"]}), "evaluation.eval_pipeline.capital.metric: unknown metric 'near'"),
        (ruled(capital={**RULE, "preprocess": ["fold"]}), "evaluation.eval_pipeline.capital.preprocess: unknown step"),
        (ruled(capital={"metric": ["number_near"]}), "evaluation.eval_pipeline.capital.criterion: number_near needs"),
        (changed(evaluation={**EVALUATION, "unique_columns": []}), "evaluation.unique_columns: empty"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_task_is_one_line_with_its_place(tmp_path: Path, record: Any, problem: str) -> None:
    path = write(tmp_path / "tasks.jsonl", QUESTION, record)

    assert refusal(path).startswith(f"2: {problem}")


def test_an_id_stands_in_one_line_only(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", TASK, QUESTION, TASK)

    assert refusal(path) == "3: instance_id: 'one' stands in line 1 already"


def test_a_missing_gold_says_where_it_was_looked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", {**TASK, "answer": None})

    said = refusal(path)

    assert said.startswith("1: answer: missing or empty, and there is no gold table at ")
    assert str(tmp_path / "widesearch_gold" / "one.csv") in said


def test_a_gold_is_never_sought_outside_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "secret.csv", "Country,Capital\nFrance,Paris")
    path = write(tmp_path / "tasks.jsonl", {**TASK, "instance_id": "../secret", "answer": ""})

    assert refusal(path).startswith("1: answer: missing or empty")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"Country,Capital\nFrance,Paris,Lyon\n", ":2: 3 cells, the header has 2"),
        (b"\n\n", ": holds no table"),
        (b"Country\xff\n", ": not UTF-8 at byte 8"),
        (b"Country,Capital\nFrance,a" + b"a" * 200_000, ":2: not CSV: field larger than field limit (131072)"),
    ],
    ids=["ragged", "empty", "bytes", "field"],
)
def test_a_gold_csv_at_fault_is_named_itself(tmp_path: Path, text: bytes, problem: str) -> None:
    gold = write(tmp_path / "gold" / "one.csv", "")
    gold.write_bytes(text)
    path = write(tmp_path / "tasks.jsonl", {**TASK, "answer": ""})

    assert refusal(path) == f"{gold}{problem}"


@pytest.mark.parametrize(
    ("content", "problem"), [(b"\n", "holds no task"), (b'{"a": "\xff"}', "1: not UTF-8 at byte 8")]
)
def test_a_file_that_holds_nothing_to_read_is_an_error(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(content)

    assert problem in refusal(path)


def test_files_and_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", TASK)

    assert refusal(tmp_path / "none.jsonl") == " No such file or directory"
    assert refusal(path, gold=tmp_path / "none") == f"--gold {tmp_path / 'none'}: no such folder"


def test_official_mode_loads_what_it_scores_as_officially(tmp_path: Path) -> None:
    odd = [
        ruled(capital={"metric": ["near"]}),
        changed(instance_id="b", answer=GOLD + "\n| France | Lyon |"),
        changed(instance_id="c", evaluation={**EVALUATION, "unique_columns": []}),
    ]

    loaded = load_tasks(write(tmp_path / "tasks.jsonl", *odd), checks=Checks.OFFICIAL)

    assert [(one.rejected, one.notes) for one in loaded] == [("", ())] * 3


def test_robust_mode_rejects_a_task_by_its_specification_and_keeps_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", ruled(capital={"metric": ["near"]}), QUESTION)

    bad, good = load_tasks(path, checks=Checks.ROBUST)

    assert bad.rejected.startswith(f"{path}:1: evaluation.eval_pipeline.capital.metric: unknown metric 'near'")
    assert good.rejected == ""


def test_gold_keys_that_differ_in_form_only_are_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", changed(answer=GOLD + "\n| *FRANCE* | Lyon |"))

    (loaded,) = load_tasks(path, checks=Checks.ROBUST)

    assert loaded.notes == (f"{path}:1: answer: row 3 ('*FRANCE*') has the key of row 1 and is left out",)


def test_responses_keep_their_order_and_unknown_fields_do_not_matter(tmp_path: Path) -> None:
    tasks = read_tasks(write(tmp_path / "tasks.jsonl", TASK, QUESTION))
    records = [
        {"instance_id": "two", "response_text": "Lima", "seconds": 3},
        {"instance_id": "one", "trial": 1, "response_text": None},
        {"instance_id": "one", "trial": 0, "response_text": ""},
    ]

    responses = read_responses(write(tmp_path / "responses.jsonl", *records), tasks)

    assert [(one.instance_id, one.trial, one.response_text) for one in responses] == [
        ("two", 0, "Lima"),
        ("one", 1, None),
        ("one", 0, ""),
    ]


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ([{"instance_id": "three", "response_text": ""}], ":1: instance_id: 'three' is no task of the task file"),
        ([{"instance_id": "one"}], ":1: response_text: missing or empty"),
        ([{"response_text": ""}], ":1: instance_id: missing or empty"),
        ([{"instance_id": "one", "trial": -1, "response_text": ""}], ":1: trial: Input should be greater"),
        ([{"instance_id": "one", "response_text": 5}], ":1: response_text: Input should be a valid string"),
        ([{"instance_id": "one", "response_text": ""}] * 2, ":2: trial: 0 of 'one' stands in line 1 already"),
        ([""], ": holds no response"),
    ],
)
def test_a_mistake_in_a_response_is_one_line_with_its_place(tmp_path: Path, records: list[Any], problem: str) -> None:
    tasks = read_tasks(write(tmp_path / "tasks.jsonl", TASK))
    path = write(tmp_path / "responses.jsonl", *records)

    with pytest.raises(InvalidInstance) as caught:
        read_responses(path, tasks)

    assert str(caught.value).startswith(f"{path}{problem}")


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "kind"), [("tasks_dev", WideTask), ("qa_dev", Question)])
@pytest.mark.parametrize("suite", ["factbook", "wiki"])
def test_the_development_tasks_load_without_a_remark(shared_data: Path, suite: str, name: str, kind: type) -> None:
    loaded = load_tasks(shared_data / suite / f"{name}.jsonl")

    assert len(loaded) >= 30
    assert all(isinstance(one.task, kind) and not one.notes for one in loaded)
