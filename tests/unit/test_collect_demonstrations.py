"""What supervised training learns from, and the numbers that collecting tells."""

import asyncio
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.demonstrations import Demonstrations
from services.trainer.collect.groups import CollectedGroup
from services.trainer.collect.scoring import Scoring
from services.trainer.collect.tally import Tally
from services.trainer.conduct.demonstrations import DemonstrationSource
from services.trainer.config import JobConfig
from services.trainer.folder import JobRecord
from services.trainer.ledger.build import Place
from services.trainer.ledger.manifest import FIRST
from services.trainer.metrics.names import HISTOGRAMS, SCALARS
from tests.collect_parts import JOB, Bench, End, collecting, config_of, rollout_of
from tests.evaluation_parts import wide
from wideseek.codec import write_rollouts
from wideseek.contracts import RunRequest, RunStatus, Training
from wideseek.errors import InvalidRequest
from wideseek.rollout import AgentRecord, AgentStatus, Rollout, RolloutSource, ToolRecord
from wideseek.trajectory import Role


def shown(number: int, **end: Any) -> Rollout:
    """A demonstration whose tokens are exact."""
    place = Training(opt_in=True, job_id="shown", group_id="g", index_in_group=number)
    made = rollout_of(f"ws_{number}", RunRequest(query="?", model="base", training=place), End(**end))
    return made.model_copy(update={"source": RolloutSource.DEMONSTRATION})


def write(path: Path, *rollouts: Rollout) -> str:
    with path.open("wb") as stream:
        write_rollouts(rollouts, stream)
    return str(path)


def test_a_file_of_rollouts_is_stored_and_learnt_from_in_the_order_of_ids(tmp_path: Path) -> None:
    store = RolloutStore.open(str(tmp_path / "store"))
    made = [shown(number) for number in range(4)]
    one, two = write(tmp_path / "1.bin", *made[:3]), write(tmp_path / "2.bin", *made[2:])

    found = Demonstrations(store, JOB).read([one, two])

    assert [demo.stored.rollout_id for demo in found] == sorted(rollout.rollout_id for rollout in made)
    assert {demo.shape.agents[0].trained_tokens for demo in found} == {6}
    assert store.get(found[0].stored.uri, found[0].stored.sha256).rollout_id == found[0].stored.rollout_id
    assert found == Demonstrations(store, JOB).read([two, one])


async def test_what_a_job_has_stored_is_learnt_from_where_it_earned_something(tmp_path: Path) -> None:
    store = RolloutStore.open(str(tmp_path))
    rewarded = Scoring()
    good, bad, unrewarded = (
        rollout_of(
            f"ws_{number}", RunRequest(query="?", model="base", training=Training(opt_in=True, job_id="old")), end
        )
        for number, end in enumerate((End(), End(answer="none"), End()))
    )
    for rollout in (good, bad, unrewarded):
        store.put(rollout, "old")
    for rollout in (good, bad):
        store.put_reward(await rewarded.score(rollout, wide("w")), "old")

    all_of_worth = await asyncio.to_thread(Demonstrations(store, JOB).read, ["job:old"])
    demanding = await asyncio.to_thread(Demonstrations(store, JOB, least_reward=2.0).read, ["job:old"])

    assert {demo.stored.rollout_id for demo in all_of_worth} == {good.rollout_id, unrewarded.rollout_id}
    assert [demo.stored.rollout_id for demo in demanding] == [unrewarded.rollout_id]


def test_runs_that_failed_or_leave_nothing_exact_are_not_learnt_from(tmp_path: Path) -> None:
    store = RolloutStore.open(str(tmp_path / "store"))
    inexact = shown(1, source=RolloutSource.DEMONSTRATION)
    path = write(tmp_path / "1.bin", shown(0, status=RunStatus.FAILED), inexact, shown(2, lead=AgentStatus.TURN_LIMIT))

    with pytest.raises(InvalidRequest, match=r"none of 1 rollouts in .* has exact tokens"):
        Demonstrations(store, JOB).read([path])


def test_what_is_no_demonstration_is_named(tmp_path: Path) -> None:
    store = RolloutStore.open(str(tmp_path / "store"))
    (tmp_path / "torn.bin").write_bytes(b"\xff\x01no record")
    whole = write(tmp_path / "whole.bin", shown(0))

    cases = {
        r"gone\.bin: No such file": str(tmp_path / "gone.bin"),
        r"torn\.bin: .*record": str(tmp_path / "torn.bin"),
        "job:none holds no rollout": "job:none",
    }

    for message, name in cases.items():
        with pytest.raises(InvalidRequest, match=message):
            Demonstrations(store, JOB).read([whole, name])


