"""The published Wikipedia tasks and questions, end to end: a corpus of its own is indexed, searched and scored."""

import gzip
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.results import Summary
from tests.e2e.processes import Cluster
from tests.servers import wait_until

OTHERS = 3_000
"""Pages indexed beside those that the tasks need."""


def records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def write_slice(wiki: Path, path: Path, needed: set[str]) -> None:
    """Lists, tables, the pages needed, and some that are not."""
    pages = records(wiki / "pages.jsonl.gz")
    kept = itertools.chain(
        records(wiki / "lists.jsonl.gz"),
        records(wiki / "tables.jsonl.gz"),
        itertools.islice((page for page in records(wiki / "pages.jsonl.gz") if page["url"] not in needed), OTHERS),
        (page for page in pages if page["url"] in needed),
    )
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(page) + "\n" for page in kept)


def evaluated(cluster: Cluster, tasks: Path, out: Path) -> Summary:
    command = [sys.executable, "-m", "services.cli.main", "eval", "--tasks", str(tasks), "--out", str(out)]
    options = ["--corpus", "wiki-slice", "--url", cluster.url("orchestrator")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return Summary.model_validate_json((out / "summary.json").read_bytes())


@pytest.mark.shared_data
def test_wiki_tasks_and_questions_give_a_number(whole: Cluster, shared_data: Path, tmp_path: Path) -> None:
    wiki = shared_data / "wiki"
    wide = [json.loads(line) for line in (wiki / "tasks_dev.jsonl").read_text("utf-8").splitlines()][::8]
    questions = [json.loads(line) for line in (wiki / "qa_dev.jsonl").read_text("utf-8").splitlines()][::6]
    needed = {url for task in wide for url in task["gold_docs"].values()} | {
        url for question in questions for url in question["gold_docs"]
    }
    write_slice(wiki, tmp_path / "pages.jsonl", needed)
    for name, chosen in (("wide", wide), ("questions", questions)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(task) + "\n" for task in chosen), "utf-8")
    command = [sys.executable, "-m", "services.cli.main", "index", "build", "--corpus", "wiki-slice", "--no-dense"]
    home = {**os.environ, "WIDESEEK_HOME": str(whole.folder / "home")}
    subprocess.run([*command, "--input", str(tmp_path / "pages.jsonl")], env=home, check=True, capture_output=True)
    wait_until(
        lambda: '"wiki-slice"' in whole.request("GET", "/v1/corpora", to="retrieval").text, seconds=30, what="the index"
    )

    tables = evaluated(whole, tmp_path / "wide.jsonl", tmp_path / "tables")
    answers = evaluated(whole, tmp_path / "questions.jsonl", tmp_path / "answers")

    assert tables.tasks == len(wide)
    assert tables.item_f1 is not None
    # Every table has its rows' names right, and nobody reads prose without a fault.
    assert 0.3 < tables.item_f1.avg < 1
    assert answers.tasks == len(questions)
    assert answers.em is not None
    assert 0 <= answers.em.avg < 1
    assert not tables.unfinished
    assert not answers.unfinished
