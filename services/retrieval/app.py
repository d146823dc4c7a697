"""The service's HTTP doors."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException, Path, Response

from services.kit.http import create_app
from services.retrieval import compat
from services.retrieval.catalogue import Catalogue
from services.retrieval.encoder import Encoder, SentenceEncoder
from services.retrieval.engine import Engine
from services.retrieval.metrics import Metrics
from services.retrieval.settings import RetrievalSettings
from services.retrieval.upkeep import Upkeep
from services.retrieval.workpool import WorkPool
from wideseek.contracts import (
    AccessRequest,
    AccessResponse,
    CorporaResponse,
    Page,
    Problem,
    SearchRequest,
    SearchResponse,
)
from wideseek.values import Frozen

_SEARCH_EXAMPLES = [
    {"queries": ["Mali population", "Countries of Central America and the Caribbean"], "count": 3},
    {"queries": ["highest point in the Andes"], "count": 5, "corpus": "factbook"},
    {"queries": ["median age"], "urls": ["factbook:africa/ml", "factbook:africa/ng"]},
]
_ACCESS_EXAMPLES = [
    {"urls": ["factbook:africa/ml"], "info_to_extract": "total area and median age"},
    {"urls": ["factbook:africa"]},
]
_JSON = "application/json"


def build_app(settings: RetrievalSettings, load_encoder: Callable[[], Encoder] = SentenceEncoder) -> FastAPI:
    """The app with its background work; nothing runs before the app is started."""
    metrics = Metrics()
    pool = WorkPool(settings.slots, settings.max_queue, metrics)
    engine = Engine(Catalogue(settings.indexes, settings.default_corpus), pool)
    upkeep = Upkeep(settings, engine, metrics, load_encoder)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with upkeep.running():
            yield
        pool.close()

    app = create_app(
        "wideseek retrieval",
        ready=upkeep.readiness,
        registry=metrics.registry,
        lifespan=lifespan,
        description="Search over corpora, and their pages.",
        responses={422: {"model": Problem}, 503: {"model": Problem}},
    )
    _add_doors(app, engine, metrics)
    compat.add_doors(app, engine, metrics)
    return app


def _add_doors(app: FastAPI, engine: Engine, metrics: Metrics) -> None:
    async def sent(value: Frozen) -> Response:
        return Response(await engine.render(value), media_type=_JSON)

    @app.post("/v1/search", response_model=SearchResponse, tags=["retrieval"], summary="Hits for each query")
    async def search(request: Annotated[SearchRequest, Body(examples=_SEARCH_EXAMPLES)]) -> Response:
        with metrics.request("search"):
            return await sent(await engine.search(request))

    @app.post("/v1/access", response_model=AccessResponse, tags=["retrieval"], summary="The pages behind urls")
    async def access(request: Annotated[AccessRequest, Body(examples=_ACCESS_EXAMPLES)]) -> Response:
        with metrics.request("access"):
            return await sent(await engine.access(request))

    @app.get(
        "/v1/pages/{content_sha256}",
        response_model=Page,
        responses={404: {"model": Problem}},
        tags=["retrieval"],
        summary="A page by the SHA-256 of its text",
    )
    async def page(content_sha256: Annotated[str, Path(max_length=128)]) -> Response:
        with metrics.request("pages"):
            found = await engine.page(content_sha256)
            if found is None:
                raise HTTPException(404, f"no page has the content hash {content_sha256}")
            return await sent(found)

    @app.get("/v1/corpora", tags=["retrieval"], summary="The corpora served side by side")
    async def corpora() -> CorporaResponse:
        return CorporaResponse(corpora=engine.catalogue.info())