# ---- numbers ------------------------------------------------------------------------------


async def test_every_number_has_a_name_that_is_listed(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)

    async with collecting(bench.collector(config_of(max_staleness=1))) as collector:
        await collector.take(2)
        measured = collector.measured

    families = [name.split("{")[0] for name in [*SCALARS, *HISTOGRAMS] if "{" in name]
    for name in [*measured.scalars, *measured.histograms]:
        assert name in SCALARS or name in HISTOGRAMS or any(name.startswith(family) for family in families)
    assert measured.scalars["reward/mean"] == pytest.approx(0.6, abs=0.6)
    assert measured.scalars["rollouts/turns"] == 2
    assert measured.scalars["rollouts/agents"] == 1
    assert measured.scalars["rollouts/seconds"] == 1.5
    assert 0 < measured.scalars["rollouts/utilisation"] <= 1
    assert measured.histograms["tokens/lead"] == (6.0,) * 8
    assert measured.histograms["staleness"] == (0.0,) * 8


def test_utilisation_is_the_mean_of_what_runs_over_the_most_that_ran() -> None:
    now = [0.0]
    tally = Tally(clock=lambda: now[0])

    with tally.running():
        with tally.running():
            now[0] = 1.0
        now[0] = 4.0
    now[0] = 9.0
    measured = tally.measured([], waited_s=0.0)

    assert measured.scalars["rollouts/utilisation"] == pytest.approx((2 * 1 + 1 * 3) / (2 * 4))


def test_counts_begin_anew_with_every_step() -> None:
    tally = Tally()
    tally.drop("stale", 3)
    tally.complete(CollectedGroup(group_id="g0-0", task_id="t", kind="wide", version=0, rollouts=()), replaced=True)

    first, second = tally.measured([], waited_s=2.0), tally.measured([], waited_s=0.0)

    assert (first.drops, second.drops) == ({"stale": 3}, {})
    assert (first.scalars["groups/replaced"], second.scalars["groups/replaced"]) == (1, 0)
    assert first.scalars["time/collect_s"] == 2.0


# ---- subagents that are learnt from --------------------------------------------------------


def team(run: int, *waves: int, failed: str = "") -> Rollout:
    """A demonstration whose lead handed out so many subtasks a wave: `w0s0`, `w0s1`, …"""
    rollout = shown(run)
    (lead,) = rollout.agents
    names = [[f"w{wave}s{place}" for place in range(size)] for wave, size in enumerate(waves)]
    calls = [
        ToolRecord(name="call_subagent", args_hash="a", ok=True, result_hash="r", subtask_ids=tuple(wave))
        for wave in names
    ]
    turns = (lead.turns[0].model_copy(update={"tool_calls": tuple(calls)}), lead.turns[1])
    below = tuple(
        AgentRecord(
            agent_id=f"agent-{name}",
            role=Role.SUBAGENT,
            parent_agent_id="lead",
            parent_turn_index=0,
            subtask_id=name,
            subtask="?",
            status=AgentStatus.TURN_LIMIT if name == failed else AgentStatus.ANSWERED,
            turns=lead.turns,
        )
        for name in chain(*names)
    )
    return rollout.model_copy(update={"agents": (lead.model_copy(update={"turns": turns}), *below)})


def learnt(tmp_path: Path, rollout: Rollout, subagents: int | None) -> set[str]:
    """Who of a demonstration is learnt from."""
    store = RolloutStore.open(str(tmp_path / "store"))
    (found,) = Demonstrations(store, JOB, subagents).read([write(tmp_path / "one.bin", rollout)])
    masked = {mask.agent_id for mask in found.masks if mask.reason in {"left_out", "failed_agent"}}
    trained = {agent.agent_id for agent in found.shape.agents if agent.trained_tokens}
    assert trained == {agent.agent_id for agent in rollout.agents} - masked
    return {name.removeprefix("agent-") for name in trained}


