"""An evaluation's numbers on a terminal: all of them, on one line each or costs below scores."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from services.cli.measured import print_measured
from services.evaluation.results import Group, Metric, Summary
from services.evaluation.summary import summarise
from tests.evaluation_parts import plan_of, trial_of, wide


def printed(summary: Summary, width: int) -> list[str]:
    output = io.StringIO()
    print_measured(summary, Console(file=output, width=width))
    return [line.rstrip() for line in output.getvalue().splitlines()]


def test_both_scorers_and_every_group_have_a_line(tmp_path: Path) -> None:
    summary = summarise(plan_of(tmp_path, wide("a")), [trial_of("a", item_f1=0.5)], {}, {})

    lines = printed(summary, 200)

    assert [line.split("  ")[0] for line in lines[1:]] == ["all (robust)", "all (official)", "named"]
    assert lines[1].split()[2:6] == ["1", "0.500", "[0.500,", "0.500]"]
    assert "1,000" in lines[1]
    assert "judged" not in lines[0]


def test_a_sweep_has_a_line_for_each_setting() -> None:
    values: dict[str, Any] = {"tasks": 3, "trials": 1, "item_f1": Metric(avg=0.25, max=0.5, ci95=(0.1, 0.4))}
    sweep = {f"width={width}": Group(**values) for width in (1, 10)}

    lines = printed(Summary(tasks=3, trials=1, sweep=sweep), 200)

    assert lines[0].startswith("setting")
    assert [line.split()[0] for line in lines[1:]] == ["width=1", "width=10"]
    assert "0.250 [0.100, 0.400]" in lines[1]


def test_a_narrow_terminal_cuts_nothing_off(tmp_path: Path) -> None:
    summary = summarise(plan_of(tmp_path, wide("a")), [trial_of("a")], {}, {})

    lines = printed(summary, 80)

    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("all (robust)") for line in lines) == 2
    assert not any("…" in line for line in lines)


def test_nothing_finished_is_shown_as_nothing(tmp_path: Path) -> None:
    lines = printed(summarise(plan_of(tmp_path, wide("a")), [], {"a#0": "interrupted"}, {}), 200)

    assert lines[1].split() == ["all", "0", "–", "–", "–", "–", "–"]
