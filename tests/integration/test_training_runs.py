"""Training runs at the door: who may ask for them, and which version of a policy serves them."""

from typing import Any

import pytest

from services.kit.policies import Policies, PolicyView, ServedVersion
from services.kit.problems import classify
from services.kit.runlog import Fence
from tests.integration.orchestrator_replica import COMPLETED, QUERY, Lead, Replica, Served, door, eventually, replica
from wideseek.clients.orchestrator import Orchestrator
from wideseek.contracts import RunRequest
from wideseek.errors import KeyMissing, KeyRefused, StoreUnavailable
from wideseek.events import RunCreated
from wideseek.rollout import RolloutSource

KEY = {"Authorization": "Bearer sesame"}
TRAINING = {"training": {"opt_in": True, "job_id": "j", "group_id": "g", "index_in_group": 0}}


def version(number: int) -> ServedVersion:
    return ServedVersion(name="policy", version=number, model=f"policy@v{number}", adapter_sha256=f"a{number}")


def view(**fields: Any) -> PolicyView:
    served = (version(1), version(2), version(3))
    return PolicyView(name="policy", current=1, served=served, published_at=1.0, **fields)


async def publish(orchestrator: Replica, view_: PolicyView) -> Policies:
    policies = Policies(orchestrator.redis.short, orchestrator.redis.keys)
    await policies.mirror(view_)
    return policies


async def created(orchestrator: Replica, **fields: Any) -> RunCreated:
    run = await orchestrator.ask(**fields)
    return await orchestrator.log.created(run["id"])


async def problem(orchestrator: Replica, **fields: Any) -> tuple[int, str, str | None]:
    """Status, code and field of a refusal."""
    headers = fields.pop("headers", {})
    response = await orchestrator.http.post("/v1/widesearch", json={**QUERY, **fields}, headers=headers)
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json", body
    return response.status_code, body["code"], body["errors"][0]["pointer"] if body["errors"] else None


async def test_training_takes_the_admin_key_where_there_is_one(redis_url: str) -> None:
    async with door(redis_url, admin_key="sesame") as orchestrator:
        without = await problem(orchestrator, **TRAINING)
        wrong = await problem(orchestrator, **TRAINING, headers={"Authorization": "Bearer simsim"})
        right = await orchestrator.http.post("/v1/widesearch", json={**QUERY, **TRAINING}, headers=KEY)
        serving = await orchestrator.http.post("/v1/widesearch", json=QUERY)

    assert [without, wrong] == [(401, "key-missing", None), (403, "key-refused", None)]
    assert [right.status_code, serving.status_code] == [202, 202]


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 202), ("localhost", 202), ("0.0.0.0", 403)])
async def test_without_a_key_training_is_for_loopback_alone(redis_url: str, host: str, status: int) -> None:
    async with door(redis_url, host=host) as orchestrator:
        response = await orchestrator.http.post("/v1/widesearch", json={**QUERY, **TRAINING})

    assert response.status_code == status


async def test_any_field_of_training_takes_the_key(redis_url: str) -> None:
    async with door(redis_url, admin_key="sesame") as orchestrator:
        refusals = [await problem(orchestrator, training=fields) for fields in ({"job_id": "j"}, {"attempt": 1})]
        harmless = await orchestrator.http.post("/v1/widesearch", json={**QUERY, "training": {"opt_in": False}})

    assert {status for status, *_ in refusals} == {401}
    assert harmless.status_code == 202


async def test_the_sdk_sends_the_key_and_says_when_it_is_refused(redis_url: str) -> None:
    request = RunRequest.model_validate({**QUERY, **TRAINING})
    async with replica(redis_url, admin_key="sesame") as orchestrator:
        url = str(orchestrator.http.base_url)
        async with Orchestrator(url) as keyless, Orchestrator(url, admin_key="simsim") as wrong:
            with pytest.raises(KeyMissing):
                await keyless.create(request)
            with pytest.raises(KeyRefused):
                await wrong.create(request)
        async with Orchestrator(url, admin_key="sesame") as right:
            first = await right.taken_in(request, "key-1")
            again = await right.taken_in(request, "key-1")

    assert (first[0].id, first[1], again[1]) == (again[0].id, False, True)


async def test_what_the_record_needs_is_settled_when_the_run_is_taken_in(redis_url: str) -> None:
    served = Served(models=("expert", "policy@v1"))
    async with door(redis_url) as orchestrator:
        orchestrator.served.models = served.models
        await publish(orchestrator, view())
        opted = await created(orchestrator, model="policy", **TRAINING)
        serving = await created(orchestrator, model="policy")

    assert opted.weights["policy@v1"].adapter_hash == "a1"
    assert opted.weights["policy@v1"].source is RolloutSource.POLICY
    assert len(opted.corpus_hash) == 64
    assert opted.code_version
    assert (serving.weights, serving.corpus_hash, serving.code_version) == ({}, "", "")


