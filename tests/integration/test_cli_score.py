"""`wideseek score` by its own door: files in, lines out, one line of error, an exit code."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from tests.servers import free_port

COMMAND = [sys.executable, "-m", "services.cli.main", "score"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
NUMBERS = [
    "score",
    "precision_by_row",
    "recall_by_row",
    "f1_by_row",
    "precision_by_item",
    "recall_by_item",
    "f1_by_item",
]
TEXT = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
ONE_COLUMN = "| Country |\n|---|\n| Peru |"
GOLD = "| Country | Capital |\n| --- | --- |\n| France | Paris |\n| Peru | Lima |"
WRONG = "```markdown\n" + GOLD.replace("Lima", "Cusco") + "\n```"


def task(name: str = "one", answer: str = GOLD, **capital: Any) -> dict[str, Any]:
    pipeline = {"country": TEXT, "capital": {**TEXT, **capital}}
    evaluation = {"required": ["country", "capital"], "unique_columns": ["country"], "eval_pipeline": pipeline}
    return {"instance_id": name, "evaluation": evaluation, "answer": answer}


def response(name: str = "one", text: str | None = WRONG, **more: Any) -> dict[str, Any]:
    return {"instance_id": name, "response_text": text, **more}


def lines(path: Path, records: Sequence[Any]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def score(folder: Path, tasks: Sequence[Any], responses: Sequence[Any], *options: str) -> Done:
    """The command in this process, which has imported already what it needs."""
    files = ["--tasks", lines(folder / "tasks.jsonl", tasks)]
    files += ["--responses", lines(folder / "responses.jsonl", responses)]
    return run(*files, *options)


def run(*options: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main(["score", *options])
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())


def written(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_command_is_a_process_with_two_streams(tmp_path: Path) -> None:
    files = ["--tasks", lines(tmp_path / "t.jsonl", [task()]), "--responses", lines(tmp_path / "r.jsonl", [response()])]

    done = subprocess.run(
        [*COMMAND, *files, "--mode", "robust"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=False
    )

    assert done.returncode == 0
    assert written(done.stdout)[0]["f1_by_item"] == 0.75
    assert done.stderr == "1 response: item F1 0.750, row F1 0.500, success 0.000\n"


@pytest.mark.parametrize("mode", ["official", "robust"])
def test_a_line_a_response_in_their_order_with_seven_numbers(tmp_path: Path, mode: str) -> None:
    asked = [response("two", None), response("one", trial=1), response("one", f"```markdown\n{GOLD}\n```")]

    done = score(tmp_path, [task("one"), task("two")], asked, "--mode", mode)

    scored = written(done.stdout)
    assert done.returncode == 0
    assert [list(line) for line in scored] == [["instance_id", "trial", *NUMBERS]] * 3
    assert [(line["instance_id"], line["trial"]) for line in scored] == [("two", 0), ("one", 1), ("one", 0)]
    assert [(line["score"], line["f1_by_row"], line["f1_by_item"]) for line in scored] == [
        (0, 0, 0),
        (0, 0.5, 0.75),
        (1, 1, 1),
    ]
    assert done.stderr == "3 responses: item F1 0.583, row F1 0.500, success 0.333\n"


def test_answers_to_questions_are_scored_beside_tables(tmp_path: Path) -> None:
    question = {"instance_id": "q", "question": "The capital of Peru?", "answers": ["Lima"]}
    answered = [response("q", r"It is \boxed{Lima}."), response("one")]

    judged = score(tmp_path, [task(), question], answered, "--mode", "robust")
    unjudged = score(tmp_path, [task(), question], answered, "--mode", "robust", "--judge", "none")

    assert written(judged.stdout)[0] == {"instance_id": "q", "trial": 0, "em": 1.0, "f1": 1.0, "judged": 1.0}
    assert written(unjudged.stdout)[0] == {"instance_id": "q", "trial": 0, "em": 1.0, "f1": 1.0}


@pytest.mark.parametrize("mode", ["official", "robust"])
def test_without_a_judge_nothing_is_aligned(tmp_path: Path, mode: str) -> None:
    renamed = {**task(), "aliases": {"country": {"France": ["French Republic"]}}}
    said = response(text=f"```markdown\n{GOLD.replace('France', 'French Republic')}\n```")

    judged = score(tmp_path, [renamed], [said], "--mode", mode)
    alone = score(tmp_path, [renamed], [said], "--mode", mode, "--judge", "none")

    assert (written(judged.stdout)[0]["f1_by_item"], written(alone.stdout)[0]["f1_by_item"]) == (1.0, 0.5)


def test_a_task_that_cannot_be_trusted_is_rejected_by_itself(tmp_path: Path) -> None:
    tasks = [task("bad", metric=["near"]), task("one")]
    out = tmp_path / "scores.jsonl"

    done = score(tmp_path, tasks, [response("bad"), response("one")], "--mode", "robust", "--out", str(out))

    bad, good = written(out.read_text("utf-8"))
    why = f"{tmp_path / 'tasks.jsonl'}:1: evaluation.eval_pipeline.capital.metric: unknown metric 'near'"
    assert (bad["instance_id"], bad["trial"], bad["rejected"]) == ("bad", 0, True)
    assert bad["why"].startswith(why)
    assert good["f1_by_item"] == 0.75
    assert done.returncode == 0
    assert done.stdout == ""
    assert why in done.stderr
    assert "1 rejected" in done.stderr


def test_nothing_that_can_be_scored_is_a_failure(tmp_path: Path) -> None:
    done = score(tmp_path, [task(metric=["near"])], [response()], "--mode", "robust")

    assert done.returncode == 2
    assert written(done.stdout)[0]["rejected"] is True


def test_official_mode_scores_a_specification_at_fault_zero_as_officially(tmp_path: Path) -> None:
    done = score(tmp_path, [task(metric=["near"])], [response()], "--mode", "official")

    assert done.returncode == 0
    assert written(done.stdout) == [{"instance_id": "one", "trial": 0, **dict.fromkeys(NUMBERS, 0.0)}]


def test_tasks_without_a_response_are_named(tmp_path: Path) -> None:
    done = score(tmp_path, [task(), task("two"), task("three")], [response()], "--mode", "robust")

    assert "2 of 3 tasks have no response: two, three" in done.stderr


@pytest.mark.parametrize(
    ("tasks", "responses", "options", "problem"),
    [
        ([task(), task()], [response()], (), "tasks.jsonl:2: instance_id: 'one' stands in line 1 already"),
        ([task(answer=ONE_COLUMN)], [response()], (), "tasks.jsonl:1: answer: lacks the required column 'capital'"),
        ([task(answer=GOLD + "\n| Peru | Cusco |")], [response()], (), "tasks.jsonl:1: answer: a duplicate key"),
        ([task()], [response("other")], (), "responses.jsonl:1: instance_id: 'other' is no task of the task file"),
        ([task()], [response()] * 2, (), "responses.jsonl:2: trial: 0 of 'one' stands in line 1 already"),
        ([task()], [{"instance_id": "one"}], (), "responses.jsonl:1: response_text: missing or empty"),
        ([task()], [response()], ("--mode", "fair"), "--mode 'fair': expected one of official, robust"),
        ([task()], [response()], ("--extra-columns", "keep"), "--extra-columns 'keep': expected one of refuse, ignore"),
        ([task()], [response()], ("--gold", "nowhere"), "--gold nowhere: no such folder"),
        ([task()], [response()], ("--judge", "gpt"), "--judge gpt: expected deterministic, none, or an address"),
        ([task()], [response()], ("--judge", "http://127.0.0.1:9"), "--judge-model: missing"),
        ([task()], [response()], ("--out", "/nowhere/scores.jsonl"), "--out /nowhere/scores.jsonl: No such file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, tasks: Any, responses: Any, options: Sequence[str], problem: str
) -> None:
    out = tmp_path / "scores.jsonl"

    done = score(tmp_path, tasks, responses, "--mode", "robust", "--out", str(out), *options)

    assert done.returncode == 2
    assert done.stdout == ""
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()


def test_columns_nobody_asked_for_are_refused_or_ignored(tmp_path: Path) -> None:
    wider = (
        GOLD.replace("Capital |", "Capital | Note |")
        .replace("--- |\n", "--- | --- |\n")
        .replace("Paris |", "Paris | x |")
    )

    refused = score(tmp_path, [task()], [response(text=wider)], "--mode", "robust")
    ignored = score(tmp_path, [task()], [response(text=wider)], "--mode", "robust", "--extra-columns", "ignore")

    assert (written(refused.stdout)[0]["score"], written(ignored.stdout)[0]["score"]) == (0.0, 1.0)


def test_widesearchs_release_scores_against_its_gold_csv(tmp_path: Path) -> None:
    record = {**task("ws_en_001"), "answer": None, "evaluation": json.dumps(task()["evaluation"])}
    (tmp_path / "widesearch_gold").mkdir()
    (tmp_path / "widesearch_gold" / "ws_en_001.csv").write_text('Country,Capital\nFrance,"Paris"\nPeru,Lima\n', "utf-8")

    official = score(tmp_path, [record], [response("ws_en_001")], "--mode", "official")
    robust = score(tmp_path, [record], [response("ws_en_001")], "--mode", "robust")

    assert (written(official.stdout)[0]["f1_by_item"], written(robust.stdout)[0]["f1_by_item"]) == (0.75, 0.75)


def test_robust_mode_does_not_import_pandas(tmp_path: Path) -> None:
    files = [lines(tmp_path / "tasks.jsonl", [task()]), lines(tmp_path / "responses.jsonl", [response()])]
    code = (
        "import sys\nfrom services.cli.main import main\ntry:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    sys.exit(end.code or 10 * ('pandas' in sys.modules))"
    )
    command = [sys.executable, "-c", code, "score", "--tasks", files[0], "--responses", files[1], "--mode"]

    robust, official = (
        subprocess.run([*command, mode], capture_output=True, check=False) for mode in ("robust", "official")
    )

    assert (robust.returncode, official.returncode) == (0, 10)


class ApprovingModel(BaseHTTPRequestHandler):
    """An endpoint whose model calls every cell right and aligns nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        verdicts = dict.fromkeys(re.findall(r"idx_\d+", asked), 1)
        reply = {"choices": [{"message": {"content": f"```json\n{json.dumps(verdicts)}\n```"}}]}
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def approving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ApprovingModel)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("mode", ["official", "robust"])
def test_a_language_model_judges_and_is_held_against_the_rules(tmp_path: Path, mode: str) -> None:
    judged = task(metric=["llm_judge"], criterion="the same city")

    with approving() as url:
        done = score(tmp_path, [judged], [response()], "--mode", mode, "--judge", url, "--judge-model", "any")

    assert written(done.stdout)[0]["score"] == 1.0
    assert "the judge agrees with the deterministic one in " in done.stderr
    assert "cells of capital 1/2" in done.stderr


