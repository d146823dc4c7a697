"""The expert on worlds it cannot know: entities, fields and borders are made up when the test runs."""

import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.expert_parts import LAYOUTS, Indexed, World, expert_app, expert_http, item_f1, make_world, open_cluster
from wideseek.clients._http import Http

TAIL = " Write numbers as plain digits, without units. Answer with one Markdown table inside a ```markdown code fence."


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with expert_http(expert_app()) as opened:
        yield opened


def seed() -> int:
    """A different world each time; a failure shows it in the test's output."""
    value = random.SystemRandom().randrange(10**6)
    print(f"seed {value}")  # noqa: T201
    return value


async def asked(http: Http, world: World, query: str) -> str:
    with tempfile.TemporaryDirectory() as root:
        cluster = await open_cluster(http, Indexed.over(world.pages, Path(root)))
        trajectory = await cluster.ask(query)
    print(query, trajectory.final_text, sep="\n")  # noqa: T201
    return trajectory.final_text


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_named_realms_of_an_invented_world_are_looked_up(http: Http, layout: str) -> None:
    world = make_world(seed(), layout)
    rows, fields = world.realms[:6], world.fields[3:8]
    listed = "; ".join(f"{field.name} ({field.description})" for field in fields)
    names = ", ".join(rows[1:]) + f" and {rows[0]}"

    answer = await asked(
        http,
        world,
        f"Put together facts about {names}. For each one give: Realm (named as in this request); {listed}.{TAIL}",
    )

    assert await item_f1(answer, [world.row(realm, fields) for realm in rows]) >= 0.9


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_borders_an_invented_realm_is_found_on_its_page(http: Http, layout: str) -> None:
    world = make_world(seed(), layout)
    anchor = max(world.borders, key=lambda realm: len(world.borders[realm]))
    fields = world.fields[:3]
    listed = "; ".join(f"{field.name} ({field.description})" for field in fields)

    answer = await asked(
        http,
        world,
        f"Take every realm that shares a land border with {anchor}. For each one give: Realm (usual short name); "
        f"Shared border (length of the land border with {anchor} in km); {listed}.{TAIL}",
    )

    gold = [[realm, str(length), *world.row(realm, fields)[1:]] for realm, length in world.borders[anchor].items()]
    assert await item_f1(answer, gold) >= 0.9


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_an_invented_list_is_filtered_by_what_pages_state(http: Http, layout: str) -> None:
    world = make_world(seed(), layout)
    measure, shown = world.fields[1], world.fields[6]
    values = sorted(int(world.facts[realm][measure.name]) for realm in world.members)
    bound = values[len(values) // 2]

    answer = await asked(
        http,
        world,
        f"Which realms listed under {world.group} have a {measure.name.lower()} above {bound - 1:,} square kilometres? "
        f"List all of them. For each one give: Realm (usual short name); {shown.name} ({shown.description}).{TAIL}",
    )

    kept = [realm for realm in world.members if int(world.facts[realm][measure.name]) >= bound]
    assert await item_f1(answer, [world.row(realm, [shown]) for realm in kept]) >= 0.9


async def test_a_fact_no_page_states_leaves_the_cell_empty(http: Http) -> None:
    world = make_world(seed(), "plain")

    answer = await asked(
        http, world, f"Opal tribute and {world.fields[0].name} of {world.realms[2]} and {world.realms[3]}"
    )

    assert f"| {world.realms[2]} |  | {world.facts[world.realms[2]][world.fields[0].name]} |" in answer
