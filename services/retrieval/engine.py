"""What the service answers, HTTP aside: search and access over the corpora at hand."""

from collections.abc import Sequence

from pydantic import BaseModel

from services.retrieval.batching import MicroBatcher, Vector
from services.retrieval.catalogue import Catalogue
from services.retrieval.corpus import Corpus
from services.retrieval.extract import page_passages
from services.retrieval.workpool import WorkPool
from wideseek.contracts import (
    AccessRequest,
    AccessResponse,
    AccessResult,
    Hit,
    Page,
    SearchRequest,
    SearchResponse,
)
from wideseek.errors import RetrievalUnavailable


class Engine:
    """Search and access. CPU work goes to the pool, so nothing here holds the event loop up."""

    def __init__(self, catalogue: Catalogue, pool: WorkPool) -> None:
        self.catalogue = catalogue
        self._pool = pool
        self.batcher: MicroBatcher | None = None
        """Set when the encoder has loaded; until then queries are ranked lexically."""

    async def search(self, request: SearchRequest) -> SearchResponse:
        """Hits for each query.

        Raises `InvalidRequest` for an unknown corpus, `RetrievalUnavailable` while it cannot be searched.
        """
        corpora = self._searchable(request.corpus, everywhere=bool(request.urls))
        dense = any(corpus.vectors is not None for corpus in corpora) and self.batcher is not None
        vectors: Sequence[Vector | None] = [None] * len(request.queries)
        if dense and self.batcher is not None:
            vectors = await self.batcher.encode(request.queries)
        return await self._pool.run(lambda: _search(corpora, request, vectors))

    def _searchable(self, names: Sequence[str], *, everywhere: bool) -> list[Corpus]:
        """The corpora of these names; when there are none, the default one, or `everywhere` all."""
        if not self.catalogue.corpora:
            raise RetrievalUnavailable("the first index is being built")
        corpora = self.catalogue.holding(names) if everywhere else self.catalogue.chosen(names)
        for corpus in corpora:
            if not corpus.answers(with_vectors=self.batcher is not None):
                raise RetrievalUnavailable(f"corpus {corpus.name} has a dense part only, and the encoder is loading")
        return corpora

    async def access(self, request: AccessRequest) -> AccessResponse:
        """The pages behind the urls, each None where no served corpus holds it."""
        if not self.catalogue.corpora:
            raise RetrievalUnavailable("the first index is being built")
        corpora = self.catalogue.holding(request.corpus)
        return await self._pool.run(lambda: _access(corpora, request))

    async def page(self, content_sha256: str) -> Page | None:
        """A page with this content hash; None when no corpus holds one."""
        return await self._pool.run(lambda: _page(self.catalogue.corpora, content_sha256))

    async def render(self, value: BaseModel) -> bytes:
        """The value as JSON; pages and batches of hits can be megabytes."""
        return await self._pool.run(lambda: value.model_dump_json().encode())


def _search(corpora: Sequence[Corpus], request: SearchRequest, vectors: Sequence[Vector | None]) -> SearchResponse:
    shelves = [(corpus, _only(corpus, request.urls)) for corpus in corpora]
    results = []
    for query, vector in zip(request.queries, vectors, strict=True):
        hits = [hit for corpus, only in shelves for hit in corpus.search(query, vector, request.count, only)]
        results.append(_best(hits, request.count))
    lexical = any(corpus.lexical is not None for corpus in corpora)
    dense = any(corpus.vectors is not None for corpus in corpora) and vectors[0] is not None
    ranking = "hybrid" if lexical and dense else "dense" if dense else "lexical"
    return SearchResponse(results=tuple(results), ranking=ranking)


def _only(corpus: Corpus, urls: Sequence[str]) -> set[int] | None:
    """The pages of a corpus that a request is held to; None: to no pages in particular."""
    return corpus.store.page_ids(urls) if urls else None


def _best(hits: list[Hit], count: int) -> tuple[Hit, ...]:
    """The best of several corpora's hits: reciprocal ranks compare, whatever the sizes of the corpora."""
    return tuple(sorted(hits, key=lambda hit: -hit.score)[:count])


def _access(corpora: Sequence[Corpus], request: AccessRequest) -> AccessResponse:
    shelves = [(corpus, _only(corpus, request.only)) for corpus in corpora]
    return AccessResponse(results=tuple(_accessed(shelves, url, request.info_to_extract) for url in request.urls))


def _accessed(shelves: Sequence[tuple[Corpus, set[int] | None]], url: str, need: str | None) -> AccessResult:
    """The page, with its passages, out of those of each corpus that there are; None: all of it."""
    stores = [
        corpus.store for corpus, only in shelves if only is None or only.intersection(corpus.store.page_ids([url]))
    ]
    page = next((found for store in stores if (found := store.page(url))), None)
    if page is None:
        return AccessResult(url=url)
    return AccessResult(url=url, page=page, passages=page_passages(page.text, need))


def _page(corpora: Sequence[Corpus], content_sha256: str) -> Page | None:
    return next((found for corpus in corpora if (found := corpus.store.page_by_hash(content_sha256))), None)
