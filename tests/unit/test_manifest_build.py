"""Collected groups become the manifest of a step: the same groups, the same bytes."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.rollouts.entry import StoredReward, StoredRollout
from services.trainer.collect.groups import CollectedGroup, CollectedRollout
from services.trainer.config import JobConfig
from services.trainer.ledger.build import Place, step_manifest
from services.trainer.ledger.manifest import FIRST, Dropped
from services.trainer.objective.batch import AgentShape, RolloutShape
from wideseek.errors import ContractViolation
from wideseek.rollout import Reward, RolloutSource, RolloutStatus
from wideseek.trajectory import Role

PLACE = Place("j", 0, 1, FIRST, 0, 1.0, "v")


def config(*, groups: int = 2, size: int = 2, minibatches: int = 1, **objective: Any) -> JobConfig:
    return JobConfig.model_validate(
        {
            "data": {"wide": ["w.jsonl"]},
            "rollouts": {"group_size": size, "groups_per_step": groups},
            "optim": {"minibatches": minibatches},
            "objective": objective,
        }
    )


def rollout(group: str, index: int, reward: float, lead: int = 10, subs: tuple[int, ...] = (20,)) -> CollectedRollout:
    name = f"ro-{group}-{index}"
    agents = (
        AgentShape(agent_id="lead", role=Role.LEAD, trained_tokens=lead),
        *(AgentShape(agent_id=f"s{n}", role=Role.SUBAGENT, trained_tokens=tokens) for n, tokens in enumerate(subs)),
    )
    return CollectedRollout(
        stored=StoredRollout(
            rollout_id=name,
            run_id="r",
            group_id=group,
            index_in_group=index,
            status=RolloutStatus.OK,
            source=RolloutSource.POLICY,
            uri=f"{name}.pb",
            sha256="a",
        ),
        reward=Reward(rollout_id=name, reward_version="r1", total=reward, scorer_version="s", answer_hash="h"),
        reward_file=StoredReward(rollout_id=name, reward_version="r1", uri=f"{name}.json", sha256="b"),
        shape=RolloutShape(rollout_id=name, group_id=group, reward=reward, agents=agents),
    )


def group(name: str, *rollouts: CollectedRollout) -> CollectedGroup:
    return CollectedGroup(group_id=name, task_id=f"task-{name}", kind="wide", version=0, rollouts=rollouts)


def test_weights_and_advantages_are_those_of_the_formula() -> None:
    groups = [group("g0-0", rollout("g0-0", 0, 1.0), rollout("g0-0", 1, 0.0, subs=()))]

    manifest = step_manifest(
        PLACE,
        config(advantage={"estimator": "mean"}),
        groups,
        dropped=[Dropped(rollout_id="x", reason="late")],
        cursor="7-0",
    )

    first, second = manifest.entries
    assert manifest.planned == 4
    assert [agent.weight for agent in first.agents] == [1 / (4 * 2 * 10), 1 / (4 * 2 * 20)]
    assert [agent.weight for agent in second.agents] == [1 / (4 * 1 * 10)]
    assert [agent.advantage for agent in first.agents] == [0.5, 0.5]
    assert second.agents[0].advantage == -0.5
    assert (manifest.cursor, manifest.dropped[0].reason, manifest.learning_rate) == ("7-0", "late", 1e-5)


def blamed(collected: CollectedRollout) -> CollectedRollout:
    """The rollout, its subagents at a limit that is held against them."""
    lead, *subs = collected.shape.agents
    agents = (lead, *(sub.model_copy(update={"blamed": True}) for sub in subs))
    return collected.model_copy(update={"shape": collected.shape.model_copy(update={"agents": agents})})


def test_what_went_well_is_not_put_down_to_an_agent_that_is_blamed() -> None:
    groups = [group("g0-0", blamed(rollout("g0-0", 0, 1.0)), blamed(rollout("g0-0", 1, 0.0)))]

    manifest = step_manifest(PLACE, config(advantage={"estimator": "mean"}), groups, dropped=[], cursor="7-0")

    assert [[agent.advantage for agent in entry.agents] for entry in manifest.entries] == [[0.5, 0.0], [-0.5, -0.5]]


def test_a_group_is_never_cut_and_every_minibatch_weighs_its_own_share() -> None:
    names = ["g0-10", "g0-2", "g0-9", "g0-1"]
    groups = [group(name, rollout(name, 0, 1.0), rollout(name, 1, 0.0)) for name in names]

    manifest = step_manifest(PLACE, config(groups=4, minibatches=2), groups, dropped=[], cursor="0-0")

    assert [entry.group_id for entry in manifest.entries[::2]] == ["g0-1", "g0-2", "g0-9", "g0-10"]
    assert [entry.minibatch for entry in manifest.entries] == [0, 0, 0, 0, 1, 1, 1, 1]
    for minibatch in (0, 1):
        mine = [agent for e in manifest.entries if e.minibatch == minibatch for agent in e.agents]
        assert sum(agent.weight * agent.trained_tokens for agent in mine) == pytest.approx(1.0)


def test_minibatches_that_groups_do_not_divide_into_weigh_what_was_planned_for_them() -> None:
    groups = [group(f"g0-{n}", rollout(f"g0-{n}", 0, 1.0), rollout(f"g0-{n}", 1, 0.0)) for n in range(3)]
    short = [groups[0].model_copy(update={"rollouts": groups[0].rollouts[:1]}), *groups[1:]]

    manifest = step_manifest(PLACE, config(groups=3, minibatches=2), short, dropped=[], cursor="0-0")

    totals = [
        sum(a.weight * a.trained_tokens for e in manifest.entries if e.minibatch == m for a in e.agents) for m in (0, 1)
    ]
    assert [entry.minibatch for entry in manifest.entries] == [0, 0, 0, 1, 1]
    assert totals == pytest.approx([3 / 4, 1.0])


def test_roles_have_advantages_of_their_own_where_asked() -> None:
    pair = [rollout("g0-0", index, reward) for index, reward in enumerate((1.0, 0.0))]
    shapes = [
        one.shape.model_copy(update={"role_reward": {Role.SUBAGENT: 3.0 * index}}) for index, one in enumerate(pair)
    ]
    given_roles = [one.model_copy(update={"shape": shape}) for one, shape in zip(pair, shapes, strict=True)]

    manifest = step_manifest(
        PLACE,
        config(advantage={"estimator": "mean", "per_role": True}),
        [group("g0-0", *given_roles)],
        dropped=[],
        cursor="0-0",
    )

    assert [agent.advantage for agent in manifest.entries[0].agents] == [0.5, -1.5]


@given(st.randoms(use_true_random=False))
def test_the_order_of_delivery_changes_no_byte(draw: random.Random) -> None:
    groups = [group(f"g0-{n}", *(rollout(f"g0-{n}", i, (n * i) % 3) for i in range(3))) for n in range(3)]
    dropped = [Dropped(rollout_id=f"d{n}", reason="late") for n in range(4)]
    wanted = step_manifest(PLACE, config(groups=3, size=3), groups, dropped=dropped, cursor="0-0")

    shuffled = [one.model_copy(update={"rollouts": tuple(draw.sample(one.rollouts, 3))}) for one in groups]
    draw.shuffle(shuffled)
    draw.shuffle(dropped)
    found = step_manifest(PLACE, config(groups=3, size=3), shuffled, dropped=dropped, cursor="0-0")

    assert found.to_bytes() == wanted.to_bytes()


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([group(f"g0-{n}", rollout(f"g0-{n}", 0, 1.0)) for n in range(3)], "3 groups for a step of 2"),
        ([group("g0-0", *(rollout("g0-0", n, 1.0) for n in range(3)))], "has 3 rollouts"),
        ([group("g0-0", rollout("g0-0", 0, 1.0), rollout("g0-0", 0, 1.0))], "collected twice"),
        ([group("g0-0", rollout("g0-1", 0, 1.0))], "of another group"),
    ],
)
def test_what_was_not_planned_is_refused(groups: list[CollectedGroup], said: str) -> None:
    with pytest.raises(ContractViolation, match=said):
        step_manifest(PLACE, config(), groups, dropped=[], cursor="0-0")
