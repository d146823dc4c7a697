"""Start an orchestrator replica: `python -m services.orchestrator.main`."""

import sys
from functools import partial

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter
from pydantic import ValidationError

from services.kit.http import serve
from services.kit.logs import configure_logs
from services.kit.queue import create_producer
from services.kit.rollouts.store import RolloutStore
from services.orchestrator.claims import WorkOnRun
from services.orchestrator.lead import LeadDesk
from services.orchestrator.parts import backbone, build
from services.orchestrator.rollouts.writer import RolloutWriter
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.subagents import Quorum
from services.orchestrator.upstreams import http_upstreams
from wideseek.clients.engines import Engines
from wideseek.clients.model import model_http
from wideseek.clients.retrieval import RetrievalClient, retrieval_http
from wideseek.errors import InvalidRequest


def create(settings: OrchestratorSettings) -> FastAPI:
    """The replica's app, wired to the services its settings name."""
    redis = backbone(settings)
    api_key = settings.model_api_key.get_secret_value() if settings.model_api_key else None
    model = model_http(settings.model_url, api_key=api_key)
    retrieval = retrieval_http(settings.retrieval_url)
    producer = create_producer(settings.redis_url, settings.env)

    def make_work(registry: CollectorRegistry, rollouts: RolloutWriter) -> WorkOnRun:
        violations = Counter(
            "wideseek_token_exactness_violations_total",
            "Prompts the engine read otherwise than they were sent.",
            registry=registry,
        )
        desk = LeadDesk(
            log=redis.log(redis.work),
            producer=producer,
            engines=Engines(model, on_violation=violations.inc, context_tokens=settings.model_context_tokens),
            retrieval=partial(RetrievalClient.of_run, retrieval),
            quorum=Quorum(share=settings.quorum_share, grace_s=settings.quorum_grace_s),
            patience_s=settings.patience_s,
            rollouts=rollouts,
        )
        return desk.work_on_run

    upstreams = http_upstreams(model, retrieval)
    return build(settings, redis, upstreams, producer, make_work, close=(model.close, retrieval.close))


def main() -> int:
    """Serve until told to stop; the exit code comes back."""
    try:
        settings = OrchestratorSettings()
        # An address that cannot be right stops the start, not the first training run.
        RolloutStore.open(settings.store_root)
    except (ValidationError, InvalidRequest) as error:
        sys.stderr.write(f"orchestrator: {error}\n")
        return 2
    configure_logs("orchestrator", settings.log_level)
    serve(create(settings), host=settings.host, port=settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
