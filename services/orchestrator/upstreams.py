"""The services a run needs, asked over HTTP whether they are there."""

from collections.abc import Collection, Sequence

from services.orchestrator.submit import Upstreams
from wideseek.clients._http import Http
from wideseek.clients.model import served_models
from wideseek.clients.retrieval import RetrievalClient
from wideseek.contracts import CorpusInfo
from wideseek.errors import ModelUnavailable
from wideseek.rollout import RolloutSource


def http_upstreams(model: Http, retrieval: Http) -> Upstreams:
    """Upstreams behind two addresses."""

    async def models() -> Sequence[str]:
        # A hosted endpoint has no /health; one that has it and fails there is not to be trusted with a run.
        health = await model.raw("GET", "/health", timeout=3)
        if health.is_server_error:
            raise ModelUnavailable(f"/health answered {health.status_code}")
        return [served.id for served in (await served_models(model)).data]

    async def demonstrators() -> Collection[str]:
        cards = (await served_models(model)).data
        return {card.id for card in cards if card.source == RolloutSource.DEMONSTRATION}

    async def corpora() -> Sequence[CorpusInfo]:
        return (await RetrievalClient(retrieval).corpora()).corpora

    return Upstreams(models=models, corpora=corpora, demonstrators=demonstrators)
