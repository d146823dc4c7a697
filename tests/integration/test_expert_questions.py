"""The expert answers questions through real agents: over invented worlds, the bundled corpus, tables with links."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from services.retrieval import factbook
from services.retrieval.corpus import Corpus
from tests.expert_parts import Cluster, Indexed, World, expert_app, expert_http, make_world, open_cluster
from tests.fakes import page
from tests.retrieval_parts import index_of
from wideseek.clients._http import Http
from wideseek.contracts import Output

PER_KIND = 4


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with expert_http(expert_app()) as opened:
        yield opened


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    root = tmp_path_factory.mktemp("indexes")
    manifest = index_of(root, factbook.NAME, factbook.documents())
    return Indexed(Corpus.open(root / factbook.NAME, manifest))


def boxed(text: str) -> str:
    match = re.search(r"\\boxed\{(.*)\}", text)
    return match[1] if match else ""


async def answer(cluster: Cluster, question: str, *, alone: bool = False, pages: Sequence[str] = ()) -> str:
    if alone:
        return boxed((await cluster.ask_alone(question, output=Output.ANSWER)).final_text)
    return boxed((await cluster.ask(question, output=Output.ANSWER, pages=pages)).final_text)


def bordered(world: World) -> tuple[str, str]:
    """A realm with at least two neighbours, and the one with whom its border is the longest."""
    realm = next(name for name, lengths in world.borders.items() if len(set(lengths.values())) > 1)
    return realm, max(world.borders[realm], key=lambda other: world.borders[realm][other])


@pytest.mark.parametrize("layout", ["plain", "bullets", "table"])
async def test_one_fact_of_an_invented_realm_is_answered(http: Http, tmp_path: Path, layout: str) -> None:
    world = make_world(21, layout)
    cluster = await open_cluster(http, Indexed.over(world.pages, tmp_path))
    realm, field = world.realms[0], world.fields[2]

    told = await answer(cluster, f"What is the {field.name.lower()} of {realm} in km?")
    harbour = await answer(cluster, f"What is the chief harbour of {realm}?")

    assert told == world.facts[realm][field.name]
    assert harbour == world.facts[realm]["Chief harbour"]


async def test_answers_that_need_several_pages_are_put_together(http: Http, tmp_path: Path) -> None:
    world = make_world(22, "plain")
    cluster = await open_cluster(http, Indexed.over(world.pages, tmp_path))
    realm, longest = bordered(world)
    field = world.fields[0]
    values = {name: int(facts[field.name]) for name, facts in world.facts.items()}
    bound = sorted(values[name] for name in world.borders[realm])[0]
    above = sum(values[name] > bound for name in world.borders[realm])
    one, other = world.realms[3], world.realms[4]

    bridge = await answer(
        cluster, f"What is the {field.name} of the realm whose chief harbour is {world.facts[one]['Chief harbour']}?"
    )
    extreme = await answer(
        cluster, f"What is the {field.name} of the realm with which {realm} shares its longest border?"
    )
    compared = await answer(cluster, f"Which realm has the higher {field.name}: {one} or {other}?")
    counted = await answer(
        cluster, f"How many of the countries that border {realm} have a {field.name} of more than {bound} tonnes?"
    )

    assert bridge == str(values[one])
    assert extreme == str(values[longest])
    assert compared == max((one, other), key=values.__getitem__)
    assert counted == str(above)


async def test_a_single_agent_answers_too(http: Http, tmp_path: Path) -> None:
    world = make_world(23, "bold")
    cluster = await open_cluster(http, Indexed.over(world.pages, tmp_path))
    realm, field = world.realms[5], world.fields[1]

    told = await answer(cluster, f"What is the {field.name} of {realm}?", alone=True)

    assert told == world.facts[realm][field.name]


async def test_a_question_no_page_answers_gets_no_box(http: Http, tmp_path: Path) -> None:
    cluster = await open_cluster(http, Indexed.over([page("p:1", "Moss", "Moss grows here.")], tmp_path))

    trajectory = await cluster.ask("How many bells has the tower of Qundor?", output=Output.ANSWER)

    assert trajectory.final_text == "No page answers this."


async def test_a_question_over_a_table_follows_its_best_rows_links(http: Http, tmp_path: Path) -> None:
    rows = [
        "| Year | Rider |",
        "| --- | --- |",
        "| 1911 | [Ulla Brask](https://w.example/Ulla_(rider)) |",
        "| 1912 | [Odo Fenn](https://w.example/Odo) |",
    ]
    pages = [
        page("https://w.example/Race", "Tarn Race", "# Tarn Race\n\n" + "\n".join(rows)),
        page(
            "https://w.example/Ulla_(rider)",
            "Ulla Brask",
            "Ulla Brask was a rider. She was born on 3 May 1890 in Kesh.",
        ),
        page("https://w.example/Odo", "Odo Fenn", "Odo Fenn was a rider. He was born on 9 June 1885 in Dorva."),
    ]
    cluster = await open_cluster(http, Indexed.over(pages, tmp_path))

    told = await answer(cluster, "When was the rider who won the Tarn Race of 1911 born?")

    assert told == "3 May 1890"


async def test_rows_of_a_listed_page_are_looked_up_in_prose(http: Http, tmp_path: Path) -> None:
    films = {"Lumo": ("1961", "Ann Tarn"), "The Grey Mill": ("1974", "A. B. Orvath"), "Vics": ("1980", "Lin de Sarr")}
    entries = [f"- [{name}](https://w.example/wiki/{name.replace(' ', '_')}_(film))" for name in films]
    other = "# Films of Kesh\n\n## Late\n\n- [Zarn](https://w.example/wiki/Zarn)\n- [Zol](https://w.example/wiki/Zol)"
    pages = [
        page("https://w.example/wiki/Films#Early", "Films of Kesh – Early", "# Films of Kesh\n\n" + "\n".join(entries)),
        page("https://w.example/wiki/Films#Late", "Films of Kesh – Late", other),
        *(
            page(
                f"https://w.example/wiki/{name.replace(' ', '_')}_(film)",
                f"{name} (film)",
                f"{name} is a {year} Keshian drama film directed by {director}. It was shown at Tarn.",
            )
            for name, (year, director) in films.items()
        ),
    ]
    cluster = await open_cluster(http, Indexed.over(pages, tmp_path))

    trajectory = await cluster.ask(
        "Build a table of the films listed on the page “Films of Kesh”, section “Early”. The columns are: Film (the "
        "name exactly as printed in the list); Year (year of release, four digits); and Director (the director's name)."
    )

    wanted = [f"| {name} | {year} | {director} |" for name, (year, director) in films.items()]
    assert trajectory.final_text.splitlines()[3:-1] == wanted


async def test_pages_named_by_the_caller_stand_in_for_a_list_that_is_not_there(http: Http, tmp_path: Path) -> None:
    world = make_world(24, "plain")
    anchor = next(name for name, lengths in world.borders.items() if lengths)
    kept = [one for one in world.pages if one.title in world.borders[anchor]]
    cluster = await open_cluster(http, Indexed.over(kept, tmp_path))

    trajectory = await cluster.ask(
        f"neighbours of {anchor}: Chief harbour (name of the chief harbour)", pages=[one.url for one in kept]
    )

    harbours = {name: world.facts[name]["Chief harbour"] for name in world.borders[anchor]}
    assert {f"| {name} | {harbour} |" for name, harbour in harbours.items()} <= set(trajectory.final_text.splitlines())


@pytest.mark.shared_data
@pytest.mark.parametrize(("kind", "least"), [("single_hop", 0.8), ("multi_hop", 0.7)])
async def test_development_questions_are_answered(
    http: Http, index: Indexed, shared_data: Path, kind: str, least: float
) -> None:
    lines = (shared_data / "factbook" / "qa_dev.jsonl").read_text().splitlines()
    questions = [one for one in map(json.loads, lines) if one["kind"] == kind][:: 18 // PER_KIND]
    cluster = await open_cluster(http, index)

    right = [await answer(cluster, one["question"]) in one["answers"] for one in questions]

    assert sum(right) / len(right) >= least
