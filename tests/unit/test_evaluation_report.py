"""The report of an evaluation: everything on one page, nothing fetched, text from outside kept text."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from services.evaluation.charts import column_accuracy
from services.evaluation.report import Evaluated, read_evaluated, render, write_report
from services.evaluation.results import AnswerScores, Cost, Group, Metric, Summary, Trial
from services.kit import plots
from wideseek.contracts import RunStatus
from wideseek.instances import Scores

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def metric(avg: float) -> Metric:
    return Metric(avg=avg, max=min(1.0, avg + 0.1), ci95=(max(0.0, avg - 0.05), min(1.0, avg + 0.05)))


def wide(name: str, item_f1: float, **more: object) -> Trial:
    scores = Scores(score=float(item_f1 == 1), f1_by_item=item_f1, f1_by_row=item_f1 / 2)
    values: dict[str, object] = {
        "instance_id": name,
        "trial": 0,
        "run_id": f"ws_{name}",
        "status": RunStatus.COMPLETED,
        "suite": "factbook-wide",
        "group": "named",
        "response_text": "| a |",
        "scores": {"robust": scores, "official": scores},
        "columns": {"capital": 1.0, "population": item_f1},
        "cost": Cost(tokens=1_200, waves=(3, 1), turns={"lead": (2,), "subagent": (3, 3, 4)}, wall_s=2, work_s=5),
        "seconds": 2.5,
    }
    return Trial.model_validate(values | more)


def summary(**more: object) -> Summary:
    values: dict[str, object] = {
        "tasks": 2,
        "trials": 1,
        "item_f1": metric(0.75),
        "row_f1": metric(0.4),
        "success": metric(0.5),
        "cost": {"tokens": 1_200.0, "wall_s": 2.0, "critical_path_s": 1.0, "critical_path_calls": 5.0},
        "by": {"named": Group(tasks=2, trials=1, item_f1=metric(0.75))},
        "setting": {"mode": "multi_agent", "width": 20},
        "tasks_sha256": "ab" * 32,
    }
    return Summary.model_validate(values | more)


class _Shape(HTMLParser):
    """Open elements and what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.figures = 0
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.figures += tag == "figure"
        self.scripts += tag == "script"
        self.fetched += [value or "" for name, value in attrs if name in {"src", "srcset"} or tag == "link"]


def shape(page: str) -> _Shape:
    parser = _Shape()
    parser.feed(page)
    return parser


def test_the_report_shows_scores_costs_and_what_went_wrong() -> None:
    trials = [wide("t1", 1.0), wide("t2", 0.5, incomplete_reason="turn_limit", status=RunStatus.INCOMPLETE)]

    page = render(Evaluated(summary(), trials, "http://127.0.0.1:8080"), now=NOON)

    assert "0.750" in page
    assert "0.700 to 0.800" in page
    assert 'href="http://127.0.0.1:8080/v1/widesearch/ws_t2"' in page
    assert "ws_t1" not in page
    assert "turn_limit; columns not right: population 50%" in page
    assert "incomplete: turn_limit: 1" in page
    assert "2026-01-02 12:00 UTC" in page


def test_the_page_stands_alone_with_its_plots() -> None:
    found = shape(render(Evaluated(summary(), [wide("t1", 1.0), wide("t2", 0.2)], "http://h"), now=NOON))

    assert found.fetched == []
    assert found.scripts == 0
    assert found.figures == 7


def test_text_from_outside_stays_text() -> None:
    hostile = wide("t1", 0.0, problem="<script>alert(1)</script>", columns={"<b>$x$": 0.0})

    page = render(Evaluated(summary(), [hostile], "javascript:alert(1)//http://"), now=NOON)

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "javascript:" not in page
    assert "<b>$x$" not in page


def test_questions_are_shown_by_their_own_metrics() -> None:
    answer = AnswerScores(em=0, f1=0.25, given="Old Town")
    trial = wide("q1", 0.0, scores={}, columns={}, answer=answer, group="multi_hop")
    numbers = summary(item_f1=None, row_f1=None, success=None, em=metric(0.0), f1=metric(0.25), by={})

    page = render(Evaluated(numbers, [trial]), now=NOON)

    assert "answered: Old Town" in page
    assert "Token F1 of answers" in page
    assert "Exact match" in page


def test_a_sweep_of_numbers_is_drawn_as_curves_and_one_of_names_as_bars(tmp_path: Path) -> None:
    settings = {"width=1": summary(), "width=10": summary(item_f1=metric(0.9))}
    for name, numbers in settings.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(numbers.model_dump_json())
        (tmp_path / name / "results.jsonl").write_text(wide("t1", 0.5).model_dump_json() + "\n")
    groups = {
        name: Group.model_validate(numbers.model_dump(include=set(Group.model_fields)))
        for name, numbers in settings.items()
    }
    (tmp_path / "summary.json").write_text(summary(sweep=groups).model_dump_json())

    page = write_report(tmp_path).read_text("utf-8")
    named = render(Evaluated(summary(sweep={"mode=multi_agent": groups["width=1"]}), []), now=NOON)

    assert "Score by width" in page
    assert "Seconds by width" in page
    assert "Critical path by width" in page
    assert "0.900 [0.850, 0.950]" in page
    assert "item F1 by mode" in named
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "summary.json", "width=1", "width=10"]


def test_unfinished_runs_are_named_at_the_top() -> None:
    page = render(Evaluated(summary(unfinished={"t9#0": "model: down"}), [wide("t1", 1.0)]), now=NOON)

    assert "1 runs did not end and are in no mean" in page
    assert "t9#0" in page


def test_a_directory_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_evaluated(tmp_path)


def test_column_accuracy_is_the_mean_over_the_trials_that_have_the_column() -> None:
    trials = [wide("a", 1.0, columns={"x": 1.0, "y": 0.5}), wide("b", 1.0, columns={"x": 0.0})]

    assert column_accuracy(trials) == {"x": 0.5, "y": 0.5}


def test_the_same_data_gives_the_same_picture() -> None:
    first = plots.histogram({"a": [0.1, 0.9], "b": [0.5]}, x="x", y="y", bins=[0, 0.5, 1])
    second = plots.histogram({"a": [0.1, 0.9], "b": [0.5]}, x="x", y="y", bins=[0, 0.5, 1])

    assert first == second
    assert first.startswith("<svg ")
    assert re.search(r">\s*a\s*</text>", first)


def test_whole_numbers_get_a_bar_each_and_many_are_grouped() -> None:
    assert plots.counts({"w": [1, 1, 20]}, x="width", y="waves").startswith("<svg ")
    assert plots.counts({"w": [1, 5_000]}, x="width", y="waves").startswith("<svg ")
