"""`wideseek data twin` as people run it, and its world as the expert reads it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.retrieval.corpus import Corpus
from services.retrieval.documents import read_jsonl
from services.suites.generate import generate
from services.suites.wide_records import SUITE
from tests.data_commands import Done, read_lines, run_data
from tests.expert_parts import Indexed, expert_app, expert_http, open_cluster
from tests.factbook_gold import cells_missing
from tests.retrieval_parts import index_of, jsonl
from wideseek.instances import WideTask
from wideseek.judging import DeterministicJudge
from wideseek.metrics import score_robust


def run(folder: Path, *options: str) -> Done:
    return run_data(folder, "twin", *options)


def _texts(path: Path) -> Mapping[str, str]:
    return {page.url: page.text for page in read_jsonl(path)}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("twin")
    question = {"instance_id": "q", "question": "Who?", "answers": ["A"], "suite": "factbook-qa"}
    jsonl(folder / "tasks.jsonl", [*generate(SUITE, "train", 60, seed=2), question])
    return folder, run(folder, "--tasks", "tasks.jsonl", "--seed", "9", "--out", "made")


def test_twins_a_corpus_and_a_manifest_are_written(twin: tuple[Path, Done]) -> None:
    folder, done = twin
    manifest = json.loads((folder / "made" / "manifest.json").read_text(encoding="utf-8"))
    tasks = read_lines(folder / "made" / "tasks.jsonl")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert manifest["synthetic"] is True
    assert manifest["seed"] == 9
    assert manifest["tasks"]["count"] == len(tasks) == 61 - len(manifest["dropped"])
    assert manifest["source"]["sha256"] == hashlib.sha256((folder / "tasks.jsonl").read_bytes()).hexdigest()
    for part in ("tasks", "corpus"):
        file = folder / "made" / manifest[part]["file"]
        assert manifest[part]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_has_no_twin_is_named_with_its_reason(twin: tuple[Path, Done]) -> None:
    folder, done = twin
    dropped = json.loads((folder / "made" / "manifest.json").read_text(encoding="utf-8"))["dropped"]

    assert dropped[-1] == {"instance_id": "q", "line": 61, "why": "is no wide task over the Factbook"}
    for one in dropped:
        assert f"{one['instance_id']} (line {one['line']}): {one['why']}" in done.stderr
    assert f"{61 - len(dropped)} twins" in done.stderr


def test_the_corpus_has_every_page_and_all_the_gold(twin: tuple[Path, Done]) -> None:
    folder, _ = twin
    texts = _texts(folder / "made" / "corpus.jsonl")

    missing = [cells_missing(task, texts)[1] for task in read_lines(folder / "made" / "tasks.jsonl")]

    assert len(texts) == 269
    assert not any(missing)


def _size(task: WideTask) -> tuple[bool, bool, int]:
    """Small tasks first: South America has the fewest states to look through."""
    return "africa" in task.meta["regions"], "europe" in task.meta["regions"], len(task.gold_docs)


async def test_the_expert_reads_the_shifted_numbers(twin: tuple[Path, Done], tmp_path: Path) -> None:
    folder, _ = twin
    corpus = tmp_path / "twin"
    manifest = index_of(tmp_path, "twin", read_jsonl(folder / "made" / "corpus.jsonl"))
    tasks = [WideTask.model_validate(record) for record in read_lines(folder / "made" / "tasks.jsonl")]
    scores = []

    async with expert_http(expert_app()) as http:
        cluster = await open_cluster(http, Indexed(Corpus.open(corpus, manifest)))
        for difficulty in ("named", "neighbours", "filter"):
            task = min((task for task in tasks if task.difficulty == difficulty), key=_size)
            trajectory = await cluster.ask(task.query)
            scored = await score_robust(trajectory.final_text, task, DeterministicJudge())
            scores.append(scored.scores.f1_by_item)

    assert sum(scores) / len(scores) >= 0.9


@pytest.mark.shared_data
def test_the_development_tasks_have_twins(shared_data: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "--tasks", str(shared_data / "factbook" / "tasks_dev.jsonl"), "--seed", "5", "--out", "made")
    texts = _texts(tmp_path / "made" / "corpus.jsonl")
    tasks = read_lines(tmp_path / "made" / "tasks.jsonl")

    assert done.returncode == 0, done.stderr
    assert len(tasks) >= 30
    assert {task["difficulty"] for task in tasks} == {"named", "neighbours", "filter"}
    assert not any(cells_missing(task, texts)[1] for task in tasks)


@pytest.mark.parametrize(
    ("lines", "out", "said"),
    [
        (["{"], "made", "tasks.jsonl, line 1: not JSON"),
        ([], "made", "tasks.jsonl: no task has a twin (no tasks)"),
        ([json.dumps({"instance_id": "q", "question": "Who?", "answers": ["A"]})], "made", "no task has a twin (is no"),
        ([], ".", "the tasks themselves lie there; nothing was written"),
    ],
)
def test_tasks_that_cannot_be_used_are_one_line(tmp_path: Path, lines: list[str], out: str, said: str) -> None:
    (tmp_path / "tasks.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    done = run(tmp_path, "--tasks", "tasks.jsonl", "--out", out)

    assert done.returncode != 0
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.jsonl"]
