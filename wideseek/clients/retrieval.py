"""The retrieval service as a `Retrieval` port."""

from collections.abc import Sequence

from wideseek.clients._http import Http
from wideseek.contracts import (
    AccessRequest,
    AccessResponse,
    CorporaResponse,
    Mode,
    RunRequest,
    SearchRequest,
    SearchResponse,
)
from wideseek.errors import RetrievalUnavailable


def retrieval_http(url: str, *, timeout_s: float = 30) -> Http:
    """Connections to a retrieval service."""
    return Http(url, RetrievalUnavailable, timeout_s=timeout_s)


class RetrievalClient:
    """Search and access over some corpora, or over some pages only. Raises `RetrievalUnavailable` for an outage."""

    def __init__(self, http: Http, corpora: Sequence[str] = (), only: Sequence[str] = ()) -> None:
        self._http = http
        self._corpora = tuple(corpora)
        self._only = tuple(only)

    @classmethod
    def of_run(cls, http: Http, request: RunRequest) -> "RetrievalClient":
        """Retrieval as a run may use it: over its corpora, and with `oracle_retrieval` over the pages it names."""
        only = request.sources.urls if request.mode is Mode.ORACLE_RETRIEVAL else ()
        return cls(http, request.sources.corpora, only)

    async def search(self, queries: Sequence[str], count: int) -> SearchResponse:
        """Hits for each query."""
        request = SearchRequest(queries=tuple(queries), count=count, corpus=self._corpora, urls=self._only)
        return await self._http.post("/v1/search", request.model_dump(mode="json"), SearchResponse)

    async def access(self, urls: Sequence[str], info_to_extract: str | None) -> AccessResponse:
        """The pages behind the urls."""
        request = AccessRequest(
            urls=tuple(urls), info_to_extract=info_to_extract, corpus=self._corpora, only=self._only
        )
        return await self._http.post("/v1/access", request.model_dump(mode="json"), AccessResponse)

    async def corpora(self) -> CorporaResponse:
        """What the service serves."""
        return await self._http.get("/v1/corpora", CorporaResponse, timeout_s=5)
