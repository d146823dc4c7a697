"""The conductor's loop over real ledger, store, index, registry and collector."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.trainer.conduct.demonstrations import DemonstrationSource, draw
from services.trainer.conduct.heldout import HeldOut
from services.trainer.conduct.lines import MetricsLines
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.ports import Learning
from services.trainer.conduct.publishing import Unpublished
from services.trainer.conduct.stop import Stopped
from services.trainer.conduct.supervise import Supervised
from services.trainer.folder import LearnerReport
from services.trainer.ledger.lineage import restart_from
from services.trainer.ledger.manifest import Manifest
from services.trainer.metrics.names import SCALARS
from services.trainer.metrics.record import Interval, StepMetrics
from services.trainer.policies.publish import PolicyRefused
from tests.collect_parts import End, rollout_of
from tests.conduct_parts import JOB, CountingLearner, Crash, Job, MarkingPublisher, config_of, job_at, quick_folder
from wideseek.codec import write_rollouts
from wideseek.contracts import RunRequest
from wideseek.errors import InvalidRequest, QueueUnavailable, TrainerUnavailable


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with quick_folder(tmp_path) as made:
        yield made


class Slow(CountingLearner):
    """Takes its time over every step, so that rollouts pile up as far as they may."""

    async def trained(self, step: int) -> LearnerReport:
        for _ in range(300):
            await asyncio.sleep(0)
        return await super().trained(step)


def metrics(job: Job) -> list[StepMetrics]:
    return [StepMetrics.model_validate_json(line) for line in job.folder.metrics_file.read_text().splitlines()]


@pytest.mark.parametrize(("bound", "every"), [(0, 1), (1, 2), (3, 2)])
async def test_rollouts_are_never_staler_than_the_bound_however_slow_the_learner(
    bound: int, every: int, folder: Path, redis_url: str
) -> None:
    config = config_of(
        steps=10,
        rollouts={"max_staleness": bound},
        publish={"every": every, "probe_prompts": 4},
    )
    async with job_at(folder, redis_url, config) as job:
        job.publisher = MarkingPublisher
        job.wrap = lambda _: Slow(job.folder, job.store)

        assert await job.live() == "completed"

        made_at = {0: 0} | {record.version: record.step for record in job.registry.versions("policy")}
        stale = [
            manifest.step - 1 - made_at[entry.version_min]
            for manifest in job.ledger().manifests()
            for entry in manifest.entries
        ]
        assert max(stale) == bound
        assert metrics(job)[0].scalars["staleness/max"] == 0
        assert max(line.scalars["staleness/max"] for line in metrics(job)) == bound
        assert not any(line.drops for line in metrics(job))
        assert [record.step for record in job.registry.versions("policy")] == list(range(every, 11, every))


async def test_a_line_of_metrics_has_names_that_are_known_and_what_collecting_measured(
    folder: Path, redis_url: str
) -> None:
    async with job_at(folder, redis_url, config_of(steps=2)) as job:
        await job.live()

        first, second = metrics(job)
        families = tuple(name.partition("{")[0] for name in SCALARS if "{" in name)
        assert (first.step, first.policy_version, second.policy_version) == (1, 1, 2)
        assert all(name in SCALARS or name.startswith(families) for name in first.scalars)
        expected = {"reward/mean", "optim/lr", "time/idle_share", "time/collect_s", "time/publish_s", "loss/value"}
        assert expected <= set(first.scalars)
        assert {"advantage", "reward", "parity/difference"} <= set(first.histograms)
        assert 0 <= first.scalars["time/idle_share"] <= 1


async def test_a_resumed_step_has_the_line_it_would_have_had(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=2)) as job:
        job.publisher = MarkingPublisher
        job.fuse.arm("committed.after_rename")
        with pytest.raises(Crash):
            await job.live()

        await job.live()

        first, second = metrics(job)
        assert first.scalars["reward/mean"] == second.scalars["reward/mean"] > 0
        assert set(second.scalars) - set(first.scalars) == {"time/idle_share", "time/learn_s"}


async def test_the_manifest_of_a_crashed_step_is_used_as_it_is(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=2)) as job:
        job.publisher = MarkingPublisher
        job.fuse.arm("manifest.after_create")
        with pytest.raises(Crash):
            await job.live()
        written = job.folder.manifest_file(1).read_bytes()

        await job.live()

        assert job.folder.manifest_file(1).read_bytes() == written
        assert len(job.ledger().consumed(1)) == job.config.planned


async def test_steps_without_a_checkpoint_are_trained_again_from_their_manifests(folder: Path, redis_url: str) -> None:
    config = config_of(
        steps=8,
        checkpoint={"every": 4, "keep": 2},
        publish={"every": 4, "probe_prompts": 4},
        rollouts={"max_staleness": 3},
    )
    async with job_at(folder, redis_url, config) as job:
        job.publisher = MarkingPublisher
        job.fuse.arm("manifest.after_create", 7)
        with pytest.raises(Crash):
            await job.live()
        held = [job.folder.manifest_file(step).read_bytes() for step in (5, 6, 7)]

        await job.live()

        assert job.learners[1].trained_now == [5, 6, 7, 8]
        assert [job.folder.manifest_file(step).read_bytes() for step in (5, 6, 7)] == held
        assert set(job.counts().values()) == {1}
        assert [line.step for line in metrics(job)] == list(range(1, 9))


async def test_a_lost_redis_costs_nothing(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=4)) as job:
        job.publisher = MarkingPublisher
        job.fuse.arm("manifest.before_create", 3)
        with pytest.raises(Crash):
            await job.live()
        await job.redis.flushall()

        await job.live()

        assert {entry.rollout_id for entry in job.store.scan(JOB)} == set(job.counts())
        assert set(job.counts().values()) == {1}


@pytest.mark.parametrize("seed", range(4))
async def test_entries_delivered_twice_and_in_any_order_give_the_same_manifests(
    seed: int, folder: Path, redis_url: str
) -> None:
    def without_place(manifest: Manifest) -> Manifest:
        update = {"created_at": 0.0, "prev_sha256": "", "cursor": ""}
        return manifest.model_copy(update=update)

    async with job_at(folder, redis_url, config_of(steps=1), seed=seed) as job:
        job.publisher = MarkingPublisher
        job.fuse.arm("manifest.before_create")
        with pytest.raises(Crash):
            await job.live()
        entries = [entry for _, entry in await job.index.read(JOB)]
        await job.live()
        wanted = without_place(job.ledger().manifest(1))
        restart_from(job.folder, 0, at=0.0)
        (job.folder.path / "abandoned").rename(job.folder.path / "elsewhere")
        shuffled = random.Random(seed)
        again = [*entries, *shuffled.sample(entries, shuffled.randrange(1, len(entries)))]
        shuffled.shuffle(again)
        await job.redis.flushall()
        for entry in again:
            await job.index.add(entry)

        await job.live()

        assert without_place(job.ledger().manifest(1)) == wanted


async def test_the_stop_file_ends_a_job_between_steps_and_it_can_go_on(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=4)) as job:
        job.publisher = MarkingPublisher
        held: list[RunRequest] = []

        def hold(request: RunRequest) -> bool:
            if (request.model or "").endswith("@v1"):
                held.append(request)
                job.folder.stop_file.touch()
            return bool(held)

        job.cluster.hold = hold
        with pytest.raises(Stopped):
            await job.live()
        before = job.folder.state()
        job.folder.stop_file.unlink()
        job.cluster.hold = lambda _: False

        await job.live()

        assert (before.status, 1 <= before.step < 4) in {("running", True), ("cancelling", True)}
        assert set(job.counts().values()) == {1}
        assert len(job.counts()) == 4 * job.config.planned


async def test_a_refused_policy_ends_the_job_and_the_old_one_stays(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=3)) as job:
        job.engine.serves_instead["policy@v2"] = "policy@v1"

        with pytest.raises(PolicyRefused, match="policy@v2 is refused"):
            await job.live()

        assert job.states.newest("policy").current == 1
        assert (job.ledger().step, job.folder.committed()) == (2, [1, 2])
        job.engine.serves_instead.clear()
        assert await job.live() == "completed"
        assert [record.version for record in job.registry.versions("policy")] == [1, 2, 3]


async def test_a_dead_learner_is_replaced_in_the_middle_of_a_job(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=4)) as job:
        job.publisher = MarkingPublisher
        stop, deaths = job.stop_sign(), [3, 2]

        class Dying(CountingLearner):
            async def trained(self, step: int) -> LearnerReport:
                if deaths and deaths[-1] == step:
                    deaths.pop()
                    raise TrainerUnavailable("killed")
                return await super().trained(step)

        @asynccontextmanager
        async def start() -> AsyncIterator[Learning]:
            yield Dying(job.folder, job.store)

        async with Supervised(start, stop, pause_s=0.001) as learner:
            job.wrap = lambda _: learner
            assert await job.live(stop) == "completed"

        assert not deaths
        assert set(job.counts().values()) == {1}


async def test_an_outage_between_steps_is_waited_for_and_shown(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=2)) as job:
        job.publisher = MarkingPublisher
        shown: list[str] = []

        class Away(type(job.index)):  # type: ignore[misc]  # a real index that is away for a moment
            left = 2

            async def trim(self, job_id: str, cursor: str) -> int:
                shown.append(job.folder.state().error)
                if Away.left:
                    Away.left -= 1
                    raise QueueUnavailable("refused: LOADING")
                return int(await super().trim(job_id, cursor))

        index = job.index
        index.__class__ = Away
        assert await job.live(index=index) == "completed"

        assert shown[1] == "waiting to give back the rollout index: redis: refused: LOADING"
        assert job.folder.state().error == ""


async def test_a_restart_from_an_older_checkpoint_begins_a_lineage_with_versions_of_its_own(
    folder: Path, redis_url: str
) -> None:
    async with job_at(folder, redis_url, config_of(steps=3)) as job:
        job.publisher = MarkingPublisher
        await job.live()
        restart_from(job.folder, 1, at=9.0)

        await job.live()

        ledger, versions = job.ledger(), job.registry.versions("policy")
        assert (ledger.step, ledger.lineage) == (3, 1)
        assert [manifest.lineage for manifest in ledger.manifests()] == [0, 1, 1]
        assert [(one.version, one.step, one.parent_version) for one in versions][2:] == [
            (3, 3, 2),
            (4, 2, 1),
            (5, 3, 4),
        ]
        assert set(job.counts().values()) == {1}
        assert [line.step for line in metrics(job)] == [1, 2, 3]


class Scores:
    """Held-out scores that are made up, at the second try."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def evaluate(self, version: int) -> tuple[Interval, ...]:
        self.asked.append(version)
        if self.asked.count(version) == 1:
            raise QueueUnavailable("away")
        return (Interval(version=version, metric="em", mean=0.5, low=0.25, high=0.75, tasks=4),)


