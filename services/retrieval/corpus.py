"""One index opened for reading, and how a query is ranked over it."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.retrieval.build import LEXICAL, PAGES, PASSAGE_PAGES
from services.retrieval.fusion import first_of_each, reciprocal_ranks
from services.retrieval.lexical import LexicalIndex, Rows
from services.retrieval.manifest import Manifest
from services.retrieval.passages import Span
from services.retrieval.store import PageStore
from services.retrieval.titles import Named, named_pages
from services.retrieval.vectors import VectorIndex, vectors_file
from wideseek.contracts import Hit, Page

Vector = NDArray[np.float32]
PageIds = AbstractSet[int]
_POOL = 100
"""Passages taken from each ranking before they are fused."""
_POOL_PER_HIT = 8


def _by_length(text: str) -> float:
    return float(len(text.split()))


@dataclass(eq=False)
class Corpus:
    """An opened index. Searching blocks (milliseconds): call it from a thread."""

    manifest: Manifest
    data: Path
    store: PageStore
    lexical: LexicalIndex | None
    page_of: NDArray[np.int32]
    vectors: VectorIndex | None = field(default=None)
    """Loaded later than the rest, when the encoder is there."""

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> "Corpus":
        """Open what the manifest in `folder` names; the dense part is left for `load_vectors`."""
        data = folder / manifest.data
        return cls(
            manifest=manifest,
            data=data,
            store=PageStore(data / PAGES, manifest.name),
            lexical=LexicalIndex(data / LEXICAL) if manifest.lexical else None,
            page_of=np.load(data / PASSAGE_PAGES, mmap_mode="r"),
        )

    @property
    def name(self) -> str:
        """The corpus's name."""
        return self.manifest.name

    def load_vectors(self, encoder_name: str) -> bool:
        """Load the dense part if the encoder at hand made it; whether it is loaded now."""
        if self.vectors is None and self.manifest.dense and self.manifest.encoder == encoder_name:
            self.vectors = VectorIndex(vectors_file(self.data, encoder_name))
        return self.vectors is not None

    def answers(self, *, with_vectors: bool) -> bool:
        """Whether a query can be ranked now."""
        return self.lexical is not None or (with_vectors and self.vectors is not None)

    def search(self, query: str, vector: Vector | None, count: int, only: PageIds | None = None) -> list[Hit]:
        """Pages for a query, best first, each with its best passage; with `only`, none but those.

        Reciprocal-rank fusion of the lexical ranking, the dense one when `vector` is given, and the pages the query
        names, weighted by how surely the name is meant; a page whose title is the query comes first.
        """
        lexical, dense = self._rankings(query, vector, count, only)
        named = named_pages(query, self.store, self.lexical.weight if self.lexical else _by_length)
        if only is not None:
            named = [each for each in named if each.page in only]
        scores = reciprocal_ranks(
            [(1.0, list(lexical)), (1.0, list(dense)), *((each.weight, [each.page]) for each in named)]
        )
        for each in named:
            scores[each.page] += each.bonus
        ranked = sorted(scores, key=lambda page: (-scores[page], page))[:count]
        asked = {each.page: each for each in named}
        pages = self.store.pages(ranked)
        chosen = {page: self._asked_passage(query, asked[page], pages[page]) for page in ranked if page in asked}
        for page in ranked:
            if chosen.get(page) is None:
                chosen[page] = lexical.get(page, dense.get(page))
        return self._hits(ranked, scores, pages, chosen)

    def _rankings(
        self, query: str, vector: Vector | None, count: int, only: PageIds | None
    ) -> tuple[dict[int, int], dict[int, int]]:
        """The lexical and the dense ranking: pages, best first, each with its best passage."""
        pool = max(_POOL, _POOL_PER_HIT * count)
        among = None if only is None else self._passages_of(only)
        lexical = self.lexical.search(query, pool, among) if self.lexical else []
        dense: list[tuple[int, float]] = []
        if self.vectors is not None and vector is not None:
            dense = self.vectors.search(vector, pool, among)
        return first_of_each(self._paged(lexical)), first_of_each(self._paged(dense))

    def _passages_of(self, pages: PageIds) -> Rows:
        """Ids of the passages of pages; those of one page follow each other."""
        ordered = sorted(pages)
        firsts, lasts = np.searchsorted(self.page_of, ordered), np.searchsorted(self.page_of, ordered, side="right")
        spans = [np.arange(first, last) for first, last in zip(firsts, lasts, strict=True)]
        return np.concatenate(spans).astype(np.int64) if spans else np.empty(0, np.int64)

    def _paged(self, rows: list[tuple[int, float]]) -> list[tuple[int, int]]:
        return [(int(self.page_of[passage]), passage) for passage, _ in rows]

    def _asked_passage(self, query: str, named: Named, page: Page) -> int | None:
        """Of a page asked for by name, the passage that answers the rest of the query; else its first."""
        first, last = np.searchsorted(self.page_of, [named.page, named.page + 1]).tolist()
        if first == last:
            return None
        if named.bonus or self.lexical is None:
            return int(first) if named.bonus else None
        return self.lexical.best_within(range(first, last), query, page.title)

    def _hits(
        self, ranked: list[int], scores: dict[int, float], pages: dict[int, Page], chosen: dict[int, int | None]
    ) -> list[Hit]:
        first = {page: int(np.searchsorted(self.page_of, page)) for page in ranked if chosen[page] is None}
        passage_of = {page: first.get(page, chosen[page]) for page in ranked}
        stored = self.store.passages(passage for passage in passage_of.values() if passage is not None)
        return [
            _hit(pages[page], stored[passage].span, scores[page])
            for page in ranked
            if (passage := passage_of[page]) in stored and stored[passage].page == page
        ]


def _hit(page: Page, span: Span, score: float) -> Hit:
    return Hit(
        url=page.url,
        title=page.title,
        snippet=page.text[span.start : span.end],
        section=span.section,
        score=score,
        corpus=page.corpus,
        content_sha256=page.content_sha256,
        start=span.start,
        end=span.end,
    )
