"""The expert on the bundled corpus through real agents and a real lexical index."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.retrieval import factbook
from services.retrieval.corpus import Corpus
from tests.expert_parts import Cluster, Indexed, expert_app, expert_http, item_f1, open_cluster
from tests.retrieval_parts import index_of
from wideseek.tables import parse_markdown_table

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

    assert item_f1(trajectory.final_text, rows) == 1.0


@pytest.mark.shared_data
@pytest.mark.parametrize("difficulty", ["named", "neighbours", "filter"])
async def test_development_tasks_are_answered(cluster: Cluster, shared_data: Path, difficulty: str) -> None:
    lines = (shared_data / "factbook" / "tasks_dev.jsonl").read_text().splitlines()
    tasks = [task for task in map(json.loads, lines) if task["difficulty"] == difficulty][:PER_KIND]

    scores = [item_f1(plain((await cluster.ask(task["query"])).final_text), gold(task["answer"])) for task in tasks]

    assert sum(scores) / len(scores) >= 0.95


def gold(answer: str) -> list[list[str]]:
    table = parse_markdown_table(answer)
    assert table is not None
    return [list(row) for row in table.rows]


def plain(answer: str) -> str:
    """Numbers without the zeros that the gold table drops."""
    return re.sub(r"(\.\d*?)0+(?= \|)", r"\1", answer)
