"""`wideseek eval` as people run it: a process, its files, its two streams, its exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.journal import read_trials
from services.evaluation.results import Summary
from tests.evaluation_parts import record, write_tasks
from tests.integration.eval_orchestrator import EvalOrchestrator, serving
from tests.servers import free_port, wait_until
from wideseek.contracts import Mode, PromptProfile

COMMAND = [sys.executable, "-m", "services.cli.main", "eval"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
QUESTION = {"instance_id": "q", "question": "Capital of Peru?", "answers": ["Lima"], "suite": "tiny-qa", "kind": "one"}


@pytest.fixture
def orchestrator() -> Iterator[EvalOrchestrator]:
    """An orchestrator whose runs end as their queries say."""
    with serving() as parts:
        yield parts


def tasks_in(folder: Path, *names: str, questions: bool = False) -> str:
    """A task file; a task's name stands in its query."""
    records: list[dict[str, Any]] = [record(name) for name in names]
    return str(write_tasks(folder / "tasks.jsonl", *records, *([QUESTION] if questions else [])))


def wideseek_eval(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=100, env=ENVIRONMENT, check=False
    )


def summary_in(folder: Path) -> Summary:
    return Summary.model_validate_json((folder / "summary.json").read_bytes())


def test_tasks_are_run_scored_and_reported(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    out, tasks = tmp_path / "out", tasks_in(tmp_path, "good", "wrong", questions=True)

    done = wideseek_eval("--tasks", tasks, "--out", str(out), "--url", orchestrator.url, "--trials", "2")

    assert done.returncode == 0, done.stderr
    summary = summary_in(out)
    assert (summary.tasks, summary.trials, summary.unfinished) == (3, 2, {})
    assert summary.item_f1 is not None
    assert summary.item_f1.avg == pytest.approx((1 + 3 / 4) / 2)
    assert summary.row_f1 is not None
    assert summary.row_f1.avg == pytest.approx((1 + 1 / 2) / 2)
    assert summary.success is not None
    assert summary.success.avg == 0.5
    assert summary.official is not None
    assert summary.official.item_f1 == summary.item_f1
    assert summary.em is not None
    assert summary.em.avg == 1.0
    assert summary.cost["tokens"] == 100
    assert summary.cost["subagents"] == 1
    assert {trial.run_id for trial in read_trials(out)} == set(orchestrator.runs)
    assert done.stdout.splitlines()[1].split()[:3] == ["all", "(robust)", "3"]
    assert "6 of 6 done" in done.stderr
    assert "<html" in (out / "report.html").read_text("utf-8")


def test_a_finished_evaluation_is_not_run_again(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    command = ["--tasks", tasks_in(tmp_path, "a", "b"), "--out", str(tmp_path / "out"), "--url", orchestrator.url]
    wideseek_eval(*command, "--limit", "1")

    again = wideseek_eval(*command)

    assert again.returncode == 0
    assert [orchestrator.asked(name) for name in ("a", "b")] == [1, 1]
    assert summary_in(tmp_path / "out").tasks == 2


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(
    orchestrator: EvalOrchestrator, tmp_path: Path
) -> None:
    out, said = tmp_path / "out", tmp_path / "said"
    names = ("one", "endless-1", "endless-2", "endless-3")
    command = ["--tasks", tasks_in(tmp_path, *names), "--out", str(out), "--url", orchestrator.url]
    with said.open("w") as errors:
        process = subprocess.Popen([*COMMAND, *command, "--concurrency", "2"], stderr=errors, env=ENVIRONMENT)
        wait_until(lambda: len(orchestrator.runs) == 3, seconds=60, what="two endless runs")
        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 130
    assert "stopping: cancelling the runs in flight" in said.read_text()
    assert "the same command goes on" in said.read_text()
    assert [trial.instance_id for trial in read_trials(out)] == ["one"]
    statuses = {run.request.metadata["instance_id"]: run.fold.run().status for run in orchestrator.runs.values()}
    assert statuses == {"one": "completed", "endless-1": "cancelled", "endless-2": "cancelled"}
    assert summary_in(out).unfinished == dict.fromkeys((f"{name}#0" for name in names[1:]), "interrupted")
    orchestrator.released = True

    resumed = wideseek_eval(*command)

    assert resumed.returncode == 0, resumed.stderr
    assert [orchestrator.asked(name) for name in names] == [1, 2, 2, 1]
    assert len(read_trials(out)) == 4


def test_a_killed_evaluation_finds_its_runs_again(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["--tasks", tasks_in(tmp_path, "endless"), "--out", str(out), "--url", orchestrator.url]
    process = subprocess.Popen([*COMMAND, *command], stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    wait_until(lambda: orchestrator.runs, seconds=60, what="the run")
    process.kill()
    process.wait(10)
    orchestrator.released = True

    resumed = wideseek_eval(*command)

    assert resumed.returncode == 0, resumed.stderr
    assert orchestrator.asked("endless") == 1
    assert read_trials(out)[0].run_id == "ws_0"


def test_an_outage_is_retried_and_never_scored(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["--tasks", tasks_in(tmp_path, "good", "flaky", "fails"), "--out", str(out), "--url", orchestrator.url]

    done = wideseek_eval(*command, "--retries", "1")

    assert done.returncode == 3
    assert [orchestrator.asked(name) for name in ("good", "flaky", "fails")] == [1, 2, 2]
    assert "unfinished: fails#0: run: run ws_" in done.stderr
    assert sorted(trial.instance_id for trial in read_trials(out)) == ["flaky", "good"]
    summary = summary_in(out)
    assert list(summary.unfinished) == ["fails#0"]
    assert summary.item_f1 is not None
    assert summary.item_f1.avg == 1.0


def test_a_refused_request_stops_at_once_in_one_line(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, "refused", *(f"t{number}" for number in range(5)))

    done = wideseek_eval(
        "--tasks", tasks, "--out", str(tmp_path / "out"), "--url", orchestrator.url, "--concurrency", "1"
    )

    assert done.returncode == 2
    assert "wideseek: task refused was refused: /mode: mode: not for this query" in done.stderr
    assert not orchestrator.runs


def test_a_sweep_sets_modes_side_by_side(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["--tasks", tasks_in(tmp_path, "a"), "--out", str(out), "--url", orchestrator.url]

    done = wideseek_eval(*command, "--sweep", "mode=multi_agent,closed_book")

    assert done.returncode == 0, done.stderr
    assert [run.request.mode for run in orchestrator.runs.values()] == [Mode.MULTI_AGENT, Mode.CLOSED_BOOK]
    assert list(summary_in(out).sweep) == ["mode=multi_agent", "mode=closed_book"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["setting", "mode=multi_agent", "mode=closed_book"]
    assert (out / "mode=closed_book" / "results.jsonl").is_file()
    assert "<html" in (out / "report.html").read_text("utf-8")


def test_the_profile_is_the_clusters_unless_it_is_named(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    command = ["--tasks", tasks_in(tmp_path, "a"), "--url", orchestrator.url]

    wideseek_eval(*command, "--out", str(tmp_path / "unset"))
    done = wideseek_eval(*command, "--out", str(tmp_path / "short"), "--profile", "compact")

    assert done.returncode == 0, done.stderr
    assert [run.request.prompt_profile for run in orchestrator.runs.values()] == [None, PromptProfile.COMPACT]


def test_tokens_of_an_earlier_evaluation_are_the_budget_of_another(
    orchestrator: EvalOrchestrator, tmp_path: Path
) -> None:
    command = ["--tasks", tasks_in(tmp_path, "a"), "--url", orchestrator.url]
    wideseek_eval(*command, "--out", str(tmp_path / "first"))

    done = wideseek_eval(*command, "--out", str(tmp_path / "second"), "--budget-from", str(tmp_path / "first"))

    assert done.returncode == 0, done.stderr
    assert [run.request.limits.max_tokens for run in orchestrator.runs.values()] == [5_000_000, 100]


def test_a_language_model_judges_and_its_agreement_is_said(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    out, tasks = tmp_path / "out", write_tasks(tmp_path / "tasks.jsonl", QUESTION, {**QUESTION, "instance_id": "r"})
    judge = ["--judge", orchestrator.url, "--judge-model", "any"]

    done = wideseek_eval("--tasks", str(tasks), "--out", str(out), "--url", orchestrator.url, *judge)

    assert done.returncode == 0, done.stderr
    summary = summary_in(out)
    assert summary.judged is not None
    assert summary.judged.avg == 1.0
    assert summary.assumptions["judge_agreement"] == 1.0
    assert summary.assumptions["judge_verdicts_compared"] == 2
    assert orchestrator.judged >= 1
    assert (out / "judge_replies.jsonl").exists()


def test_widesearch_s_own_format_is_evaluated(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    released = {name: value for name, value in record("ws_en_001").items() if name in {"instance_id", "query"}}
    released |= {"evaluation": json.dumps(record("ws_en_001")["evaluation"]), "language": "en"}
    tasks, gold, out = write_tasks(tmp_path / "tasks.jsonl", released), tmp_path / "gold", tmp_path / "out"
    gold.mkdir()
    (gold / "ws_en_001.csv").write_text("Country,Capital,Unscored\nPeru,Lima,1\nChile,Santiago,2\n")

    done = wideseek_eval(
        "--tasks", str(tasks), "--gold", str(gold), "--out", str(out), "--url", orchestrator.url, "--limit", "1"
    )

    assert done.returncode == 0, done.stderr
    summary = summary_in(out)
    assert summary.item_f1 is not None
    assert summary.item_f1.avg == 1.0
    assert summary.official is not None
    assert summary.official.success is not None
    assert summary.official.success.avg == 1.0


def test_another_setting_in_the_same_folder_is_refused(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["--tasks", tasks_in(tmp_path, "a"), "--out", str(out), "--url", orchestrator.url]
    wideseek_eval(*command)
    before = (out / "results.jsonl").read_bytes()

    done = wideseek_eval(*command, "--width", "5")

    assert done.returncode == 2
    assert done.stderr == f"wideseek: {out}/evaluation.json: was made with width = unset, not 5; choose another --out\n"
    assert (out / "results.jsonl").read_bytes() == before


def test_an_orchestrator_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = wideseek_eval("--tasks", tasks_in(tmp_path, "a"), "--out", str(tmp_path / "out"), "--url", url)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"wideseek: no orchestrator at {url} (Connection refused): start")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mode", "solo"], "--mode solo: Input should be 'multi_agent'"),
        (["--profile", "terse"], "--prompt-profile terse: Input should be 'full' or 'compact'"),
        (["--width", "0"], "--width 0: Input should be greater than or equal to 1"),
        (["--sweep", "depth=1"], "--sweep depth=1: expected KEY=a,b,c"),
        (["--only", "z"], "--only z: no such task"),
        (["--judge", "gpt"], "--judge gpt: expected deterministic, none, or an address"),
        (["--trials", "0"], "--trials"),
        (["--budget-from", "/nowhere"], "/nowhere/results.jsonl: no such file"),
        (["--mode", "oracle_retrieval"], "task a: names no documents"),
    ],
)
def test_bad_options_end_in_one_line(
    orchestrator: EvalOrchestrator, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = wideseek_eval(
        "--tasks", tasks_in(tmp_path, "a"), "--out", str(tmp_path / "out"), "--url", orchestrator.url, *arguments
    )

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not orchestrator.runs


def test_a_bad_task_is_named_with_file_line_and_field(tmp_path: Path) -> None:
    pipeline = {"country": {"metric": ["exact_match"]}, "capital": {"metric": ["sounds_like"]}}
    bad = record("b")
    bad["evaluation"] = {**bad["evaluation"], "eval_pipeline": pipeline}
    tasks = write_tasks(tmp_path / "tasks.jsonl", record("a"), bad)

    done = wideseek_eval("--tasks", str(tasks), "--out", str(tmp_path / "out"))

    assert done.returncode == 2
    assert done.stderr.startswith(f"wideseek: {tasks}:2: evaluation.eval_pipeline.capital.metric: unknown metric")
    assert not (tmp_path / "out").exists()


def test_a_torn_line_is_cut_off_with_a_note(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["--tasks", tasks_in(tmp_path, "a", "b"), "--out", str(out), "--url", orchestrator.url]
    wideseek_eval(*command)
    whole = (out / "results.jsonl").read_bytes()
    (out / "results.jsonl").write_bytes(whole[:-100])

    done = wideseek_eval(*command)

    assert done.returncode == 0
    assert "results.jsonl:2: cut off a line that was not written to its end" in done.stderr
    assert len(read_trials(out)) == 2
    assert len(orchestrator.runs) == 2
    lines = (out / "results.jsonl").read_text().splitlines()
    assert all(json.loads(line)["instance_id"] in {"a", "b"} for line in lines)
