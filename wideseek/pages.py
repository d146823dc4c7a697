"""Bodies of the retrieval service: hits, pages, passages; twin of `proto/wideseek/v1/retrieval.proto`."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from wideseek.values import Frozen

MAX_QUERIES = 64
MAX_URLS = 64
MAX_ONLY = 256
"""Pages to which a request can be held."""


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""One name or several; a lone string is read as a list of one."""


class SearchRequest(Frozen):
    """Body of `POST /v1/search`: a batch of queries over one corpus or several."""

    queries: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(
        min_length=1, max_length=MAX_QUERIES
    )
    count: int = Field(default=5, ge=1, le=50)
    """Hits per query."""
    corpus: Names = ()
    """Corpora to search; empty means the service's default corpus."""
    urls: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(default=(), max_length=MAX_ONLY)
    """The only pages that may be hits, wherever they lie when `corpus` names nothing; empty: any page."""


class Hit(Frozen):
    """One search result: the best passage of one page."""

    url: str
    title: str
    snippet: str
    """The passage, verbatim from the page: `text[start:end]`."""
    section: str = ""
    score: float
    corpus: str
    content_sha256: str
    start: int
    end: int


class SearchResponse(Frozen):
    """Hits per query, in the order of the queries, best first, each page at most once per query."""

    results: tuple[tuple[Hit, ...], ...]
    ranking: str
    """`hybrid`, `dense` or `lexical`: what the ranking was made from."""


class AccessRequest(Frozen):
    """Body of `POST /v1/access`."""

    urls: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(min_length=1, max_length=MAX_URLS)
    info_to_extract: str | None = Field(default=None, max_length=4_000)
    """What is wanted from the pages; orders `AccessResult.passages`."""
    corpus: Names = ()
    only: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(default=(), max_length=MAX_ONLY)
    """The only pages there are, as far as this request goes; empty: any page."""


class Page(Frozen):
    """A stored page; `content_sha256` is the SHA-256 of the UTF-8 bytes of `text`."""

    url: str
    title: str
    text: str
    content_sha256: str
    corpus: str


class Passage(Frozen):
    """A span of a page: `text[start:end]`, offsets in Unicode code points."""

    start: int
    end: int
    section: str = ""
    score: float = 0.0
    """How well the span serves `info_to_extract`; 0 when nothing was asked."""


class AccessResult(Frozen):
    """One page, or None when no served corpus holds the url."""

    url: str
    page: Page | None = None
    passages: tuple[Passage, ...] = ()
    """The page cut into passages: best first when `info_to_extract` was given, else in page order."""


class AccessResponse(Frozen):
    """Results in the order of the urls."""

    results: tuple[AccessResult, ...]


class CorpusInfo(Frozen):
    """What `GET /v1/corpora` says of one corpus."""

    name: str
    num_pages: int
    num_passages: int
    lexical: bool
    dense: bool
    dense_ready: bool
    """Whether dense queries are answered now (the encoder has loaded)."""
    content_hash: str
    default: bool = False


class CorporaResponse(Frozen):
    """The corpora served side by side."""

    corpora: tuple[CorpusInfo, ...]
