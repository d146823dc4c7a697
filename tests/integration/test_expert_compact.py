"""The expert in the compact profile, through real agents: the bundled corpus, and worlds made up at random."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from services.retrieval import factbook
from services.retrieval.corpus import Corpus
from tests.expert_parts import Cluster, Indexed, expert_app, expert_http, item_f1, make_world, open_cluster
from tests.fakes import page
from tests.retrieval_parts import index_of
from wideseek.compact import labelled_table
from wideseek.contracts import AccessResponse, Output, PromptProfile
from wideseek.instances import WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import score_robust
from wideseek.trajectory import Trajectory


@dataclass
class Needing(Indexed):
    """The same index; what pages were asked for is kept."""

    needs: list[str] = field(default_factory=list)

    async def access(self, urls: Sequence[str], info_to_extract: str | None) -> AccessResponse:
        self.needs.append(info_to_extract or "")
        return await super().access(urls, info_to_extract)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    root = tmp_path_factory.mktemp("indexes")
    manifest = index_of(root, factbook.NAME, factbook.documents())
    return Indexed(Corpus.open(root / factbook.NAME, manifest))


@pytest.fixture
async def cluster(index: Indexed) -> AsyncIterator[Cluster]:
    async with expert_http(expert_app()) as http:
        yield replace(await open_cluster(http, index), profile=PromptProfile.COMPACT)


def reports_of(lead: Trajectory) -> list[str]:
    """The lines that subagents reported, their numbers left out."""
    results = [result.content for turn in lead.turns for result in turn.results]
    return [line.partition(". ")[2] for text in results for line in text.splitlines()]


def handed_out(lead: Trajectory) -> list[list[str]]:
    """The subtasks of each wave."""
    calls = [result.call for turn in lead.turns for result in turn.results if result.call]
    return [[subtask["prompt"] for subtask in call.arguments["subtasks"]] for call in calls]


async def test_named_rows_are_handed_out_by_name_and_reported_in_lines(cluster: Cluster) -> None:
    lead = await cluster.ask("capital and population of mali, chad and niger")

    rows = [["Mali", "Bamako", "22634423"], ["Chad", "N'Djamena", "19674004"], ["Niger", "Niamey", "27322555"]]
    (wave,) = handed_out(lead)
    assert await item_f1(lead.final_text, rows) == 1.0
    assert [name.casefold() for name in wave] == ["mali", "chad", "niger"]
    tables = [labelled_table(report) for report in reports_of(lead)]
    assert [table.rows[0][1:] for table in tables if table] == [tuple(row[1:]) for row in rows]


async def test_neighbours_are_found_first_and_then_looked_up(cluster: Cluster) -> None:
    lead = await cluster.ask("Who borders Denmark? Show the internet country code for each.")

    assert await item_f1(lead.final_text, [["Canada", ".ca"], ["Germany", ".de"]]) == 1.0
    assert [len(wave) for wave in handed_out(lead)] == [1, 2]
    assert set(handed_out(lead)[1]) == {"Canada", "Germany"}


async def test_conditions_are_decided_by_subagents_and_the_lead_only_copies(cluster: Cluster) -> None:
    lead = await cluster.ask("for every landlocked country in South America: capital, area")

    rows = [["Bolivia", "La Paz", "1098581"], ["Paraguay", "Asunción", "406752"]]
    kept = [report for report in reports_of(lead) if labelled_table(report)]
    refused = [report for report in reports_of(lead) if report.endswith(" | no")]
    assert await item_f1(lead.final_text, rows) == 1.0
    assert len(kept) == len(rows)
    assert len(refused) == len(handed_out(lead)[-1]) - len(rows) > 5
    assert all("landlocked" not in report for report in kept)


async def test_a_question_is_answered(cluster: Cluster) -> None:
    lead = await cluster.ask("What is the capital of Mali?", output=Output.ANSWER)

    assert lead.final_text.endswith("\\boxed{Bamako}")
    assert handed_out(lead) == [["Mali"]]


async def test_what_a_fact_identifies_is_found_by_opening_what_the_search_names(cluster: Cluster) -> None:
    lead = await cluster.ask("What is the population of the country whose capital is Bamako?", output=Output.ANSWER)

    assert lead.final_text == "\\boxed{22634423}"
    assert [len(wave) for wave in handed_out(lead)] == [1, 1]


async def test_one_agent_alone_answers_too(cluster: Cluster) -> None:
    alone = await cluster.ask_alone("capital of mali and chad")

    assert await item_f1(alone.final_text, [["Mali", "Bamako"], ["Chad", "N'Djamena"]]) == 1.0


async def test_contexts_are_a_part_of_the_full_ones(cluster: Cluster) -> None:
    query = "capital and population of mali, chad and niger"

    short = await cluster.ask(query)
    full = await replace(cluster, profile=PromptProfile.FULL).ask(query)

    assert short.turns[-1].completion.prompt_tokens < full.turns[-1].completion.prompt_tokens / 1.5


@pytest.mark.shared_data
@pytest.mark.parametrize("difficulty", ["named", "neighbours"])
async def test_development_tasks_are_answered(cluster: Cluster, shared_data: Path, difficulty: str) -> None:
    lines = (shared_data / "factbook" / "tasks_dev.jsonl").read_text().splitlines()
    task = next(task for task in map(WideTask.model_validate_json, lines) if task.difficulty == difficulty)

    answer = (await cluster.ask(task.query)).final_text

    assert (await score_robust(answer, task, NoJudge())).scores.f1_by_item >= 0.95


@pytest.mark.parametrize("layout", ["plain", "paths", "bullets"])
async def test_facts_of_an_invented_world_are_found_however_pages_are_laid_out(tmp_path: Path, layout: str) -> None:
    world = make_world(31, layout)
    realms, fields = world.realms[1:5], [world.fields[1], world.fields[6]]
    asked = ", ".join(f"{one.name} ({one.description})" for one in fields)
    retrieval = Needing(Indexed.over(world.pages, tmp_path).corpus)

    async with expert_http(expert_app()) as http:
        cluster = replace(await open_cluster(http, retrieval), profile=PromptProfile.COMPACT)
        lead = await cluster.ask(f"For {', '.join(realms[:-1])} and {realms[-1]}: {asked}")

    assert await item_f1(lead.final_text, [world.row(realm, fields) for realm in realms]) == 1.0
    assert all(one.name in need for need in retrieval.needs for one in fields)


async def test_what_no_page_says_is_left_open_and_ends(tmp_path: Path) -> None:
    pages = [page("p:1", "Kesh", "# Kesh\n\nKesh is a realm.\nCapital: Old Kesh")]

    async with expert_http(expert_app()) as http:
        cluster = replace(await open_cluster(http, Indexed.over(pages, tmp_path)), profile=PromptProfile.COMPACT)
        lead = await cluster.ask("capital and number of sheep of Kesh and Dorva")

    assert "| Kesh | Old Kesh |  |" in lead.final_text
    assert any(report.startswith("No page was found for Dorva") for report in reports_of(lead))
