"""The parts of one job, opened as its settings and its record say."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.policies import Policies
from services.kit.redis import connect
from services.kit.rollouts.index import RolloutIndex
from services.kit.rollouts.scan import keep_scanning
from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.collector import Collector, Means
from services.trainer.collect.evaluate import VersionEvaluation
from services.trainer.collect.journal import GROUPS
from services.trainer.collect.scoring import Scoring
from services.trainer.collect.source import TaskSource
from services.trainer.collect.start import Start
from services.trainer.conduct.demonstrations import DemonstrationSource
from services.trainer.conduct.heldout import HeldOut
from services.trainer.conduct.loop import Parts, beside
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.ports import Publishing, Served, Source
from services.trainer.conduct.publishing import OpenedPolicy, StepPublishing, Unpublished
from services.trainer.conduct.sources import RolloutSource
from services.trainer.conduct.stop import StopSign
from services.trainer.conduct.supervise import Supervised
from services.trainer.folder import JobFolder, JobRecord
from services.trainer.learn.base import base_sha256, resolve_base
from services.trainer.learn.client import ExternalLearner, Learner
from services.trainer.ledger.ledger import Ledger
from services.trainer.metrics.record import Interval
from services.trainer.policies.publish import Publisher
from services.trainer.policies.records import Evaluated
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.states import States
from services.trainer.settings import TrainerSettings
from wideseek.clients.orchestrator import Orchestrator
from wideseek.errors import InvalidRequest


@dataclass(frozen=True)
class Around:
    """What a job's parts share."""

    settings: TrainerSettings
    folder: JobFolder
    record: JobRecord
    store: RolloutStore
    redis: Redis
    runs: Orchestrator
    fleet: Fleet

    @property
    def keys(self) -> Keys:
        """Names of the deployment's keys."""
        return Keys(self.settings.env)


@asynccontextmanager
async def opened(
    settings: TrainerSettings,
    folder: JobFolder,
    record: JobRecord,
    stop: StopSign,
    patience: Patience,
    *,
    external: bool = False,
) -> AsyncIterator[Parts]:
    """The parts, closed in reverse. `external`: something else starts the learner.

    Raises `InvalidRequest` for what the job's files or the base have wrong.
    """
    ledger = await asyncio.to_thread(Ledger, folder)
    key = settings.model_api_key.get_secret_value() if settings.model_api_key else None
    admin_key = settings.admin_key.get_secret_value() if settings.admin_key else None
    async with AsyncExitStack() as stack:
        redis = connect(settings.redis_url, max_connections=32)
        stack.push_async_callback(redis.aclose)
        runs = await stack.enter_async_context(Orchestrator(settings.orchestrator_url, admin_key=admin_key))
        fleet = await stack.enter_async_context(Fleet(settings.engines, api_key=key))
        around = Around(settings, folder, record, RolloutStore.open(record.rollouts_root), redis, runs, fleet)
        grpo = record.config.mode == "grpo"
        # Read before anything is started: a mistake in the job's files ends the job at once.
        tasks = TaskSource.read(record.config.data, seed=record.config.seed) if grpo else None
        kind = ExternalLearner if external else Learner
        learner = Supervised(lambda: kind(folder, record.config), stop)
        publishing = await _publishing(around, learner)
        held_out = _held_out(around, publishing, patience)
        await stack.enter_async_context(learner)

        def source(written: Ledger, served: Served) -> Source:
            if tasks is None:
                return DemonstrationSource(record, around.store)
            return _rollouts(around, tasks, written, served, publishing)

        index = RolloutIndex(redis, around.keys) if grpo else None
        if index is not None:
            # What a crashed orchestrator, or Redis itself, has left out of the index is found by its objects.
            scanning = keep_scanning(
                around.store,
                index,
                record.job_id,
                resolved=lambda: ledger.resolved,
                after=lambda: ledger.cursor,
            )
            await stack.enter_async_context(beside(scanning))
        yield Parts(
            ledger=ledger,
            learner=learner,
            publishing=publishing,
            source=source,
            stop=stop,
            index=index,
            held_out=held_out,
            patience=patience,
            code_version=version("wideseek"),
        )


async def _publishing(around: Around, learner: Supervised) -> Publishing:
    config = around.record.config
    if config.publish.every == 0:
        return Unpublished()
    base = await asyncio.to_thread(resolve_base, config.model.base, around.settings.home)
    sha256 = await asyncio.to_thread(base_sha256, base)
    registry = Registry(around.settings.policies_folder.absolute())
    states = States(registry, Policies(around.redis, around.keys))
    return StepPublishing(
        folder=around.folder,
        opened=OpenedPolicy(around.record.job_id, config, around.fleet, states, sha256),
        registry=registry,
        publisher=Publisher(registry, states, around.fleet),
        learner=learner,
    )


def _rollouts(
    around: Around, tasks: TaskSource, ledger: Ledger, served: Served, publishing: Publishing
) -> RolloutSource:
    config = around.record.config
    if not isinstance(publishing, StepPublishing):
        raise InvalidRequest("publish.every: 0, but rollouts are drawn from the published policy; set it to 1 or more")
    start = Start.after(
        ledger.manifests(), trained=ledger.step, version=served.version, made_at=served.step, lineage=ledger.lineage
    )
    means = Means(
        runs=around.runs,
        store=around.store,
        index=RolloutIndex(around.redis, around.keys),
        source=tasks,
        journal=around.folder.path / GROUPS,
        scoring=Scoring(rule=config.reward, weights=config.objective.weights),
    )
    return RolloutSource(config, Collector(publishing.opened.pupil, means, start))


def _held_out(around: Around, publishing: Publishing, patience: Patience) -> HeldOut | None:
    config = around.record.config
    if not config.evaluation.every:
        return None
    if not isinstance(publishing, StepPublishing):
        raise InvalidRequest("evaluation.every: held-out tasks are asked of published versions; set publish.every")
    registry, name = publishing.registry, config.policy

    def keep(score: Interval) -> None:
        """In the policy's own folder, too, where there is one: the base has none."""
        if score.version:
            fields = score.model_dump(include={"metric", "mean", "low", "high", "tasks"})
            registry.add_evaluation(
                name, score.version, Evaluated(**fields, suite=around.record.job_id, at=time.time())
            )

    evaluating = VersionEvaluation.read(around.record, around.runs, publishing.opened.model)
    return HeldOut(evaluating, every=config.evaluation.every, last=config.steps, patience=patience, keep=keep)
