"""The expert on the bundled corpus through real agents and a real lexical index."""

import statistics
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.retrieval import factbook
from services.retrieval.corpus import Corpus
from tests.expert_parts import Cluster, Indexed, expert_app, expert_http, item_f1, open_cluster
from tests.retrieval_parts import index_of
from wideseek.instances import WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import score_robust

PER_KIND = 2


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    root = tmp_path_factory.mktemp("indexes")
    manifest = index_of(root, factbook.NAME, factbook.documents())
    return Indexed(Corpus.open(root / factbook.NAME, manifest))


@pytest.fixture
async def cluster(index: Indexed) -> AsyncIterator[Cluster]:
    async with expert_http(expert_app()) as http:
        yield await open_cluster(http, index)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (
            "for every landlocked country in South America: capital, area",
            [["Bolivia", "La Paz", "1098581"], ["Paraguay", "Asunción", "406752"]],
        ),
        (
            "capital and population of mali, chad and niger",
            [["Mali", "Bamako", "22634423"], ["Chad", "N'Djamena", "19674004"], ["Niger", "Niamey", "27322555"]],
        ),
        ("Who borders Denmark? Show the internet country code for each.", [["Canada", ".ca"], ["Germany", ".de"]]),
        (
            "Median age of Trinidad and Tobago and Antigua and Barbuda",
            [["Trinidad and Tobago", "39.1"], ["Antigua and Barbuda", "34.1"]],
        ),
    ],
)
async def test_plain_wordings_are_answered(cluster: Cluster, query: str, rows: list[list[str]]) -> None:
    trajectory = await cluster.ask(query)

    assert await item_f1(trajectory.final_text, rows) == 1.0


@pytest.mark.shared_data
@pytest.mark.parametrize("difficulty", ["named", "neighbours", "filter"])
async def test_development_tasks_are_answered(cluster: Cluster, shared_data: Path, difficulty: str) -> None:
    lines = (shared_data / "factbook" / "tasks_dev.jsonl").read_text().splitlines()
    tasks = [task for task in map(WideTask.model_validate_json, lines) if task.difficulty == difficulty][:PER_KIND]

    answers = [(await cluster.ask(task.query)).final_text for task in tasks]
    scored = [await score_robust(answer, task, NoJudge()) for answer, task in zip(answers, tasks, strict=True)]

    assert statistics.fmean(score.scores.f1_by_item for score in scored) >= 0.95
