"""Promoting, trying and rolling back by hand, and replicas that come back empty."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.trainer.policies.locks import policy_lock
from services.trainer.policies.publish import PolicyRefused
from services.trainer.policies.reconcile import reconcile
from services.trainer.policies.records import Evaluated
from services.trainer.policies.replicas import Fleet
from tests.policy_engine import BASE_MODEL
from tests.policy_parts import NAME, RULE, Deployment, deployment
from tests.servers import free_port
from wideseek.concurrency import run_all
from wideseek.errors import Conflict, InvalidRequest, ModelUnavailable, PolicyNotFound

CANARY = RULE.model_copy(update={"promote": "canary", "canary_share": 0.5})
NARROW = RULE.model_copy(update={"keep_versions": 2})


@pytest.fixture
async def two(tmp_path: Path, redis_url: str) -> AsyncIterator[Deployment]:
    """Two replicas that compute exactly as the trainer does."""
    async with deployment(tmp_path, redis_url) as running:
        yield running


@pytest.fixture
async def three(two: Deployment) -> Deployment:
    """Three versions of a policy, the third current."""
    for version in (1, 2, 3):
        await two.publish(version, (version, 0.5))
    return two


async def test_a_policy_is_described_with_lineage_status_and_evaluations(three: Deployment) -> None:
    three.registry.add_evaluation(NAME, 2, Evaluated(metric="item_f1", mean=0.5, low=0.4, high=0.6, tasks=9))
    three.registry.add_evaluation(NAME, 2, Evaluated(metric="item_f1", mean=0.6, low=0.5, high=0.7, tasks=9))

    policy = (await three.manager()).describe(NAME)

    assert [(one.version, one.status) for one in policy.versions] == [
        (3, "current"),
        (2, "served"),
        (1, "served"),
        (0, "served"),
    ]
    assert policy.versions[0].lineage == (2, 1)
    assert [one.mean for one in policy.versions[1].evaluations] == [0.5, 0.6]
    assert len(policy.versions[0].replicas) == 2
    assert policy.versions[0].mean_difference == pytest.approx(0, abs=1e-9)
    assert policy.versions[0].manifest_sha256 == f"{3:064d}"
    assert [one.name for one in (await three.manager()).all()] == [NAME]


async def test_a_rollback_goes_back_along_the_versions_that_were_current(three: Deployment) -> None:
    manager = await three.manager()

    seen = []
    for _ in range(3):
        await manager.rollback(NAME)
        seen.append(await three.serving())

    assert seen == ["wide@v2", "wide@v1", BASE_MODEL]
    with pytest.raises(Conflict, match="no version to go back to"):
        await manager.rollback(NAME)


async def test_a_rollback_takes_a_running_canary_back_first(three: Deployment) -> None:
    await three.publish(4, (4, 0.5), rule=CANARY)
    manager = await three.manager()

    policy = await manager.rollback(NAME)

    assert (policy.current, policy.canary, policy.canary_share) == (3, None, 0)
    assert {await three.serving(f"run-{number}") for number in range(40)} == {"wide@v3"}


async def test_after_a_rollback_jobs_promote_nothing_until_somebody_promotes_by_hand(three: Deployment) -> None:
    manager = await three.manager()
    await manager.rollback(NAME)

    held = await three.publish(4, (4, 0.5))
    assert held.outcome == "held"
    assert "rolled back" in held.why
    assert await three.serving() == "wide@v2"

    await manager.promote(NAME, 4)
    assert (await three.publish(5, (5, 0.5))).outcome == "promoted"


async def test_a_change_by_hand_during_a_publication_is_not_undone_by_it(three: Deployment) -> None:
    manager = await three.manager()
    candidate, publisher = three.candidate(4, (4, 0.5)), await three.publisher()
    trainer = three.trainer((4, 0.5))

    class Slow:
        async def score(self, rows: object, /) -> list[tuple[float, ...]]:
            await manager.promote(NAME, 1)
            return await trainer.score(rows)  # type: ignore[arg-type]

    published = await publisher.publish(candidate, Slow(), RULE, precision="float32")

    assert (published.outcome, await three.serving()) == ("held", "wide@v1")
    assert "by hand while" in published.why


async def test_of_many_changes_at_once_each_is_made_on_the_state_before(three: Deployment) -> None:
    before = three.states.newest(NAME).revision
    managers = [await three.manager() for _ in range(4)]

    await run_all(manager.promote(NAME, 1 + place % 3) for place, manager in enumerate(managers * 5))

    states = three.states.history(NAME)
    assert [state.revision for state in states] == list(range(1, before + 21))
    view = await three.policies.view(NAME)
    assert view == three.states.view(states[-1])


async def test_a_version_that_was_unloaded_is_loaded_and_checked_before_it_is_promoted(two: Deployment) -> None:
    for version in (1, 2, 3, 4):
        await two.publish(version, (version, 0.5), rule=NARROW)
    assert "wide@v1" not in two.engines[0].loaded

    policy = await (await two.manager()).promote(NAME, 1)

    assert policy.current == 1
    assert all("wide@v1" in engine.loaded for engine in two.engines)


async def test_a_version_that_no_longer_computes_the_same_is_not_promoted(two: Deployment) -> None:
    for version in (1, 2, 3, 4):
        await two.publish(version, (version, 0.5), rule=NARROW)
    two.engines[1].serves_instead["wide@v1"] = "wide@v4"

    with pytest.raises(Conflict, match="no longer computes wide@v1"):
        await (await two.manager()).promote(NAME, 1)

    assert await two.serving() == "wide@v4"
    assert all("wide@v1" not in engine.loaded for engine in two.engines)


async def test_a_refused_version_cannot_be_promoted(three: Deployment) -> None:
    three.engines[0].serves_instead["wide@v4"] = "wide@v3"
    with pytest.raises(PolicyRefused):
        await three.publish(4, (4, 0.5))
    manager = await three.manager()

    with pytest.raises(Conflict, match=r"wide@v4 cannot be served: .* is above"):
        await manager.promote(NAME, 4)

    view = manager.describe(NAME).versions[0]
    assert view.status == "refused"
    assert view.refused


async def test_the_base_may_be_promoted(three: Deployment) -> None:
    policy = await (await three.manager()).promote(NAME, 0)

    assert policy.current == 0
    assert await three.serving() == BASE_MODEL


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
async def test_a_share_that_is_none_is_refused(three: Deployment, share: float) -> None:
    with pytest.raises(InvalidRequest, match="share must lie"):
        await (await three.manager()).canary(NAME, 2, share)


async def test_what_there_is_not_is_not_found(three: Deployment) -> None:
    manager = await three.manager()

    with pytest.raises(PolicyNotFound, match="no policy wide@v9; versions of wide: wide@v1, wide@v2, wide@v3"):
        await manager.promote(NAME, 9)
    with pytest.raises(PolicyNotFound, match="no policy 'narrow'; there are: wide"):
        await manager.rollback("narrow")


async def test_the_current_version_is_no_canary(three: Deployment) -> None:
    with pytest.raises(Conflict, match="serves all runs already"):
        await (await three.manager()).canary(NAME, 3, 0.1)


async def test_a_restarted_replica_gets_its_versions_back_and_is_checked(three: Deployment) -> None:
    three.engines[0].restart()
    await three.redis.flushall()

    done = await reconcile(three.registry, three.states, await three.fleet())

    assert [one.model for one in done] == ["wide@v1", "wide@v2", "wide@v3"]
    assert not any(one.problem for one in done)
    assert sorted(three.engines[0].loaded) == ["wide@v1", "wide@v2", "wide@v3"]
    assert await three.serving() == "wide@v3"
    assert await reconcile(three.registry, three.states, await three.fleet()) == []


async def test_a_restarted_replica_that_computes_something_else_does_not_serve(three: Deployment) -> None:
    three.engines[0].restart()
    three.engines[0].base = 9

    done = await reconcile(three.registry, three.states, await three.fleet())

    assert all("computes something else" in one.problem for one in done)
    assert three.engines[0].loaded == {}


async def test_an_engine_restarted_on_a_policy_merged_into_its_base_is_left_alone(three: Deployment) -> None:
    three.engines[0].restart()
    calls = len(three.engines[0].calls)
    record = {"name": "trained", "policy": "trained", "sha256": "of other weights"}
    (three.root / "MODEL.json").write_text(json.dumps(record))

    done = await reconcile(three.registry, three.states, await three.fleet())

    assert done == []
    assert len(three.engines[0].calls) == calls


async def test_reconciling_passes_over_a_replica_that_is_down_and_a_policy_that_is_being_published(
    three: Deployment,
) -> None:
    three.engines[0].restart()
    async with policy_lock(three.registry.folder, NAME):
        assert await reconcile(three.registry, three.states, await three.fleet()) == []
    three.urls.insert(0, f"http://127.0.0.1:{free_port()}")

    done = await reconcile(three.registry, three.states, await three.fleet())

    assert len(done) == 3


async def test_what_a_killed_publication_left_loaded_is_unloaded(three: Deployment) -> None:
    candidate = three.candidate(4, (4, 0.5))
    record = three.registry.write(candidate, "float32")
    await (await three.fleet()).load(record, three.registry.path(NAME, 4))
    left = three.registry.folder / ".wide@v5-killed"
    left.mkdir()

    await reconcile(three.registry, three.states, await three.fleet())

    assert [sorted(engine.loaded) for engine in three.engines] == [["wide@v1", "wide@v2", "wide@v3"]] * 2
    await three.publish(5, (5, 0.5))
    assert not left.exists()


async def test_a_second_publication_waits_for_the_first(two: Deployment) -> None:
    async with policy_lock(two.registry.folder, NAME):
        waiting = asyncio.ensure_future(two.publish(1, (7, 0.5)))
        with pytest.raises(Conflict, match="being published by another process"):
            async with policy_lock(two.registry.folder, NAME, wait_s=0.1):
                pass
        assert not waiting.done()

    assert (await waiting).outcome == "promoted"


async def test_a_name_stands_for_all_its_addresses() -> None:
    async with Fleet(["dns+http://localhost:8000", "http://10.0.0.1:8000/"]) as fleet:
        urls = [replica.url for replica in await fleet.replicas()]

    assert "http://127.0.0.1:8000" in urls
    assert urls[-1] == "http://10.0.0.1:8000"


async def test_a_name_without_an_address_is_an_outage_and_one_without_a_port_a_mistake() -> None:
    async with Fleet(["dns+http://nobody.invalid:8000"]) as fleet:
        with pytest.raises(ModelUnavailable, match=r"nobody\.invalid has no address"):
            await fleet.replicas()
    async with Fleet(["dns+http://localhost"]) as fleet:
        with pytest.raises(InvalidRequest, match="write dns"):
            await fleet.replicas()


async def test_replicas_of_different_bases_are_refused(two: Deployment) -> None:
    other = two.home / "other"
    other.mkdir()
    (other / "model.safetensors").write_bytes(b"other weights")
    two.engines[1].root = other

    with pytest.raises(Conflict, match="serves the base"):
        await two.publish(1, (7, 0.5))