async def test_versions_are_evaluated_beside_the_steps_and_none_twice(folder: Path, redis_url: str) -> None:
    async with job_at(folder, redis_url, config_of(steps=4)) as job:
        job.publisher = MarkingPublisher
        scores, patience = Scores(), Patience(stop=job.stop_sign(), first_s=0.001)
        kept: list[Interval] = []
        for _ in range(2):
            held_out = HeldOut(scores, every=2, last=4, patience=patience, keep=kept.append)
            assert await job.live(held_out=held_out) == "completed"

        lines = metrics(job)
        assert [line.policy_version for line in lines if line.evaluation] == [0, 2, 4]
        assert scores.asked == [0, 0, 2, 2, 4, 4]
        assert [score.version for score in kept] == [0, 2, 4]
        assert MetricsLines(job.folder.metrics_file).steps == {1, 2, 3, 4}


async def test_supervised_steps_are_made_of_demonstrations_shuffled_every_epoch(folder: Path, redis_url: str) -> None:
    request = RunRequest(query="What is it?")
    config = config_of(
        mode="sft",
        steps=4,
        sft_rows_per_step=2,
        data={"demonstrations": [str(folder / "d.bin")]},
        publish={"every": 0},
        optim={"minibatches": 2},
    )
    async with job_at(folder, redis_url, config) as job:
        with (folder / "d.bin").open("wb") as file:
            write_rollouts((rollout_of(f"ws_{number}", request, End()) for number in range(5)), file)
        source = DemonstrationSource(job.folder.record(), job.store)

        assert await job.live(source=lambda *_: source, publishing=Unpublished(), index=None) == "completed"

        manifests = list(job.ledger().manifests())
        drawn = [{entry.rollout_id for entry in manifest.entries} for manifest in manifests]
        weights = [agent.weight * agent.trained_tokens for e in manifests[0].entries for agent in e.agents]
        assert all(len(one) == 2 for one in drawn)
        assert drawn[0].isdisjoint(drawn[1])
        assert weights == pytest.approx([1.0, 1.0])
        assert {agent.advantage for e in manifests[0].entries for agent in e.agents} == {1.0}
        assert [entry.minibatch for entry in manifests[0].entries] == [0, 1]
        assert max(job.counts().values()) > 1


async def test_demonstrations_that_teach_nothing_are_refused(folder: Path, redis_url: str) -> None:
    config = config_of(mode="sft", data={"demonstrations": ["job:other"]}, publish={"every": 0})
    async with job_at(folder, redis_url, config) as job:
        source = DemonstrationSource(job.folder.record(), job.store)

        with pytest.raises(InvalidRequest, match=r"data\.demonstrations: job:other holds no rollout"):
            await job.live(source=lambda *_: source, publishing=Unpublished(), index=None)


def test_an_epoch_draws_each_demonstration_once_at_most() -> None:
    listed: Sequence[str] = "abcdefg"

    epochs = [
        [one for step in (3 * epoch + 1, 3 * epoch + 2, 3 * epoch + 3) for one in draw(listed, 2, step=step, seed=1)]  # type: ignore[arg-type]  # letters stand for demonstrations
        for epoch in range(4)
    ]

    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
