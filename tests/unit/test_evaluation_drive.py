"""An evaluation from task to summary, on an orchestrator in memory: outages, interruptions, resumption."""

import asyncio
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from services.evaluation.drive import evaluate
from services.evaluation.journal import read_trials
from services.evaluation.live import Board, duration, shown
from services.evaluation.options import Work
from services.evaluation.results import Summary, Trial
from services.kit.asking import Answered, Stop
from tests.evaluation_parts import ScriptedRuns, easy_mark, means_of, plan_of, question, trial_of, wide
from wideseek.clients.orchestrator import OrchestratorUnavailable, WrongState
from wideseek.contracts import RunStatus
from wideseek.errors import ContractViolation, InvalidRequest, JudgeUnavailable, RunNotFound


async def test_every_task_and_trial_is_run_and_stored(tmp_path: Path) -> None:
    runs = ScriptedRuns()
    plan = plan_of(tmp_path, wide("a"), question("q"), trials=2)

    summary = await evaluate(plan, means_of(runs))

    assert sorted((trial.instance_id, trial.trial) for trial in read_trials(tmp_path)) == [
        ("a", 0),
        ("a", 1),
        ("q", 0),
        ("q", 1),
    ]
    assert summary == Summary.model_validate_json((tmp_path / "summary.json").read_bytes())
    assert (summary.tasks, summary.unfinished) == (2, {})
    assert len(runs.requests) == 4


async def test_no_more_runs_are_in_flight_than_allowed(tmp_path: Path) -> None:
    runs, most = ScriptedRuns(), 0

    async def mark(work: Work, answered: Answered) -> Trial:
        nonlocal most
        most = max(most, len(runs.requests) - len(read_trials(tmp_path)))
        return await easy_mark(work, answered)

    await evaluate(plan_of(tmp_path, *(wide(f"t{n}") for n in range(9))), means_of(runs, mark=mark, concurrency=3))

    assert most == 3


async def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    await evaluate(plan_of(tmp_path, wide("a"), wide("b")), means_of(ScriptedRuns()))
    again = ScriptedRuns()

    summary = await evaluate(plan_of(tmp_path, wide("a"), wide("b"), wide("c"), trials=1), means_of(again))

    assert [request.metadata["instance_id"] for request in again.requests] == ["c"]
    assert summary.tasks == 3