@pytest.mark.parametrize(
    ("waves", "number", "by_wave"),
    [
        # One of each wave before a second of any.
        ((1, 20), 2, (1, 1)),
        ((1, 20), 4, (1, 3)),
        ((3, 20), 4, (2, 2)),
        ((3, 20), 5, (3, 2)),
        ((2, 2, 9), 3, (1, 1, 1)),
        ((2, 2, 9), 6, (2, 2, 2)),
        ((2, 2, 9), 1, (1, 0, 0)),
        # No more than there are, and all of them unless a number is given.
        ((1, 3), 4, (1, 3)),
        ((1, 3), 9, (1, 3)),
        ((1, 20), None, (1, 20)),
    ],
)
def test_so_many_subagents_of_a_demonstration_are_learnt_from(
    tmp_path: Path, waves: tuple[int, ...], number: int | None, by_wave: tuple[int, ...]
) -> None:
    found = learnt(tmp_path, team(1, *waves), number)

    assert "lead" in found
    assert tuple(sum(name.startswith(f"w{wave}s") for name in found) for wave in range(len(waves))) == by_wave


def test_who_is_learnt_from_is_drawn_by_the_rollout_alone(tmp_path: Path) -> None:
    drawn = [learnt(tmp_path / str(run), team(run, 1, 30), 5) for run in (1, 1, 2, 3)]

    assert drawn[0] == drawn[1]
    assert len({frozenset(names) for names in drawn}) == 3


def test_a_subagent_that_failed_is_not_learnt_from_where_it_is_drawn(tmp_path: Path) -> None:
    assert learnt(tmp_path, team(1, 2, failed="w0s1"), 2) == {"lead", "w0s0"}


def test_those_who_are_left_out_stay_in_the_prompts_of_the_lead(tmp_path: Path) -> None:
    rollout = team(1, 4)
    store = RolloutStore.open(str(tmp_path / "store"))

    (found,) = Demonstrations(store, JOB, 1).read([write(tmp_path / "one.bin", rollout)])

    kept = store.get(found.stored.uri, found.stored.sha256)
    assert [agent.agent_id for agent in kept.agents] == [agent.agent_id for agent in rollout.agents]
    assert found.shape.agents[0].trained_tokens == sum(len(turn.sampled_token_ids) for turn in rollout.agents[0].turns)


# ---- supervised steps ---------------------------------------------------------------------


def supervised(tmp_path: Path, count: int, **values: Any) -> DemonstrationSource:
    """The steps of a job that learns from a file of so many demonstrations."""
    path = write(tmp_path / "shown.bin", *(shown(number) for number in range(count)))
    config = JobConfig.model_validate({"mode": "sft", "data": {"demonstrations": [path]}, **values})
    record = JobRecord(job_id=JOB, created_at=0, config=config, rollouts_root=str(tmp_path / "store"))
    return DemonstrationSource(record, RolloutStore.open(record.rollouts_root))


def place(step: int) -> Place:
    return Place(JOB, 0, step, prev_sha256=FIRST, policy_version=0, created_at=0, code_version="")


async def test_an_epoch_of_supervised_steps_uses_every_demonstration_once(tmp_path: Path) -> None:
    source = supervised(tmp_path, 6, sft_rows_per_step=2)

    steps = [[entry.rollout_id for entry in (await source.next(place(step)))[0].entries] for step in range(1, 7)]

    first, second = [*chain(*steps[:3])], [*chain(*steps[3:])]
    assert len(set(first)) == 6
    assert sorted(first) == sorted(second)
    assert first != second


async def test_a_job_learns_from_as_many_subagents_as_it_says(tmp_path: Path) -> None:
    path = write(tmp_path / "shown.bin", team(1, 1, 9), team(2, 1, 9))
    data = {"demonstrations": [path], "subagents": 3}
    config = JobConfig.model_validate({"mode": "sft", "data": data, "sft_rows_per_step": 32})
    record = JobRecord(job_id=JOB, created_at=0, config=config, rollouts_root=str(tmp_path / "store"))

    manifest, _ = await DemonstrationSource(record, RolloutStore.open(record.rollouts_root)).next(place(1))

    assert [sum(agent.trained_tokens > 0 for agent in entry.agents) for entry in manifest.entries] == [4, 4]


async def test_a_supervised_step_weighs_tokens_to_one_with_advantage_one(tmp_path: Path) -> None:
    source = supervised(tmp_path, 3, sft_rows_per_step=8, optim={"minibatches": 2})

    manifest, _ = await source.next(place(1))

    agents = [(entry.minibatch, agent) for entry in manifest.entries for agent in entry.agents]
    for minibatch in (0, 1):
        total = sum(agent.weight * agent.trained_tokens for own, agent in agents if own == minibatch)
        assert total == pytest.approx(1)
    assert {agent.advantage for _, agent in agents} == {1.0}
    assert manifest == (await supervised(tmp_path, 3, sft_rows_per_step=8, optim={"minibatches": 2}).next(place(1)))[0]
