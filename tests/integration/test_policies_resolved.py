"""Which policy version serves a run, over a real Redis."""

import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.policies import Policies, PolicyView, ServedVersion, parse, share_of
from services.kit.redis import connect
from tests.redis_keys import undocumented
from tests.servers import free_port
from wideseek.errors import QueueUnavailable

KEYS = Keys("test")


def view(name: str = "wide", *, revision: int = 1, current: int = 1, **changes: object) -> PolicyView:
    served = [ServedVersion(name=name, version=0, model="smollm2", base_sha256="b" * 64)]
    served += [
        ServedVersion(name=name, version=one, model=f"{name}@v{one}", adapter_sha256=str(one) * 64) for one in (1, 2)
    ]
    values = {"name": name, "revision": revision, "current": current, "served": served, "published_at": 10.0}
    return PolicyView.model_validate({**values, **changes})


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
def policies(redis: Redis) -> Policies:
    return Policies(redis, KEYS)


async def test_what_is_mirrored_is_read_back_and_documented(policies: Policies, redis_url: str) -> None:
    written = view(canary=2, canary_share=0.25)

    await policies.mirror(written)
    await policies.pin("wide@v1", "r1", time.time() + 60)

    assert await policies.view("wide") == written
    assert await policies.names() == ["wide"]
    assert undocumented(redis_url, "test") == []


async def test_a_name_gives_its_current_version_and_an_exact_name_itself(policies: Policies) -> None:
    await policies.mirror(view())

    assert await policies.resolve("wide", "r1") == "wide@v1"
    assert await policies.resolve("wide@v2", "r1") == "wide@v2"
    assert await policies.resolve("wide@v0", "r1") == "smollm2"


@pytest.mark.parametrize("asked", ["narrow", "wide@v3", "narrow@v1", "smollm2", "wide@v01", "wide@v1x"])
async def test_what_is_not_served_resolves_to_nothing(policies: Policies, asked: str) -> None:
    await policies.mirror(view())

    assert await policies.resolve(asked, "r1") is None


async def test_the_oldest_policy_serves_runs_that_name_none_unless_another_is_the_default(
    policies: Policies, redis: Redis
) -> None:
    await policies.mirror(view("young", published_at=20.0))
    await policies.mirror(view("old", published_at=10.0, current=2))

    assert await policies.resolve(None, "r1") == "old@v2"
    assert await Policies(redis, KEYS, default="young").resolve(None, "r1") == "young@v1"


async def test_without_any_policy_nothing_is_resolved(policies: Policies) -> None:
    assert await policies.resolve(None, "r1") is None


async def test_a_version_rolled_back_to_the_base_is_the_engines_own_model(policies: Policies) -> None:
    await policies.mirror(view(current=0))

    assert await policies.resolve(None, "r1") == "smollm2"


async def test_a_canary_gets_its_share_of_runs_and_a_run_always_the_same(policies: Policies) -> None:
    policy = view(canary=2, canary_share=0.2)
    await policies.mirror(policy)
    runs = [f"run-{number}" for number in range(20_000)]

    chosen = [version.version for version in map(policy.choose, runs) if version is not None]

    assert chosen.count(2) / len(runs) == pytest.approx(0.2, abs=0.012)  # 4 standard deviations of a binomial
    expected = ["wide@v2" if version == 2 else "wide@v1" for version in chosen[:50]]
    assert [await policies.resolve("wide", run) for run in runs[:50]] == expected


def test_another_canary_draws_other_runs() -> None:
    runs = [f"run-{number}" for number in range(2_000)]

    one, other = ({run for run in runs if share_of("wide", version, run) < 0.5} for version in (2, 3))

    assert len(one & other) / len(runs) == pytest.approx(0.25, abs=0.04)


async def test_an_older_revision_never_replaces_a_newer(policies: Policies) -> None:
    await policies.mirror(view(revision=5, current=2))

    written = await policies.mirror(view(revision=4, current=1))

    assert not written
    assert await policies.resolve("wide", "r1") == "wide@v2"


async def test_a_version_that_is_no_longer_served_leaves_the_mirror(policies: Policies) -> None:
    await policies.mirror(view())

    await policies.mirror(view(revision=2, served=view().served[:2]))

    assert await policies.resolve("wide@v2", "r1") is None


async def test_pins_count_until_they_are_given_back_or_run_out(policies: Policies) -> None:
    now = time.time()
    await policies.pin("wide@v1", "r1", now + 60)
    await policies.pin("wide@v1", "r2", now + 60)
    await policies.pin("wide@v1", "r2", now + 90)
    await policies.pin("wide@v1", "late", now - 1)

    assert await policies.pinned("wide@v1") == 2
    await policies.unpin("wide@v1", "r1")
    assert await policies.pinned("wide@v1") == 1
    assert await policies.pinned("wide@v2") == 0


async def test_a_short_pin_does_not_shorten_a_long_one(policies: Policies, redis: Redis) -> None:
    now = time.time()
    await policies.pin("wide@v1", "long", now + 1_000)
    await policies.pin("wide@v1", "short", now + 10)

    assert await redis.ttl(KEYS.pins("wide@v1")) > 900


async def test_an_outage_of_redis_is_raised_not_answered() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as gone:
        policies = Policies(gone, KEYS)

        for asked in (policies.resolve(None, "r1"), policies.resolve("wide", "r1"), policies.pinned("wide@v1")):
            with pytest.raises(QueueUnavailable):
                await asked


@pytest.mark.parametrize(
    ("model", "expected"),
    [("wide@v3", ("wide", 3)), ("a-b@v0", ("a-b", 0)), ("wide", None), ("Wide@v1", None), ("wide@v-1", None)],
)
def test_a_served_name_is_read(model: str, expected: tuple[str, int] | None) -> None:
    assert parse(model) == expected