async def test_a_run_gets_the_current_version_and_keeps_it(redis_url: str) -> None:
    async with replica(redis_url, Lead(end=None), served=Served(models=("base", "policy@v1", "policy@v2"))) as one:
        policies = await publish(one, view())
        unnamed, family = await created(one), await created(one, model="policy")
        exact = await created(one, model="policy@v2", subagent_model="policy")
        held = [await policies.pinned(f"policy@v{number}") for number in (1, 2)]
        one.lead.finish.set()
        for event in (unnamed, family, exact):
            await one.get(event.run_id, wait=10)

        async def let_go() -> bool:
            return [await policies.pinned(f"policy@v{number}") for number in (1, 2)] == [0, 0]

        await eventually(let_go, "the pins to go")

    assert (unnamed.model, family.model) == ("policy@v1", "policy@v1")
    assert (exact.model, exact.subagent_model) == ("policy@v2", "policy@v1")
    assert held == [3, 1]


async def test_a_canary_gets_its_share_of_runs(redis_url: str) -> None:
    async with door(redis_url) as orchestrator:
        orchestrator.served.models = ("base", "policy@v1", "policy@v2")
        await publish(orchestrator, view(canary=2, canary_share=1.0))
        all_of_them = {(await created(orchestrator)).model for _ in range(3)}

    assert all_of_them == {"policy@v2"}


async def test_the_configured_default_wins_over_policies(redis_url: str) -> None:
    async with door(redis_url, default_model="base") as orchestrator:
        orchestrator.served.models = ("other", "base", "policy@v1")
        await publish(orchestrator, view())
        model = (await created(orchestrator)).model

    assert model == "base"


async def test_a_version_that_is_not_loaded_is_refused_and_not_held(redis_url: str) -> None:
    async with door(redis_url) as orchestrator:
        orchestrator.served.models = ("base", "policy@v1")
        policies = await publish(orchestrator, view())
        refusals = [
            await problem(orchestrator, model="policy@v3"),
            await problem(orchestrator, model="policy@v9"),
            await problem(orchestrator, model="nobody"),
            await problem(orchestrator, model="policy", subagent_model="policy@v3"),
        ]
        held = [await policies.pinned(f"policy@v{number}") for number in (1, 3, 9)]

    assert refusals == [
        (422, "invalid-request", "/model"),
        (422, "invalid-request", "/model"),
        (422, "invalid-request", "/model"),
        (422, "invalid-request", "/subagent_model"),
    ]
    assert held == [0, 0, 0]


async def test_a_version_unloaded_while_the_list_was_trusted_is_noticed(redis_url: str) -> None:
    async with door(redis_url, upstream_cache_s=60) as orchestrator:
        orchestrator.served.models = ("base", "policy@v1")
        await publish(orchestrator, view())
        before = await created(orchestrator, model="policy")
        orchestrator.served.models = ("base",)
        after = await problem(orchestrator, model="policy")

    assert before.model == "policy@v1"
    assert after == (422, "invalid-request", "/model")


@pytest.mark.parametrize("end", [StoreUnavailable("full"), COMPLETED], ids=["failed", "completed"])
async def test_pins_go_however_a_run_ends(redis_url: str, end: Any) -> None:
    async with replica(redis_url, Lead(end), served=Served(models=("policy@v1",))) as one:
        policies = await publish(one, view())
        run = await one.ask(model="policy", wait=10)

        async def let_go() -> bool:
            return await policies.pinned("policy@v1") == 0

        await eventually(let_go, "the pin to go")

    assert run["status"] in {"failed", "completed"}


async def test_pins_go_when_a_run_is_cancelled(redis_url: str) -> None:
    async with replica(redis_url, Lead(end=None), served=Served(models=("policy@v1",))) as one:
        policies = await publish(one, view())
        run = await one.ask(model="policy")
        await one.http.post(f"/v1/widesearch/{run['id']}/cancel")

        async def let_go() -> bool:
            return await policies.pinned("policy@v1") == 0

        await eventually(let_go, "the pin to go")


async def test_a_run_whose_rollout_cannot_be_stored_fails_naming_the_store(redis_url: str) -> None:
    async with replica(redis_url, Lead(StoreUnavailable("the disk is full"))) as one:
        run = await one.ask(**TRAINING, wait=10)

    assert run["status"] == "failed"
    assert run["error"]["service"] == "rollout store"
    assert run["error"]["code"] == classify(StoreUnavailable("x"))[1]
    assert run["rollout_id"] is None


async def test_a_run_given_up_lets_go_of_its_version(redis_url: str) -> None:
    async with replica(redis_url, Lead(), served=Served(models=("policy@v1",)), max_claims=1, max_runs=0) as idle:
        policies = await publish(idle, view())
        run = await idle.ask(model="policy")
        assert Fence("lead", await idle.log.claim(run["id"], "lead")).token == 1
        async with replica(redis_url, Lead(), served=Served(models=("policy@v1",)), max_claims=1) as working:
            ended = await working.get(run["id"], wait=10)

            async def let_go() -> bool:
                return await policies.pinned("policy@v1") == 0

            await eventually(let_go, "the pin to go")

    assert ended["error"]["code"] == "given-up"
