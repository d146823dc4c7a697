"""Publishing over real HTTP engines and a real Redis: promoted, refused, crashed and tried again."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.kit.keys import Keys
from services.kit.policies import Policies
from services.kit.redis import connect
from services.trainer.config import PublishConfig
from services.trainer.policies.probe import Alternative
from services.trainer.policies.publish import PolicyRefused, Publisher
from services.trainer.policies.states import States
from tests.policy_engine import BASE_MODEL, WEIGHTS, Trainer
from tests.policy_engine import Weights as EngineWeights
from tests.policy_parts import BASE, NAME, RULE, Crash, Deployment, deployment
from tests.redis_keys import undocumented
from tests.servers import free_port
from wideseek.errors import Conflict, ContractViolation, InvalidRequest, ModelUnavailable, QueueUnavailable

HOLD = RULE.model_copy(update={"promote": "hold"})


@pytest.fixture
async def two(tmp_path: Path, redis_url: str) -> AsyncIterator[Deployment]:
    """Two replicas that compute exactly as the trainer does."""
    async with deployment(tmp_path, redis_url) as running:
        yield running


@pytest.fixture
async def rough(tmp_path: Path, redis_url: str) -> AsyncIterator[Deployment]:
    """A replica and a trainer that round as bfloat16 does."""
    async with deployment(tmp_path, redis_url, replicas=1, sigma=0.03) as running:
        yield running


async def test_a_candidate_that_passes_serves_all_new_runs_on_every_replica(two: Deployment, redis_url: str) -> None:
    published = await two.publish(1, (7, 0.5))

    assert published.outcome == "promoted"
    assert await two.serving() == "wide@v1"
    assert [list(engine.loaded) for engine in two.engines] == [["wide@v1"]] * 2
    assert published.report is not None
    assert [one.mean for one in published.report.replicas] == pytest.approx([0, 0], abs=1e-12)
    assert set(published.scalars) == {"time/publish_s"} | {
        f"parity/{kind}/{one.replica}" for kind in ("mean", "max") for one in published.report.replicas
    }
    assert undocumented(redis_url, "test") == []


async def test_the_version_is_written_with_its_hashes_and_marked_stable_and_loaded(two: Deployment) -> None:
    published = await two.publish(1, (7, 0.5))

    folder = two.registry.path(NAME, 1)
    assert {path.name for path in folder.iterdir() if not path.name.startswith("LOADED.")} == {
        "POLICY.json",
        "STABLE",
        "PROBE.json",
        "adapter_config.json",
        WEIGHTS,
    }
    assert len(two.registry.loaded(NAME, 1)) == 2
    view = await two.policies.view(NAME)
    assert view is not None
    assert [(one.version, one.model) for one in view.served] == [(0, BASE_MODEL), (1, "wide@v1")]
    assert view.served[1].adapter_sha256 == published.record.adapter_sha256
    assert view.served[1].base_sha256 == two.candidate(1).base_sha256


async def test_each_publication_takes_the_place_of_the_one_before(two: Deployment) -> None:
    await two.publish(1, (7, 0.5))
    await two.publish(2, (7, 0.5), (8, 0.1))

    state = two.states.newest(NAME)
    assert (state.current, state.previous, state.served) == (2, 1, (1, 2))
    assert [record.version for record in two.registry.lineage(NAME, 2)] == [2, 1]


async def test_the_same_publication_again_changes_nothing(two: Deployment) -> None:
    await two.publish(1, (7, 0.5))
    revision = two.states.newest(NAME).revision

    again = await two.publish(1, (7, 0.5))

    assert again.outcome == "promoted"
    assert again.report is None
    assert two.states.newest(NAME).revision == revision
    assert [engine.calls for engine in two.engines] == [["load wide@v1"]] * 2


async def test_a_version_is_never_written_over(two: Deployment) -> None:
    await two.publish(1, (7, 0.5))

    with pytest.raises(Conflict, match=r"exists with other content \(files\): publish version 2"):
        await two.publish(1, (9, 0.5))

    assert await two.serving() == "wide@v1"


async def test_an_adapter_without_weights_is_refused(two: Deployment) -> None:
    candidate = two.candidate(1, (7, 0.5))
    (candidate.adapter / WEIGHTS).unlink()

    with pytest.raises(InvalidRequest, match="holds no weights"):
        await (await two.publisher()).publish(candidate, two.trainer(), RULE, precision="float32")


@pytest.mark.parametrize("faulty", [0, 1])
async def test_a_stale_adapter_on_one_replica_is_refused_and_the_old_version_stays(
    two: Deployment, faulty: int
) -> None:
    await two.publish(1, (7, 0.5))
    two.engines[faulty].serves_instead["wide@v2"] = "wide@v1"

    with pytest.raises(PolicyRefused) as refused:
        await two.publish(2, (7, 0.5), (8, 0.01))

    assert await two.serving() == "wide@v1"
    assert [sorted(engine.loaded) for engine in two.engines] == [["wide@v1"]] * 2
    assert [bool(one.reasons) for one in refused.value.report.replicas] == [faulty == 0, faulty == 1]
    assert two.registry.refusal(NAME, 2) == refused.value.report
    assert two.states.newest(NAME).served == (1,)


async def test_a_stale_adapter_a_tiny_step_away_is_named_for_what_it_is(two: Deployment) -> None:
    await two.publish(1, (7, 0.5))
    two.engines[0].serves_instead["wide@v2"] = "wide@v1"
    parent = Alternative(1, two.trainer((7, 0.5)))

    with pytest.raises(PolicyRefused, match="is nearer to version 1 than to the candidate") as refused:
        await two.publish(2, (7, 0.5), (8, 1e-5), alternatives=[parent])

    assert refused.value.report.replicas[0].mean < 1e-4
    assert refused.value.report.replicas[1].reasons == ()


async def test_another_base_in_the_engine_is_refused(two: Deployment) -> None:
    two.engines[1].base = 2

    with pytest.raises(PolicyRefused, match="another base"):
        await two.publish(1, (7, 0.5))

    assert await two.serving() == BASE_MODEL


async def test_another_base_in_the_record_is_refused_before_anything_is_loaded(two: Deployment) -> None:
    candidate = two.candidate(1, (7, 0.5)).model_copy(update={"base_sha256": "f" * 64})

    with pytest.raises(Conflict, match=r"set model\.base to that folder"):
        await (await two.publisher()).publish(candidate, two.trainer((7, 0.5)), RULE, precision="float32")

    assert [engine.calls for engine in two.engines] == [[], []]


async def test_nothing_is_published_to_a_policy_merged_into_its_base_and_the_way_out_is_said(two: Deployment) -> None:
    candidate, publisher = two.candidate(1, (7, 0.5)), await two.publisher()
    (two.root / "model.safetensors").write_bytes(b"merged weights")
    (two.root / "MODEL.json").write_text('{"name": "trained", "policy": "trained", "sha256": "m"}')

    with pytest.raises(Conflict, match=r"serves trained, merged into its base: .*`wideseek up .* --policy none`"):
        await publisher.publish(candidate, two.trainer((7, 0.5)), RULE, precision="float32")

    assert not [call for engine in two.engines for call in engine.calls]
    assert two.states.names() == []


async def test_bytes_changed_after_they_were_written_are_refused(two: Deployment) -> None:
    two.crash_at = "stable.after"
    with pytest.raises(Crash):
        await two.publish(1, (7, 0.5))
    two.crash_at = ""
    (two.registry.path(NAME, 1) / WEIGHTS).write_text("[[7, 0.6]]")

    with pytest.raises(PolicyRefused, match=f"{WEIGHTS} changed"):
        await two.publish(1, (7, 0.5))

    assert [list(engine.loaded) for engine in two.engines] == [[], []]


async def test_weights_that_are_not_those_trained_are_refused(two: Deployment) -> None:
    candidate = two.candidate(1, (7, 0.5))

    with pytest.raises(PolicyRefused, match=r"above 0\.0001"):
        await (await two.publisher()).publish(candidate, two.trainer((7, 0.51)), RULE, precision="float32")


async def test_an_engine_that_will_not_load_refuses_with_what_it_says(two: Deployment) -> None:
    two.engines[1].refuses_load = True

    with pytest.raises(PolicyRefused, match="greater than max_lora_rank"):
        await two.publish(1, (7, 0.5))

    assert list(two.engines[0].loaded) == []
    assert await two.serving() == BASE_MODEL


async def test_an_engine_that_dies_in_loading_is_an_outage_and_may_be_tried_again(two: Deployment) -> None:
    two.engines[1].dies_in_load = True

    with pytest.raises(ModelUnavailable, match="EngineCore died"):
        await two.publish(1, (7, 0.5))

    assert list(two.engines[0].loaded) == []
    assert two.registry.refusal(NAME, 1) is None
    two.engines[1].dies_in_load = False
    assert (await two.publish(1, (7, 0.5))).outcome == "promoted"


async def test_a_replica_that_is_not_there_is_an_outage(two: Deployment) -> None:
    two.urls.append(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(ModelUnavailable):
        await two.publish(1, (7, 0.5))

    assert two.states.find(NAME) is None


async def test_replicas_with_different_templates_are_refused(two: Deployment) -> None:
    two.engines[1].template = 5

    with pytest.raises(Conflict, match="render prompts differently"):
        await two.publish(1, (7, 0.5))


async def test_a_refused_version_may_pass_once_the_engine_is_right(two: Deployment) -> None:
    two.engines[0].base = 2
    with pytest.raises(PolicyRefused):
        await two.publish(1, (7, 0.5))
    two.engines[0].base = BASE

    published = await two.publish(1, (7, 0.5))

    assert published.outcome == "promoted"
    assert two.registry.refusal(NAME, 1) is None


@pytest.mark.parametrize("boundary", ["stable.before", "stable.after", "current.before_flip", "current.after_flip"])
async def test_a_crash_at_any_boundary_loses_nothing_and_the_retry_finishes(two: Deployment, boundary: str) -> None:
    await two.publish(1, (7, 0.5))
    two.crash_at = boundary
    with pytest.raises(Crash):
        await two.publish(2, (7, 0.5), (8, 0.1))
    assert await two.serving() == "wide@v1"
    two.crash_at = ""

    published = await two.publish(2, (7, 0.5), (8, 0.1))

    assert published.outcome == "promoted"
    assert await two.serving() == "wide@v2"
    state = two.states.newest(NAME)
    assert (state.current, state.trail, state.served) == (2, (0, 1), (1, 2))
    assert not list(two.registry.folder.glob(".*"))


async def test_without_redis_the_change_is_kept_in_files_and_mirrored_by_the_retry(two: Deployment) -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as gone:
        states = States(two.registry, Policies(gone, Keys("test")))
        publisher = Publisher(two.registry, states, await two.fleet())
        with pytest.raises(QueueUnavailable):
            await publisher.publish(two.candidate(1, (7, 0.5)), two.trainer((7, 0.5)), RULE, precision="float32")

    await two.publish(1, (7, 0.5))

    assert await two.serving() == "wide@v1"


async def test_an_emptied_redis_is_written_again_from_the_files(two: Deployment) -> None:
    await two.publish(1, (7, 0.5))
    before = await two.policies.view(NAME)
    await two.redis.flushall()

    restored = await two.states.restore()

    assert restored == 1
    assert await two.policies.view(NAME) == before


async def test_a_rule_may_hold_a_version_for_those_who_name_it(two: Deployment) -> None:
    published = await two.publish(1, (7, 0.5), rule=HOLD)

    assert (published.outcome, published.why) == ("held", "publish.promote is hold")
    assert await two.serving() == BASE_MODEL
    assert await two.policies.resolve("wide@v1", "r1") == "wide@v1"


async def test_a_rule_may_serve_a_share_of_runs(two: Deployment) -> None:
    await two.publish(1, (7, 0.5))
    rule = RULE.model_copy(update={"promote": "canary", "canary_share": 0.25})

    published = await two.publish(2, (8, 0.5), rule=rule)

    assert published.outcome == "canary"
    served = [await two.serving(f"run-{number}") for number in range(1_000)]
    assert served.count("wide@v2") / 1_000 == pytest.approx(0.25, abs=0.055)
    assert set(served) == {"wide@v1", "wide@v2"}


async def test_a_drained_version_is_unloaded_and_a_pinned_one_stays_until_its_run_has_ended(two: Deployment) -> None:
    rule = PublishConfig(probe_prompts=4, probe_tokens=4, keep_versions=2)
    await two.publish(1, (1, 0.5), rule=rule)
    await two.publish(2, (2, 0.5), rule=rule)
    await two.policies.pin("wide@v1", "slow run", time.time() + 600)

    await two.publish(3, (3, 0.5), rule=rule)
    await two.publish(4, (4, 0.5), rule=rule)
    assert [sorted(engine.loaded) for engine in two.engines] == [["wide@v1", "wide@v3", "wide@v4"]] * 2

    await two.policies.unpin("wide@v1", "slow run")
    await two.publish(5, (5, 0.5), rule=rule)
    assert [sorted(engine.loaded) for engine in two.engines] == [["wide@v4", "wide@v5"]] * 2
    assert await two.policies.resolve("wide@v1", "r1") is None
    assert two.registry.loaded(NAME, 1) == []


async def test_bfloat16_is_calibrated_on_the_base_once(rough: Deployment) -> None:
    base = rough.trainer()
    rule = PublishConfig(probe_prompts=24)

    first = await rough.publish(1, (7, 0.5), rule=rule, alternatives=[Alternative(0, base)], precision="bfloat16")
    await rough.publish(2, (8, 0.5), rule=rule, alternatives=[Alternative(0, base)], precision="bfloat16")

    assert first.report is not None
    (replica,) = first.report.replicas
    assert replica.limit == pytest.approx(2 * replica.mean, rel=0.4)
    assert replica.limit_from.endswith("of smollm2 against the trainer")
    assert [one.reading for one in replica.comparisons] == ["candidate"]
    assert base.asked == 3  # rows of the first probe, the calibration, rows of the second probe


async def test_bfloat16_without_the_base_is_calibrated_on_the_engine_itself_until_the_base_is_there(
    rough: Deployment,
) -> None:
    rule = PublishConfig(probe_prompts=24)

    first = await rough.publish(1, (7, 0.5), rule=rule, precision="bfloat16")
    base = Alternative(0, rough.trainer())
    second = await rough.publish(2, (8, 0.5), rule=rule, alternatives=[base], precision="bfloat16")

    assert first.report is not None
    assert second.report is not None
    assert first.report.replicas[0].limit_from.endswith("of smollm2 against the engine")
    assert second.report.replicas[0].limit_from.endswith("of smollm2 against the trainer")


async def test_bfloat16_without_the_base_still_refuses_other_weights(rough: Deployment) -> None:
    candidate = rough.candidate(1, (7, 0.5))

    with pytest.raises(PolicyRefused, match="against the engine"):
        await (await rough.publisher()).publish(candidate, rough.trainer((9, 0.5)), RULE, precision="bfloat16")

    assert list(rough.engines[0].loaded) == []


@pytest.mark.parametrize(("instead", "version"), [("wide@v1", 1), (BASE_MODEL, 0)])
async def test_in_bfloat16_a_stale_or_missing_adapter_is_refused_however_rough(
    rough: Deployment, instead: str, version: int
) -> None:
    rule = PublishConfig(probe_prompts=24)
    base = Alternative(0, rough.trainer())
    await rough.publish(1, (7, 0.2), rule=rule, alternatives=[base], precision="bfloat16")
    rough.engines[0].serves_instead["wide@v2"] = instead
    parent = Alternative(1, rough.trainer((7, 0.2)))

    with pytest.raises(PolicyRefused, match=f"is nearer to version {version} than to the candidate"):
        await rough.publish(2, (7, 0.2), (8, 0.2), rule=rule, alternatives=[base, parent], precision="bfloat16")

    assert await rough.serving() == "wide@v1"


async def test_in_bfloat16_a_wrong_base_is_refused(rough: Deployment) -> None:
    rule = PublishConfig(probe_prompts=24)
    base = Alternative(0, rough.trainer())
    await rough.publish(1, (7, 0.5), rule=rule, alternatives=[base], precision="bfloat16")
    rough.engines[0].base = 5

    with pytest.raises(PolicyRefused, match="another base"):
        await rough.publish(2, (8, 0.5), rule=rule, alternatives=[base], precision="bfloat16")


async def test_a_scorer_of_other_lengths_is_a_broken_contract(two: Deployment) -> None:
    class Short(Trainer):
        async def score(self, rows: object, /) -> list[tuple[float, ...]]:
            return []

    with pytest.raises(ContractViolation, match="one log-probability a scored token"):
        await (await two.publisher()).publish(
            two.candidate(1, (7, 0.5)), Short(EngineWeights(BASE)), RULE, precision="float32"
        )

    assert list(two.engines[0].loaded) == []
