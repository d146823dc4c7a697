"""Policies that replace the engine's whole weights: one version at a time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.trainer.policies.publish import PolicyRefused, Published
from services.trainer.policies.reconcile import reconcile
from tests.policy_engine import BASE_MODEL, PolicyEngine
from tests.policy_parts import NAME, RULE, Deployment, deployment
from wideseek.errors import Conflict

Shift = tuple[int, float]


@pytest.fixture
async def whole(tmp_path: Path, redis_url: str) -> AsyncIterator[Deployment]:
    """A replica whose weights may be replaced."""
    async with deployment(tmp_path, redis_url, replicas=1, dev_mode=True) as running:
        yield running


async def publish(running: Deployment, version: int, *shifts: Shift, trained: tuple[Shift, ...] = ()) -> Published:
    candidate = running.candidate(version, *shifts).model_copy(update={"adaptation": "full"})
    scorer = running.trainer(*(trained or shifts))
    return await (await running.publisher()).publish(candidate, scorer, RULE, precision="float32")


def engine(running: Deployment) -> PolicyEngine:
    return running.engines[0]


async def test_whole_weights_are_replaced_while_nothing_runs_and_old_prefixes_are_forgotten(whole: Deployment) -> None:
    published = await publish(whole, 1, (7, 0.5))

    assert published.outcome == "promoted"
    assert engine(whole).calls == ["pause", "collective_rpc", "reset_prefix_cache", "resume"]
    assert engine(whole).whole == ((7, 0.5),)
    assert await whole.serving() == BASE_MODEL
    assert await whole.policies.resolve("wide@v1", "r1") == BASE_MODEL


async def test_whole_weights_that_do_not_pass_are_replaced_by_those_before(whole: Deployment) -> None:
    await publish(whole, 1, (7, 0.5))

    with pytest.raises(PolicyRefused):
        await publish(whole, 2, (8, 0.5), trained=((9, 0.5),))

    assert engine(whole).whole == ((7, 0.5),)
    assert whole.states.newest(NAME).current == 1


async def test_the_first_whole_weights_that_do_not_pass_give_way_to_the_base(whole: Deployment) -> None:
    with pytest.raises(PolicyRefused):
        await publish(whole, 1, (8, 0.5), trained=((9, 0.5),))

    assert engine(whole).whole == ()


async def test_a_rollback_loads_the_weights_before_and_then_the_base(whole: Deployment) -> None:
    await publish(whole, 1, (7, 0.5))
    await publish(whole, 2, (8, 0.5))
    manager = await whole.manager()

    await manager.rollback(NAME)
    assert (engine(whole).whole, whole.states.newest(NAME).served) == (((7, 0.5),), (1,))

    await manager.rollback(NAME)
    assert (engine(whole).whole, whole.states.newest(NAME).served) == ((), ())


async def test_two_versions_of_whole_weights_cannot_be_served_at_once(whole: Deployment) -> None:
    await publish(whole, 1, (7, 0.5))
    await publish(whole, 2, (8, 0.5))

    with pytest.raises(Conflict, match="no two versions are served at once"):
        await (await whole.manager()).canary(NAME, 1, 0.1)


async def test_a_restarted_engine_gets_its_whole_weights_back(whole: Deployment) -> None:
    await publish(whole, 1, (7, 0.5))
    engine(whole).restart()

    done = await reconcile(whole.registry, whole.states, await whole.fleet())

    assert [one.problem for one in done] == [""]
    assert engine(whole).whole == ((7, 0.5),)
    assert await reconcile(whole.registry, whole.states, await whole.fleet()) == []


async def test_an_engine_without_the_routes_says_what_to_start_it_with(tmp_path: Path, redis_url: str) -> None:
    async with deployment(tmp_path, redis_url, replicas=1) as running:
        with pytest.raises(PolicyRefused, match="VLLM_SERVER_DEV_MODE=1"):
            await publish(running, 1, (7, 0.5))

        assert running.registry.refusal(NAME, 1) is not None
