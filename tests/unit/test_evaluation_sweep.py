"""A sweep: one evaluation a value, each in its folder, one summary above them."""

from pathlib import Path

import pytest

from services.evaluation.journal import read_trials
from services.evaluation.options import Setting, make_sweep
from services.evaluation.results import Summary
from services.evaluation.sweep import evaluate_sweep
from services.kit.asking import Stop
from tests.evaluation_parts import ScriptedRuns, means_of, plan_of, wide
from wideseek.contracts import RunStatus
from wideseek.errors import InvalidRequest


async def test_each_value_is_an_evaluation_in_a_folder_of_its_own(tmp_path: Path) -> None:
    runs, sweep = ScriptedRuns(), make_sweep("width=1,5", Setting(max_turns=3))

    summary = await evaluate_sweep(plan_of(tmp_path, wide("a"), max_turns=3), sweep, means_of(runs))

    assert [request.limits.max_width for request in runs.requests] == [1, 5]
    assert list(summary.sweep) == ["width=1", "width=5"]
    assert summary.sweep["width=5"].item_f1 is not None
    assert summary.setting["sweep"] == "width"
    assert summary.setting["max_turns"] == 3
    assert "width" not in summary.setting
    assert len(read_trials(tmp_path / "width=1")) == 1
    assert not (tmp_path / "results.jsonl").exists()
    assert Summary.model_validate_json((tmp_path / "summary.json").read_bytes()) == summary
    inner = Summary.model_validate_json((tmp_path / "width=5" / "summary.json").read_bytes())
    assert inner.setting["width"] == 5


async def test_a_sweep_is_gone_on_with_and_takes_further_values(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"))
    await evaluate_sweep(plan, make_sweep("mode=multi_agent", Setting()), means_of(ScriptedRuns()))
    again = ScriptedRuns()

    summary = await evaluate_sweep(plan, make_sweep("mode=multi_agent,closed_book", Setting()), means_of(again))

    assert [request.mode.value for request in again.requests] == ["closed_book"]
    assert list(summary.sweep) == ["mode=multi_agent", "mode=closed_book"]


async def test_what_is_unfinished_is_named_with_its_setting(tmp_path: Path) -> None:
    runs, sweep = ScriptedRuns(script=[RunStatus.FAILED] * 3), make_sweep("width=1,5", Setting())

    summary = await evaluate_sweep(plan_of(tmp_path, wide("a")), sweep, means_of(runs))

    assert list(summary.unfinished) == ["width=1: a#0"]
    assert list(summary.sweep) == ["width=5"]


async def test_a_stopped_sweep_begins_no_further_value(tmp_path: Path) -> None:
    runs, stop = ScriptedRuns(), Stop()
    stop.set("interrupted")

    summary = await evaluate_sweep(
        plan_of(tmp_path, wide("a")), make_sweep("width=1,5", Setting()), means_of(runs, stop=stop)
    )

    assert not runs.requests
    assert summary.unfinished == {"width=1: a#0": "interrupted", "width=5: a#0": "interrupted"}


async def test_nothing_is_asked_when_a_value_cannot_be(tmp_path: Path) -> None:
    runs, sweep = ScriptedRuns(), make_sweep("mode=multi_agent,oracle_retrieval", Setting())

    with pytest.raises(InvalidRequest, match="task a: names no documents"):
        await evaluate_sweep(plan_of(tmp_path / "out", wide("a")), sweep, means_of(runs))

    assert not runs.requests
    assert not (tmp_path / "out").exists()


async def test_a_folder_of_another_sweep_is_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"))
    await evaluate_sweep(plan, make_sweep("width=1", Setting()), means_of(ScriptedRuns()))

    with pytest.raises(InvalidRequest, match="was made with --sweep of width, not of max_turns"):
        await evaluate_sweep(plan, make_sweep("max_turns=1", Setting()), means_of(ScriptedRuns()))
