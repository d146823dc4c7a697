"""The report of a policy: written from files alone, the same bytes from the same files, what is missing named."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from services.cli.main import main
from services.cli.policy_report import trained_columns
from services.evaluation.policy.charts import headline_charts
from services.evaluation.policy.report import SECTIONS, plots_of, read_report, render, write_report
from services.trainer.metrics.record import Interval, StepMetrics
from tests.policy_report_parts import TRAINED, arm_of, write_arm, write_arms

ARMS = """
title = "A small policy"
introduction = "What it is."

[arms.base]
title = "Base"
group = "headline"
reference = true

[arms.sft]
title = "SFT"
group = "headline"
model = "LoRA of rank 16"

[arms.marl]
title = "SFT + MARL"
group = "headline"

[arms.single]
title = "One agent"
group = "ablation"
mode = "single_agent"
token_budget = "sft"

[arms."widths/width=1"]
title = "Width 1"
group = "width"
series = "SFT"

[arms."widths/width=8"]
title = "Width 8"
group = "width"
series = "SFT"

[arms.wiki]
title = "Wikipedia"
group = "ood"
of = "sft"

[[compare]]
first = "sft"
second = "base"
why = "does the warm start help?"

[[compare]]
first = "marl"
second = "sft"

[[targets]]
arm = "sft"
metric = "item_f1"
difficulty = "named"
at_least = 0.8

[[targets]]
arm = "sft"
metric = "valid_calls"
at_least = 0.99

[training]
sft = "Warm start"
marl = "MARL"

