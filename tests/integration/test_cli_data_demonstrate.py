"""`wideseek data demonstrate` as people run it: a cluster asked, its good runs in a file, the rest counted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.kit.rollouts.store import RolloutStore
from tests.collect_parts import End, rollout_of
from tests.evaluation_parts import record, write_tasks
from tests.integration.eval_orchestrator import EvalOrchestrator, serving
from tests.servers import free_port, wait_until
from wideseek.codec import read_rollouts
from wideseek.contracts import PromptProfile, RunRequest
from wideseek.rollout import Rollout, RolloutSource

COMMAND = [sys.executable, "-m", "services.cli.main", "data", "demonstrate"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
QUESTION = {"instance_id": "q", "question": "Capital of Peru?", "answers": ["Lima"], "suite": "tiny-qa", "kind": "one"}


@pytest.fixture
def orchestrator(tmp_path: Path) -> Iterator[EvalOrchestrator]:
    """An orchestrator whose runs end as their queries say, and leave demonstrations in the home's store."""
    store = RolloutStore.open(str(tmp_path / "home" / "rollouts"))

    def stored(run_id: str, request: RunRequest, answer: str) -> None:
        end = End(answer=answer, source=RolloutSource.DEMONSTRATION)
        store.put(rollout_of(run_id, request, end), str(request.training.job_id))

    with serving() as parts:
        parts.record = stored
        yield parts


def tasks_in(folder: Path, *names: str, questions: bool = False) -> str:
    records: list[dict[str, Any]] = [record(name) for name in names]
    return str(write_tasks(folder / "tasks.jsonl", *records, *([QUESTION] if questions else [])))


def options(folder: Path, parts: EvalOrchestrator, tasks: str) -> list[str]:
    return ["--tasks", tasks, "--out", str(folder / "shown.bin"), "--url", parts.url, "--home", str(folder / "home")]


def demonstrate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=100, env=ENVIRONMENT, check=False
    )


def shown(folder: Path) -> list[Rollout]:
    with (folder / "shown.bin").open("rb") as stream:
        return list(read_rollouts(stream))


def test_what_scored_well_is_written_and_the_rest_is_counted(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    command = options(tmp_path, orchestrator, tasks_in(tmp_path, "good", "wrong", "fine", questions=True))

    done = demonstrate(*command)

    assert done.returncode == 0, done.stderr
    assert sorted(str(rollout.task_id) for rollout in shown(tmp_path)) == ["fine", "good", "q"]
    assert done.stderr == f"3 of 4 kept in {tmp_path}/shown.bin; left out: low_score 1\n"
    assert done.stdout == ""
    counted = json.loads((tmp_path / "shown.bin.json").read_text("utf-8"))
    assert (counted["recorded"], counted["kept"], counted["left_out"]) == (4, 3, {"low_score": 1})
    assert counted["agents"] == {"lead": 3}
    requests = [run.request for run in orchestrator.runs.values()]
    assert {request.prompt_profile for request in requests} == {PromptProfile.COMPACT}
    assert {request.training.job_id for request in requests} == {"demonstrations"}


def test_the_same_command_asks_nothing_twice_and_writes_the_same_bytes(
    orchestrator: EvalOrchestrator, tmp_path: Path
) -> None:
    command = options(tmp_path, orchestrator, tasks_in(tmp_path, "good", "fine"))
    demonstrate(*command, "--limit", "1")
    first = [rollout.task_id for rollout in shown(tmp_path)]
    demonstrate(*command)
    before = (tmp_path / "shown.bin").read_bytes()

    demonstrate(*command)

    assert first == ["good"]
    assert [orchestrator.asked(name) for name in ("good", "fine")] == [1, 1]
    assert len(shown(tmp_path)) == 2
    assert (tmp_path / "shown.bin").read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("shown*")) == ["shown.bin", "shown.bin.json"]


def test_what_is_good_enough_and_how_it_is_asked_are_options(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    command = options(tmp_path, orchestrator, tasks_in(tmp_path, "wrong"))
    asked = ["--profile", "full", "--job", "mine", "--model", "expert", "--store", str(tmp_path / "home" / "rollouts")]

    done = demonstrate(*command, *asked, "--min-score", "0.7", "--max-agent-tokens", "64")

    assert done.returncode == 0, done.stderr
    (request,) = (run.request for run in orchestrator.runs.values())
    assert (request.prompt_profile, request.model, request.training.job_id) == (PromptProfile.FULL, "expert", "mine")
    assert len(shown(tmp_path)) == 1


def test_ctrl_c_ends_it_in_a_line_and_the_same_command_goes_on(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    command = options(tmp_path, orchestrator, tasks_in(tmp_path, "good", "endless-1", "endless-2"))
    with (tmp_path / "said").open("w") as errors:
        process = subprocess.Popen([*COMMAND, *command, "--concurrency", "2"], stderr=errors, env=ENVIRONMENT)
        wait_until(lambda: len(orchestrator.runs) == 3, seconds=60, what="two endless runs")
        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 130
    assert (tmp_path / "said").read_text() == "wideseek: interrupted: the same command goes on\n"
    assert not (tmp_path / "shown.bin").exists()
    orchestrator.released = True

    resumed = demonstrate(*command)

    assert resumed.returncode == 0, resumed.stderr
    assert orchestrator.asked("good") == 1
    assert len(shown(tmp_path)) == 3


def test_an_outage_is_said_and_the_same_command_goes_on(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    command = options(tmp_path, orchestrator, tasks_in(tmp_path, "good", "flaky"))

    stopped = demonstrate(*command, "--retries", "0", "--concurrency", "1")
    resumed = demonstrate(*command)

    assert stopped.returncode == 3
    assert stopped.stderr.startswith("wideseek: demonstrating stopped: run: run ws_1 failed: model: does not answer")
    assert len(stopped.stderr.splitlines()) == 1
    assert resumed.returncode == 0, resumed.stderr
    assert [orchestrator.asked(name) for name in ("good", "flaky")] == [1, 2]


def test_a_refused_task_is_named(orchestrator: EvalOrchestrator, tmp_path: Path) -> None:
    done = demonstrate(*options(tmp_path, orchestrator, tasks_in(tmp_path, "refused")))

    assert done.returncode == 2
    assert done.stderr == "wideseek: task refused was refused: /mode: mode: not for this query\n"


def test_an_orchestrator_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = demonstrate(*options(tmp_path, EvalOrchestrator(url=url), tasks_in(tmp_path, "good")))

    assert done.returncode == 1
    assert done.stderr.startswith(f"wideseek: no orchestrator at {url} (Connection refused): start a cluster")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "{folder}/absent.jsonl"], "absent.jsonl: No such file"),
        (["--tasks", "{folder}/torn.jsonl"], "torn.jsonl:1: "),
        (["--tasks", "{folder}/tasks.jsonl"], "--tasks: good stands there twice"),
        (["--profile", "terse"], "--profile terse: use full or compact"),
        (["--out", "{folder}"], "is a folder"),
        (["--out", "{folder}/tasks.jsonl/shown.bin"], "tasks.jsonl"),
        (["--min-score", "2"], "--min-score"),
        (["--max-agent-tokens", "1"], "--max-agent-tokens"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_bad_input_ends_in_one_line_and_asks_nothing(
    orchestrator: EvalOrchestrator, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "torn.jsonl").write_text("{")
    command = options(tmp_path, orchestrator, tasks_in(tmp_path, "good"))

    done = demonstrate(*command, *(argument.replace("{folder}", str(tmp_path)) for argument in arguments))

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not orchestrator.runs
    assert not (tmp_path / "shown.bin").exists()