async def test_a_finished_evaluation_needs_no_cluster(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"))
    before = await evaluate(plan, means_of(ScriptedRuns()))

    def nobody() -> None:
        raise AssertionError("was asked")

    assert await evaluate(plan, means_of(ScriptedRuns(), check=nobody)) == before


@pytest.mark.parametrize("end", [RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.INCOMPLETE])
async def test_a_run_that_an_outage_ended_is_asked_again(tmp_path: Path, end: RunStatus) -> None:
    runs = ScriptedRuns(script=[end])

    summary = await evaluate(plan_of(tmp_path, wide("a")), means_of(runs))

    assert len(runs.requests) == 2
    assert len(runs.by_key) == 2
    assert read_trials(tmp_path)[0].run_id == "ws_1"
    assert not summary.unfinished


async def test_an_outage_that_lasts_leaves_the_trial_unfinished_and_scores_nothing(tmp_path: Path) -> None:
    runs = ScriptedRuns(script=[RunStatus.FAILED] * 3)

    summary = await evaluate(plan_of(tmp_path, wide("a"), wide("b")), means_of(runs, concurrency=1))

    assert summary.unfinished == {"a#0": "run: run ws_2 failed: model: does not answer"}
    assert [trial.instance_id for trial in read_trials(tmp_path)] == ["b"]
    assert summary.item_f1 is not None
    assert summary.item_f1.avg == 1.0


async def test_the_next_call_asks_unfinished_trials_again(tmp_path: Path) -> None:
    runs = ScriptedRuns(script=[RunStatus.FAILED] * 3)
    plan = plan_of(tmp_path, wide("a"))
    await evaluate(plan, means_of(runs))

    summary = await evaluate(plan, means_of(runs))

    assert not summary.unfinished
    assert [run.status for run in runs.runs.values()] == [*[RunStatus.FAILED] * 3, RunStatus.COMPLETED]


async def test_a_run_made_before_a_crash_is_found_and_not_paid_for_again(tmp_path: Path) -> None:
    runs, plan = ScriptedRuns(), plan_of(tmp_path, wide("a"))

    async def crash(work: Work, answered: Answered) -> Trial:
        raise MemoryError

    with pytest.raises(MemoryError):
        await evaluate(plan, means_of(runs, mark=crash))
    await evaluate(plan, means_of(runs))

    assert len(runs.requests) == 1
    assert read_trials(tmp_path)[0].run_id == "ws_0"


async def test_a_run_whose_log_is_gone_is_made_anew(tmp_path: Path) -> None:
    runs = ScriptedRuns(script=[RunNotFound("no run"), WrongState("in flight", code="x", retryable=True)])

    summary = await evaluate(plan_of(tmp_path, wide("a")), means_of(runs))

    assert not summary.unfinished


async def test_an_orchestrator_that_is_gone_stops_the_evaluation(tmp_path: Path) -> None:
    runs = ScriptedRuns(script=[OrchestratorUnavailable("refused")] * 3)
    stop = Stop()

    summary = await evaluate(plan_of(tmp_path, wide("a"), wide("b")), means_of(runs, stop=stop, concurrency=1))

    assert summary.unfinished == {"a#0": "orchestrator: refused", "b#0": "orchestrator: refused"}
    assert stop.why == "orchestrator: refused"
    assert not read_trials(tmp_path)


async def test_a_refused_request_stops_everything_at_once(tmp_path: Path) -> None:
    runs = ScriptedRuns(script=[InvalidRequest("mode: not for this query", field="/mode")])

    with pytest.raises(InvalidRequest, match="task a was refused: /mode: mode: not for this query"):
        await evaluate(plan_of(tmp_path, wide("a"), wide("b")), means_of(runs, concurrency=1))

    assert not runs.requests
    unfinished = json.loads((tmp_path / "summary.json").read_text())["unfinished"]
    assert unfinished == {"a#0": "mode: not for this query", "b#0": "stopped: a task was refused"}


async def test_an_answer_that_breaks_the_protocol_stops_everything(tmp_path: Path) -> None:
    runs = ScriptedRuns(script=[ContractViolation("no Run")])

    with pytest.raises(InvalidRequest, match="task a cannot be evaluated: no Run"):
        await evaluate(plan_of(tmp_path, wide("a"), wide("b")), means_of(runs, concurrency=1))

    assert not read_trials(tmp_path)


async def test_a_judge_that_is_down_is_no_score_and_the_run_is_not_repeated(tmp_path: Path) -> None:
    runs, failures = ScriptedRuns(), 2

    async def mark(work: Work, answered: Answered) -> Trial:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise JudgeUnavailable("does not answer")
        return await easy_mark(work, answered)

    await evaluate(plan_of(tmp_path, wide("a")), means_of(runs, mark=mark))

    assert len(runs.requests) == 1
    assert len(read_trials(tmp_path)) == 1


async def test_a_stop_cancels_the_runs_in_flight_and_keeps_what_is_finished(tmp_path: Path) -> None:
    runs, stop = ScriptedRuns(), Stop()
    plan = plan_of(tmp_path, *(wide(f"t{n}") for n in range(5)))
    await evaluate(plan_of(tmp_path, wide("t0")), means_of(runs))
    runs.endless = True

    async with asyncio.TaskGroup() as group:
        evaluating = group.create_task(evaluate(plan, means_of(runs, stop=stop, concurrency=2)))
        async with asyncio.timeout(10):
            await runs.made[3].wait()
        stop.set("interrupted")
    summary = evaluating.result()

    assert sorted(runs.cancelled) == ["ws_1", "ws_2"]
    assert summary.tasks == 1
    assert summary.unfinished == {f"t{n}#0": "interrupted" for n in range(1, 5)}

    runs.endless = False
    resumed = await evaluate(plan, means_of(runs))

    assert (resumed.tasks, resumed.unfinished) == (5, {})
    assert len(read_trials(tmp_path)) == 5
    assert [request.metadata["instance_id"] for request in runs.requests].count("t0") == 1


async def test_a_trial_of_an_unknown_task_in_the_results_is_an_error(tmp_path: Path) -> None:
    await evaluate(plan_of(tmp_path, wide("a")), means_of(ScriptedRuns()))
    path = tmp_path / "results.jsonl"
    path.write_text(path.read_text() + json.dumps(trial_of("z").model_dump(mode="json")) + "\n")

    with pytest.raises(InvalidRequest, match=r"results.jsonl:2: instance_id: trial 0 of z is not of this evaluation"):
        await evaluate(plan_of(tmp_path, wide("a")), means_of(ScriptedRuns()))


def test_the_board_says_how_far_it_is_and_how_good() -> None:
    board = Board(total=4, name="width=2")
    board.keep([trial_of("a", item_f1=1.0)])
    board.begin()
    board.begin()
    board.begin()
    board.end(trial_of("b", item_f1=0.5, group="filter"))
    board.leave()

    line = board.line()

    assert line.startswith("width=2: 0 s: 2 of 4 done, 1 running, 1 unfinished, ")
    assert "item F1 0.750 (n=2: filter 0.500, named 1.000), 2,000 tokens, about 0 s left" in line


async def test_the_board_is_drawn_on_a_terminal_and_said_elsewhere() -> None:
    board = Board(total=1)
    drawn, said = io.StringIO(), io.StringIO()

    async with shown(board, Console(file=drawn, force_terminal=True, width=120)):
        board.begin()
        board.end(trial_of("a"))
    async with shown(board, Console(file=said, width=120)):
        pass

    assert "1 of 1 done" in drawn.getvalue()
    assert said.getvalue().startswith("0 s: 1 of 1 done, 0 running, item F1 1.000 (n=1)")


@pytest.mark.parametrize(("seconds", "said"), [(12.4, "12 s"), (185, "3 min 05 s"), (7_620, "2 h 07 min")])
def test_a_duration_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