[notes]
headline = "A note on the headline."
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything but the arm `marl` and the stage `marl`."""
    tmp_path = tmp_path_factory.mktemp("policy")
    folder = write_arms(tmp_path / "results", ARMS)
    write_arm(folder, "base", {"named-1": [0.0, 0.0], "filter-1": [0.1, 0.0]})
    write_arm(folder, "sft", {"named-1": [1.0, 0.8], "filter-1": [0.3, 0.5]}, format_failures=1)
    setting = {"mode": "single_agent", "budget_from": "sft (0123456789ab)"}
    write_arm(folder, "single", {"named-1": [0.5, 0.5]}, setting=setting)
    for width, score in ((1, 0.8), (8, 0.9)):
        write_arm(folder, f"widths/width={width}", {"named-1": [score]}, setting={"width": width})
    write_arm(folder, "wiki", {"list-1": [0.2, 0.4]})
    held_out = Interval(version=1, metric="item_f1", mean=0.7, low=0.6, high=0.8, tasks=4)
    steps = [
        StepMetrics(step=number, at=0, policy_version=1, scalars={"loss/value": 1 / number, "tokens/trained": 100})
        for number in range(1, 21)
    ]
    lines = [*steps, StepMetrics(step=20, at=0, policy_version=1, evaluation=(held_out,))]
    (tmp_path / "training" / "sft").mkdir(parents=True)
    text = "".join(line.model_dump_json() + "\n" for line in lines)
    (tmp_path / "training" / "sft" / "metrics.jsonl").write_text(text)
    return folder


@pytest.fixture(scope="module")
def text(results: Path) -> str:
    return page(results)


def page(results: Path) -> str:
    report = read_report(results, results.parent / "training", TRAINED)
    return render(report, plots_of(report), method="../evaluation.md")


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of a section's tables by their first cell."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in reversed(lines)}


def test_the_headline_has_every_arm_and_says_what_was_not_measured(text: str) -> None:
    found = rows(text, "Headline")

    assert text.startswith("# A small policy\n\nWhat it is.\n")
    assert "Not measured so far: SFT + MARL; training of MARL." in text
    assert found["SFT"][0] == "2 x 2"
    assert found["SFT"][1].startswith("0.650 [")
    assert found["SFT"][4] == "0.750 [0.750, 0.750]"
    assert found["SFT"][5] == "0.650, 0.650"
    assert found["SFT + MARL"] == ["not measured"] * 6
    assert "A note on the headline." in text


def test_difficulties_that_nobody_was_asked_are_not_measured(text: str) -> None:
    section = text.split("By difficulty, item F1:")[1].split("By difficulty, row F1:", maxsplit=1)[0]

    assert "| SFT | 0.900 [0.900, 0.900] | not measured | 0.400 [0.400, 0.400] |" in section


def test_targets_are_reached_by_the_mean(text: str) -> None:
    lines = [line for line in text.splitlines() if line.startswith("| SFT | item F1, named | 0.8")]
    missed = [line for line in text.splitlines() if "valid tool calls, all tasks" in line]

    assert lines[0].endswith("| yes |")
    assert missed[0].endswith("| no |")


def test_pairs_are_compared_task_by_task(text: str) -> None:
    # named: 0.9 - 0, filter: 0.4 - 0.05.
    assert "| SFT - Base (does the warm start help?) | item F1 | 2 | +0.625 [+0.350, +0.900] | above 0 |" in text
    assert "| SFT + MARL - SFT | item F1 | 0 | not measured | not measured |" in text


def test_columns_name_those_that_training_never_asks_for(text: str) -> None:
    found = rows(text, "Columns")

    assert "Columns that no training task asks for: gdp2023." in text
    assert found["capital"][0] == "in training"
    assert found["gdp2023"][0] == "held out"
    assert found["**held-out columns**"][2].startswith("0.325 [")


def test_settings_show_what_was_measured(text: str) -> None:
    one = rows(text, "One agent, other budgets, other engines")["One agent"]
    assert one[:4] == ["single_agent", "default", "as sft (0123456789ab)", "1 x 2"]
    assert rows(text, "Width")["Width 8"][:2] == ["multi_agent", "8"]
    assert rows(text, "In and out of domain")["Wikipedia"][:3] == [
        "1 x 2",
        "0.650 [0.400, 0.900]",
        "0.300 [0.300, 0.300]",
    ]
    assert rows(text, "In and out of domain")["Wikipedia"][-1] == "–"
    assert rows(text, "Cost of a task")["SFT"][:2] == ["1,000", "2.5"]
    stage = rows(text, "Learning curves")["Warm start"]
    assert stage == ["20", "2,000", "not measured", "0.750 → 0.051", "–"]
    assert rows(text, "What was measured")["SFT"][1] == "LoRA of rank 16"


def test_the_same_files_give_the_same_bytes_and_plots_that_stand_alone(results: Path, tmp_path: Path) -> None:
    folders = (tmp_path / "one", tmp_path / "two")
    for folder in folders:
        (folder / "plots").mkdir(parents=True)
        (folder / "plots" / "stale.svg").write_text("<svg/>")
        write_report(read_report(results, results.parent / "training", TRAINED), folder, method="x.md")

    first, second = ({path.name: path.read_bytes() for path in sorted(folder.rglob("*.*"))} for folder in folders)
    assert first == second
    assert "stale.svg" not in first
    assert {"README.md", "item_f1.svg", "width.svg", "columns.svg", "sft_loss.svg", "sft_held_out.svg"} <= set(first)
    shown = re.findall(r"\(plots/([a-z0-9_]+\.svg)\)", first["README.md"].decode())
    assert sorted(shown) == sorted(set(first) - {"README.md"})
    for name, content in first.items():
        if name.endswith(".svg"):
            assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
            assert b'fill="#ffffff"' in content


def test_nothing_measured_at_all_is_a_report_that_says_so(tmp_path: Path) -> None:
    folder = write_arms(tmp_path / "results", "[arms]\n")

    text = page(folder)

    assert all(f"## {heading}" in text for heading, _ in SECTIONS.values())
    assert text.count("Not measured.") >= 6
    assert "plots/" not in text
    assert not list(headline_charts([arm_of({})]))


def test_the_command_writes_the_report_and_names_what_is_missing(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["policies", "report", "--results", str(results), "--out", str(out)]

    with pytest.raises(SystemExit) as ended:
        main([*words, "--training", str(results.parent / "training")])

    said = capsys.readouterr()
    assert not ended.value.code
    assert str(out / "README.md") in said.out
    assert "not measured: marl, training/marl" in said.err
    assert (out / "plots" / "item_f1.svg").is_file()


def test_arms_that_were_evaluated_elsewhere_are_copied_without_what_the_report_does_not_need(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_arms(tmp_path / "results", ARMS)
    (results / "sft" / "evaluation.json").write_text("{}")

    with pytest.raises(SystemExit):
        main(["policies", "report", "--results", str(folder), "--out", str(tmp_path), "--collect", str(results)])

    assert "copied from " in (said := capsys.readouterr().err)
    assert ": base, sft, single, widths/width=1, widths/width=8, wiki" in said
    assert sorted(path.name for path in (folder / "sft").iterdir()) == ["results.jsonl", "summary.json"]
    assert "| SFT | 2 x 2 |" in (tmp_path / "README.md").read_text("utf-8")
    assert "([how](docs/evaluation.md))" in (tmp_path / "README.md").read_text("utf-8")


def test_a_mistake_ends_the_command_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["policies", "report", "--results", str(tmp_path), "--out", str(tmp_path / "out")])

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    assert "arms.toml: cannot be read" in said


def test_the_bundled_suites_say_which_columns_training_asks_for() -> None:
    trained = trained_columns()

    assert trained["population"]
    assert trained["country"]
    assert not trained["gdppercapita2023"]
    assert not trained["sharedborder"]
