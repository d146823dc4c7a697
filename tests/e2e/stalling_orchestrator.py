"""An orchestrator that stands still where it is told to, while it ends a run: so that it can be killed there."""

import asyncio
import os
import threading
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.kit.http import serve
from services.kit.queue import create_producer
from services.kit.rollouts.entry import UNASSIGNED, StoredRollout
from services.orchestrator.claims import WorkOnRun
from services.orchestrator.lead import LeadDesk
from services.orchestrator.parts import backbone, build
from services.orchestrator.rollouts.writer import Index, RolloutWriter, Store
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.subagents import Quorum
from services.orchestrator.upstreams import http_upstreams
from wideseek.clients.engines import Engines
from wideseek.clients.model import model_http
from wideseek.clients.retrieval import RetrievalClient, retrieval_http
from wideseek.rollout import Rollout


@dataclass(frozen=True)
class Stalling:
    """The store and the index as they are, and a place to stand still at, told by a file."""

    store: Store
    index: Index
    at: str
    reached: Path

    def put(self, rollout: Rollout, job_id: str = UNASSIGNED) -> StoredRollout:
        if self.at == "before_object":
            self.reached.touch()
            threading.Event().wait()
        return self.store.put(rollout, job_id)

    async def add(self, entry: StoredRollout) -> None:
        if self.at == "after_index":
            await self.index.add(entry)
        self.reached.touch()
        await asyncio.Event().wait()


def main() -> None:
    settings = OrchestratorSettings()
    redis = backbone(settings)
    model, retrieval = model_http(settings.model_url), retrieval_http(settings.retrieval_url)
    producer = create_producer(settings.redis_url, settings.env)

    def make_work(_: CollectorRegistry, rollouts: RolloutWriter) -> WorkOnRun:
        stalling = Stalling(
            rollouts.open_store(), rollouts.index, os.environ["STALL_AT"], Path(os.environ["STALL_REACHED"])
        )
        return LeadDesk(
            log=redis.log(redis.work),
            producer=producer,
            engines=Engines(model, on_violation=lambda: None),
            retrieval=partial(RetrievalClient.of_run, retrieval),
            quorum=Quorum(),
            rollouts=replace(rollouts, open_store=lambda: stalling, index=stalling),
        ).work_on_run

    app = build(settings, redis, http_upstreams(model, retrieval), producer, make_work)
    serve(app, host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
