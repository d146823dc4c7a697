"""The reference server's two routes, so that what was written for it can point here unchanged."""

from typing import Annotated, Any

from fastapi import Body, FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from services.retrieval.engine import Engine
from services.retrieval.metrics import Metrics
from wideseek.contracts import MAX_QUERIES, MAX_URLS, AccessRequest, Hit, SearchRequest
from wideseek.values import Frozen


class RetrieveRequest(Frozen):
    """Body of `POST /retrieve`."""

    queries: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(
        min_length=1, max_length=MAX_QUERIES
    )
    topk: int | None = Field(default=None, ge=1, le=50)
    """Hits per query; 3 when left out."""
    return_scores: bool = False


class AccessUrls(Frozen):
    """Body of `POST /access`."""

    urls: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(min_length=1, max_length=MAX_URLS)


def _document(hit: Hit) -> dict[str, Any]:
    return {"contents": f"{hit.title}\n{hit.snippet}", "url": hit.url, "title": hit.title}


def add_doors(app: FastAPI, engine: Engine, metrics: Metrics) -> None:
    """Serve `/retrieve` and `/access` over the default corpus."""

    @app.post("/retrieve", tags=["reference"], summary="Search, in the reference server's shape")
    async def retrieve(
        request: Annotated[RetrieveRequest, Body(examples=[{"queries": ["Mali"], "topk": 3}])],
    ) -> Response:
        with metrics.request("retrieve"):
            found = await engine.search(SearchRequest(queries=request.queries, count=request.topk or 3))
        rows = [
            [
                {"document": _document(hit), "score": hit.score} if request.return_scores else _document(hit)
                for hit in hits
            ]
            for hits in found.results
        ]
        return JSONResponse({"result": rows})

    @app.post("/access", tags=["reference"], summary="Access, in the reference server's shape")
    async def access(request: Annotated[AccessUrls, Body(examples=[{"urls": ["factbook:africa/ml"]}])]) -> Response:
        with metrics.request("access_reference"):
            found = await engine.access(AccessRequest(urls=request.urls))
        pages = [result.page for result in found.results]
        return JSONResponse({"result": [page and {"contents": page.text, "url": page.url} for page in pages]})
