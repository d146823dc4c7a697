"""Lexical ranking: BM25 (Lucene's variant, Kamphuis et al. 2020) over stems of title and passage, by bm25s."""

import logging
import math
import threading
from collections.abc import Iterable
from pathlib import Path

import bm25s
import numpy as np
from numpy.typing import NDArray

from services.retrieval.text import Tokens

# The library sets itself to DEBUG when imported.
logging.getLogger("bm25s").setLevel(logging.WARNING)


Rows = NDArray[np.int64]
"""Ids of passages, each once."""


class LexicalBuilder:
    """Collects passages and writes the index."""

    def __init__(self) -> None:
        self._tokens = Tokens()
        self._vocabulary: dict[str, int] = {}
        self._rows: list[list[int]] = []

    def add(self, title: str, text: str) -> None:
        """Index the next passage; its page's title counts as part of it."""
        ids = self._vocabulary
        self._rows.append([ids.setdefault(stem, len(ids)) for stem in self._tokens(f"{title}\n{text}")])

    def save(self, folder: Path) -> None:
        """Score and write what was collected."""
        index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        if not self._vocabulary:
            # bm25s cannot average lengths that are all 0.
            self._vocabulary, self._rows = {"": 0}, [[0] for _ in self._rows]
        index.index((self._rows, self._vocabulary), show_progress=False)
        index.save(folder, show_progress=False)


class LexicalIndex:
    """A written index, memory-mapped. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._index = bm25s.BM25.load(folder, mmap=True, show_progress=False, verbosity=0)
        self._vocabulary: dict[str, int] = self._index.vocab_dict
        self._starts: NDArray[np.int64] = np.asarray(self._index.scores["indptr"])
        self._local = threading.local()

    def search(self, query: str, count: int, among: Rows | None = None) -> list[tuple[int, float]]:
        """Passage ids with their scores, best first; only passages that share a stem with the query.

        With `among`, only those passages: their scores are those of a search of all.
        """
        ids = [self._vocabulary[stem] for stem in dict.fromkeys(self._stems(query)) if stem in self._vocabulary]
        if not ids:
            return []
        scores: NDArray[np.float32] = self._index.get_scores_from_ids(ids)
        if among is None:
            count = min(count, len(scores))
            among = np.argpartition(-scores, count - 1)[:count]
        ordered = sorted(among.tolist(), key=lambda row: (-float(scores[row]), row))[:count]
        return [(row, float(scores[row])) for row in ordered if scores[row] > 0]

    def best_within(self, passages: range, query: str, without: str) -> int | None:
        """The passage of a page that answers best what is left of the query without `without`, the page's name."""
        left = set(self._stems(query)) - set(self._stems(without))
        ids = [self._vocabulary[stem] for stem in left if stem in self._vocabulary]
        if not ids or not passages:
            return None
        scores = self._index.get_scores_from_ids(ids)[passages.start : passages.stop]
        best = int(scores.argmax())
        return passages.start + best if scores[best] > 0 else None

    def weight(self, text: str) -> float:
        """Summed inverse document frequency of the distinct stems of `text`: how much it tells."""
        return sum(self._idf(stem) for stem in dict.fromkeys(self._stems(text)))

    def _idf(self, stem: str) -> float:
        row, total = self._vocabulary.get(stem), self._index.scores["num_docs"]
        holding = 0 if row is None else int(self._starts[row + 1] - self._starts[row])
        return math.log(1 + (total - holding + 0.5) / (holding + 0.5))

    def _stems(self, text: str) -> Iterable[str]:
        tokens: Tokens | None = getattr(self._local, "tokens", None)
        if tokens is None:
            tokens = self._local.tokens = Tokens()
        return tokens(text)
