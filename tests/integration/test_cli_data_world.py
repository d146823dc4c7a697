"""`wideseek data world` as people run it, and its world as the expert reads it."""

import hashlib
import json
from pathlib import Path

import pytest

from services.retrieval.corpus import Corpus
from services.retrieval.documents import read_jsonl
from tests.data_commands import Done, read_lines, run_data
from tests.expert_parts import Indexed, expert_app, expert_http, open_cluster
from tests.retrieval_parts import index_of
from wideseek.instances import WideTask
from wideseek.judging import DeterministicJudge
from wideseek.metrics import score_robust


def run(folder: Path, *options: str) -> Done:
    return run_data(folder, "world", *options)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("world")
    return folder, run(folder, "--seed", "9", "--count", "30", "--out", "made")


def test_tasks_corpus_and_manifest_are_written(world: tuple[Path, Done]) -> None:
    folder, done = world

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "30 tasks (filter 10, named 10, neighbours 10)" in done.stderr
    assert "index made/corpus.jsonl as a corpus of its own" in done.stderr
    manifest = json.loads((folder / "made" / "manifest.json").read_text("utf-8"))
    assert (manifest["synthetic"], manifest["seed"], manifest["tasks"]["count"]) == (True, 9, 30)
    for name in ("tasks", "corpus"):
        file = folder / "made" / manifest[name]["file"]
        assert manifest[name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    pages = list(read_jsonl(folder / "made" / "corpus.jsonl"))
    assert len(pages) == manifest["corpus"]["count"]
    assert {f"factbook:{name}" for name in manifest["regions"]} <= {page.url for page in pages}


def test_the_same_seed_makes_the_same_files(world: tuple[Path, Done]) -> None:
    folder, _ = world

    again = run(folder, "--seed", "9", "--count", "30", "--out", "again")

    assert again.returncode == 0, again.stderr
    for name in ("tasks.jsonl", "corpus.jsonl", "manifest.json"):
        assert (folder / "made" / name).read_bytes() == (folder / "again" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--count", "9", "--difficulty", "hard"), "difficulty 'hard' is unknown; there are: named, neighbours"),
        (("--count", "9", "--rows", "150-160"), "--count 9: there are 0 such tasks in the world of seed 0"),
        (("--count", "9", "--columns", "few"), "--columns few: give LEAST-MOST"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_line_and_nothing_is_written(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, "--out", "made", *options)

    assert done.returncode != 0
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "made").exists()


async def test_the_expert_answers_from_the_pages_of_the_world(world: tuple[Path, Done], tmp_path: Path) -> None:
    folder, _ = world
    manifest = index_of(tmp_path, "world", read_jsonl(folder / "made" / "corpus.jsonl"))
    tasks = [WideTask.model_validate(record) for record in read_lines(folder / "made" / "tasks.jsonl")[:9]]
    scores = []

    async with expert_http(expert_app()) as http:
        cluster = await open_cluster(http, Indexed(Corpus.open(tmp_path / "world", manifest)))
        for task in tasks:
            trajectory = await cluster.ask(task.query)
            scores.append((await score_robust(trajectory.final_text, task, DeterministicJudge())).scores.f1_by_item)

    assert sum(scores) / len(scores) >= 0.9