def test_an_outage_of_the_judge_ends_the_command_and_writes_nothing(tmp_path: Path) -> None:
    url, out = f"http://127.0.0.1:{free_port()}", tmp_path / "scores.jsonl"
    judged = task(metric=["llm_judge"])

    done = score(
        tmp_path, [judged], [response()], "--mode", "robust", "--judge", url, "--judge-model", "any", "--out", str(out)
    )

    assert done.returncode == 1
    assert done.stderr.startswith("wideseek: ")
    assert done.stderr.count("\n") == 1
    assert not out.exists()


@pytest.mark.shared_data
@pytest.mark.parametrize("mode", ["official", "robust"])
@pytest.mark.parametrize("suite", ["factbook", "wiki"])
def test_every_development_gold_is_a_success_against_itself(
    shared_data: Path, tmp_path: Path, suite: str, mode: str
) -> None:
    tasks = shared_data / suite / "tasks_dev.jsonl"
    records = written(tasks.read_text("utf-8"))
    answers = lines(
        tmp_path / "gold.jsonl", [response(one["instance_id"], f"```markdown\n{one['answer']}\n```") for one in records]
    )

    done = run("--tasks", str(tasks), "--responses", answers, "--mode", mode, "--judge", "none")

    assert done.returncode == 0
    assert [line["score"] for line in written(done.stdout)] == [1.0] * len(records)
