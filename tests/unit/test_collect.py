"""The collector against a cluster in memory: groups, outages, staleness, what becomes of every rollout."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.collect.groups import CollectedGroup
from services.trainer.config import AdvantageConfig
from tests.collect_parts import Bench, End, collecting, config_of, settled, source_of, until, usually_right
from wideseek.contracts import RunRequest, RunStatus
from wideseek.errors import Conflict, InvalidRequest
from wideseek.rollout import RolloutSource
from wideseek.trajectory import Role


def places(groups: list[CollectedGroup]) -> list[tuple[str, int, int]]:
    return [
        (group.group_id, one.stored.index_in_group, one.stored.attempt) for group in groups for one in group.rollouts
    ]


async def test_a_step_gets_whole_groups_of_one_version_each(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        groups = await collector.take(2)

    assert places(groups) == [(f"g0-{number}", index, 0) for number in range(2) for index in range(4)]
    assert {request.model for request in bench.cluster.requests} == {"base"}
    assert {request.sampling.seed for request in bench.cluster.requests} == {None}
    assert sorted(group.kind for group in groups) == ["question", "wide"]
    assert [one.reward.total for one in groups[0].rollouts] == pytest.approx([1.1, 0.1, 1.1, 0.1])
    assert all(one.reward_file.sha256 and one.shape.agents[0].trained_tokens == 6 for one in groups[0].rollouts)


async def test_rollouts_have_seeds_of_their_own_where_the_job_sets_one(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)

    async with collecting(bench.collector(config_of(max_staleness=0, sampling={"seed": 7}))) as collector:
        await collector.take(2)

    seeds = {request.sampling.seed for request in bench.cluster.requests}
    assert len(seeds - {None}) == 8


async def test_a_trained_version_samples_the_next_groups(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        await collector.take(2)
        collector.advance(step=1, version=1)
        groups = await collector.take(2)

    assert {group.version for group in groups} == {1}
    assert {one.stored.version_min for group in groups for one in group.rollouts} == {1}
    assert bench.cluster.requests[-1].model == "policy@v1"


async def test_on_policy_nothing_is_asked_while_a_step_is_trained(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        await collector.take(2)
        await settled(bench.cluster)

    assert len(bench.cluster.requests) == 8


@settings(max_examples=6, deadline=None)
@given(
    staleness=st.integers(0, 3),
    groups=st.integers(1, 3),
    every=st.integers(1, 3),
    seed=st.integers(),
    slow=st.booleans(),
)
async def test_no_rollout_is_trained_staler_than_the_bound_nor_are_too_many_in_flight(
    tmp_path_factory: pytest.TempPathFactory, staleness: int, groups: int, every: int, seed: int, slow: bool
) -> None:
    every = min(every, staleness + 1)
    bench = Bench.at(tmp_path_factory.mktemp("bound"), seed=seed)
    config = config_of(max_staleness=staleness, groups_per_step=groups, group_size=2)
    versions = {0: 0}

    async with collecting(bench.collector(config)) as collector:
        for step in range(1, 9):
            taken = await collector.take(groups)
            for one in (one for group in taken for one in group.rollouts):
                assert 0 <= step - 1 - versions[one.stored.version_min] <= staleness
            if slow:
                await settled(bench.cluster)
            published = step // every
            versions.setdefault(published, step)
            collector.advance(step=step, version=published)
        assert not collector.drops()

    assert bench.cluster.peak <= 2 * groups * (staleness + 1)


async def test_an_outage_is_asked_again_and_never_rewarded(tmp_path: Path) -> None:
    def end(request: RunRequest) -> End:
        place = request.training
        if (place.group_id, place.index_in_group, place.attempt) == ("g0-0", 1, 0):
            return End(status=RunStatus.FAILED)
        if (place.group_id, place.index_in_group, place.attempt) == ("g0-1", 2, 0):
            return End(status=RunStatus.INCOMPLETE, reason="tool_outage")
        return usually_right(request)

    bench = Bench.at(tmp_path, end=end)

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        groups = await collector.take(2)
        drops = Counter(drop.reason for drop in collector.drops())

    assert [len(group.rollouts) for group in groups] == [4, 4]
    assert ("g0-0", 1, 1) in places(groups)
    assert ("g0-1", 2, 1) in places(groups)
    assert collector.measured.drops == {"run_failed": 1, "tool_outage": 1}
    assert drops == {"run_failed": 1, "tool_outage": 1}


async def test_a_rollout_that_outages_always_take_leaves_its_group(tmp_path: Path) -> None:
    def end(request: RunRequest) -> End:
        lost = request.training.group_id == "g0-0" and request.training.index_in_group == 3
        return End(status=RunStatus.INCOMPLETE, reason="width_starved") if lost else usually_right(request)

    bench = Bench.at(tmp_path, end=end)

    async with collecting(bench.collector(config_of(max_staleness=0, max_attempts=2))) as collector:
        groups = await collector.take(2)

    assert [len(group.rollouts) for group in groups] == [3, 4]
    assert collector.measured.drops == {"width_starved": 2}


async def test_a_group_below_the_least_size_is_dropped_and_its_task_asked_again(tmp_path: Path) -> None:
    def end(request: RunRequest) -> End:
        lost = request.training.group_id == "g0-0" and request.training.index_in_group != 0
        return End(status=RunStatus.FAILED, stored=False) if lost else usually_right(request)

    bench = Bench.at(tmp_path, end=end)

    async with collecting(bench.collector(config_of(max_staleness=0, max_attempts=2))) as collector:
        groups = await collector.take(2)
        drops = collector.drops()

    assert [group.group_id for group in groups] == ["g0-1", "g0-2"]
    assert groups[1].task_id == bench.source.draw(0).task.instance_id
    assert [drop.reason for drop in drops] == ["group_too_small"]
    assert collector.cursor() == f"{len(bench.cluster.index.entries)}-0"


async def test_an_orchestrator_that_is_away_is_waited_for(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, down=60)

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        groups = await collector.take(2)

    assert {attempt for _, _, attempt in places(groups)} == {0}
    assert len(bench.cluster.requests) == 8


async def test_a_group_is_closed_in_time_with_what_it_has(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, hold=lambda request: request.training.index_in_group == 3)

    async with collecting(bench.collector(config_of(max_staleness=0, timeout_s=0.3))) as collector:
        groups = await collector.take(2)
        await until(lambda: len(bench.cluster.cancelled) == 2)

    assert [len(group.rollouts) for group in groups] == [3, 3]
    assert collector.measured.drops == {"timeout": 2}


async def test_over_provision_takes_the_first_and_cancels_the_last(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, hold=lambda request: request.training.index_in_group in {0, 2})

    async with collecting(bench.collector(config_of(max_staleness=0, over_provision=2))) as collector:
        groups = await collector.take(2)
        await until(lambda: len(bench.cluster.cancelled) == 4)

    assert [[one.stored.index_in_group for one in group.rollouts] for group in groups] == [[1, 3, 4, 5]] * 2
    assert collector.measured.drops == {"over_provisioned": 4}


async def test_groups_that_teach_nothing_are_replaced_a_bounded_number_of_times(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, end=lambda _: End(answer="\\boxed{Lima}"), source=source_of(wides=0))
    config = config_of(max_staleness=0, replace_zero_variance=True, max_replacements=3)

    async with collecting(bench.collector(config)) as collector:
        groups = await collector.take(2)
        drops = Counter(drop.reason for drop in collector.drops())

    assert all(group.zero_variance for group in groups)
    assert drops == {"zero_variance": 12}
    assert collector.measured.scalars["groups/replaced"] == 3
    assert collector.measured.scalars["groups/zero_variance"] == 1


async def test_equal_totals_teach_where_the_roles_rewards_differ(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, end=lambda _: End(answer="\\boxed{Lima}"), source=source_of(wides=0))

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        (group, _) = await collector.take(2)
    first = group.rollouts[0]
    longer = first.model_copy(update={"shape": first.shape.model_copy(update={"role_reward": {Role.LEAD: 0.5}})})
    mixed = group.model_copy(update={"rollouts": (longer, *group.rollouts[1:])})

    assert not group.teaches(AdvantageConfig(per_role=True))
    assert not mixed.teaches(AdvantageConfig())
    assert mixed.teaches(AdvantageConfig(per_role=True))


async def test_groups_that_teach_nothing_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, end=lambda _: End(answer="\\boxed{Lima}"), source=source_of(wides=0))

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        groups = await collector.take(2)

    assert [group.group_id for group in groups] == ["g0-0", "g0-1"]
    assert collector.measured.scalars["reward/std"] == 0


async def test_demonstrations_end_the_job_with_what_to_do_instead(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, end=lambda _: End(source=RolloutSource.DEMONSTRATION))

    async with collecting(bench.collector(config_of())) as collector:
        with pytest.raises(InvalidRequest, match=r"is a demonstration.*mode: sft"):
            await collector.take(2)


async def test_rollouts_of_other_weights_are_asked_again(tmp_path: Path) -> None:
    def end(request: RunRequest) -> End:
        return End(model="policy@v9") if request.training.attempt == 0 else usually_right(request)

    bench = Bench.at(tmp_path, end=end)

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        groups = await collector.take(2)

    assert {attempt for _, _, attempt in places(groups)} == {1}
    assert collector.measured.drops == {"wrong_weights": 8}


async def test_a_corrupt_object_is_put_away_counted_and_asked_again(tmp_path: Path) -> None:
    def damage(request: RunRequest) -> bool:
        return (request.training.index_in_group, request.training.attempt) == (2, 0)

    bench = Bench.at(tmp_path, damage=damage)

    async with collecting(bench.collector(config_of(max_staleness=0, groups_per_step=1))) as collector:
        groups = await collector.take(1)
        drops = collector.drops()

    assert places(groups)[2] == ("g0-0", 2, 1)
    assert [drop.reason for drop in drops] == ["corrupt"]
    assert len(bench.cluster.store.quarantined("job-1")) == 1


async def test_a_refused_task_ends_the_job(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, end=lambda _: InvalidRequest("no corpus 'moon'", field="/sources/corpora"))

    async with collecting(bench.collector(config_of())) as collector:
        with pytest.raises(InvalidRequest, match=r"task .* was refused: no corpus 'moon'"):
            await collector.take(2)


async def test_a_policy_that_is_never_published_is_an_error_not_a_hang(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        await collector.take(2)
        collector.advance(step=1, version=0)
        with pytest.raises(Conflict, match="publish a newer version"):
            await collector.take(2)


async def test_kinds_are_mixed_evenly_in_every_step(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, hold=lambda request: False)
    config = config_of(max_staleness=2, groups_per_step=3, group_size=2)
    kinds: Counter[str] = Counter()
    steps = []

    async with collecting(bench.collector(config)) as collector:
        for step in range(1, 7):
            taken = Counter(group.kind for group in await collector.take(3))
            kinds += taken
            steps.append(taken["wide"])
            collector.advance(step=step, version=step)

    assert kinds == {"wide": 9, "question": 9}
    assert set(steps) <= {1, 2}


async def test_what_can_no_longer_be_trained_on_in_time_is_dropped_and_asked_anew(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, hold=lambda request: request.training.group_id == "g0-1" and request.model == "base")

    async with collecting(bench.collector(config_of(max_staleness=0))) as collector:
        await until(lambda: len(bench.cluster.index.entries) == 4)
        await until(lambda: bench.cluster.active == 4)
        collector.advance(step=1, version=1)
        groups = await collector.take(2)
        drops = Counter(drop.reason for drop in collector.drops())

    assert {group.version for group in groups} == {1}
    assert sorted(group.task_id for group in groups) == sorted(bench.source.draw(n).task.instance_id for n in (0, 1))
    assert drops["stale"] == 4
    assert collector.measured.drops == {"stale": 8}
    assert len(bench.cluster.cancelled) == 4


async def test_no_more_run_at_once_than_allowed(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)

    async with collecting(bench.collector(config_of(max_staleness=2, concurrency=3))) as collector:
        for step in range(1, 4):
            await collector.take(2)
            collector.advance(step=step, version=step)

    assert bench.cluster.peak == 3


async def test_a_job_that_ends_has_its_runs_cancelled(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path, hold=lambda _: True)
    collector = bench.collector(config_of(max_staleness=0))

    async with collecting(collector):
        await until(lambda: bench.cluster.active == 8)
    stopped = await collector.cancel_runs()

    assert stopped == 8
    assert bench.cluster.active == 0


async def test_no_more_is_asked_for_than_the_steps_that_are_left_need(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    config = config_of(max_staleness=3).model_copy(update={"steps": 2})

    async with collecting(bench.collector(config)) as collector:
        for step in (1, 2):
            await collector.take(2)
            collector.advance(step=step, version=step)
        await settled(bench.cluster)

    assert len(bench.cluster.requests) == 16
