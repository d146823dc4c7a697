"""The single agent of the ablation, on the expert: the lead's plan with the subagent's hands."""

from pathlib import Path

from tests.expert_parts import Cluster, Indexed, expert_app, expert_http, item_f1, make_world, open_cluster


async def test_a_single_agent_finds_neighbours_and_their_facts(tmp_path: Path) -> None:
    world = make_world(11, "bullets")
    anchor = min((name for name in world.borders if world.borders[name]), key=lambda name: len(world.borders[name]))
    field = world.fields[0]

    async with expert_http(expert_app()) as http:
        cluster: Cluster = await open_cluster(http, Indexed.over(world.pages, tmp_path))
        trajectory = await cluster.ask_alone(
            f"neighbours of {anchor}: {field.name} ({field.description}), Chief harbour (name of the chief harbour)"
        )

    gold = [world.row(realm, [field, world.fields[6]]) for realm in world.borders[anchor]]
    assert await item_f1(trajectory.final_text, gold) == 1.0
