"""Dense ranking: cosine similarity of passage vectors, by FAISS."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.retrieval.encoder import Encoder

FLAT_LIMIT = 50_000
"""From this many vectors on, a graph (HNSW) answers instead of a scan of all."""
_CHUNK = 1_024
_NEIGHBOURS, _EF_CONSTRUCTION, _EF_SEARCH = 32, 200, 128

T = TypeVar("T")


def vectors_file(data: Path, encoder_name: str) -> Path:
    """Where the vectors of an encoder lie in an index's data folder."""
    return data / f"vectors-{re.sub(r'[^a-z0-9.]+', '-', encoder_name.lower())}.faiss"


def write_vectors(
    texts: Iterable[tuple[str, str, str]],
    total: int,
    encoder: Encoder,
    target: Path,
    progress: Callable[[str, int, int], None],
) -> None:
    """Encode (title, section, passage) triples in order and write the index at `target`.

    Vectors are kept chunk by chunk beside the target (float16), so an encoding that was cut off goes on from there.
    """
    kept = target.with_suffix(".partial")
    row_bytes = 2 * encoder.dimensions
    done = kept.stat().st_size // row_bytes if kept.exists() else 0
    with kept.open("r+b" if kept.exists() else "w+b") as file:
        file.truncate(done * row_bytes)
        file.seek(done * row_bytes)
        progress("dense", done, total)
        for chunk in _chunks(islice(texts, done, None), _CHUNK):
            file.write(_encoded(chunk, encoder).astype(np.float16).tobytes())
            file.flush()
            done += len(chunk)
            progress("dense", done, total)
    vectors = np.fromfile(kept, dtype=np.float16).reshape(-1, encoder.dimensions).astype(np.float32)
    _save(indexed(vectors), target)
    kept.unlink()


def _encoded(chunk: list[tuple[str, str, str]], encoder: Encoder) -> NDArray[np.float32]:
    return encoder.encode(
        [f"{title}\n{section}\n{text}" if section else f"{title}\n{text}" for title, section, text in chunk]
    )


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def indexed(vectors: NDArray[np.float32], flat_limit: int = FLAT_LIMIT) -> Any:
    """A FAISS index of unit vectors, shape (vectors, dimensions): flat and exact, or a graph from `flat_limit` on."""
    import faiss  # noqa: PLC0415

    dimensions = vectors.shape[1]
    index: Any = faiss.IndexFlatIP(dimensions)
    if len(vectors) >= flat_limit:
        index = faiss.IndexHNSWFlat(dimensions, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _EF_CONSTRUCTION
        index.hnsw.efSearch = _EF_SEARCH
    index.add(vectors)
    return index


def _save(index: Any, target: Path) -> None:
    import faiss  # noqa: PLC0415

    temporary = target.with_suffix(".tmp")
    faiss.write_index(index, str(temporary))
    temporary.replace(target)


def on_accelerator(index: Any) -> Any:
    """The index on the GPUs where faiss-gpu and a GPU are at hand, else the index itself.

    A graph has no GPU form; there its vectors are scanned whole, which is exact.
    """
    import faiss  # noqa: PLC0415

    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        return index
    if isinstance(index, faiss.IndexHNSW):
        flat = faiss.IndexFlatIP(index.d)
        flat.add(index.reconstruct_n(0, index.ntotal))
        index = flat
    return faiss.index_cpu_to_all_gpus(index)


class VectorIndex:
    """A written index. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        import faiss  # noqa: PLC0415

        self._index = on_accelerator(faiss.read_index(str(path)))

    def search(
        self, vector: NDArray[np.float32], count: int, among: NDArray[np.int64] | None = None
    ) -> list[tuple[int, float]]:
        """Passage ids with their cosine similarity, best first.

        With `among`, only those passages, and exactly: a graph walked under a filter may miss all of a few.
        """
        if among is not None:
            return self._search_among(vector, count, among)
        count = min(count, int(self._index.ntotal))
        if count == 0:
            return []
        scores, rows = self._index.search(vector.reshape(1, -1), count)
        return [(int(row), float(score)) for row, score in zip(rows[0], scores[0], strict=True) if row >= 0]

    def _search_among(
        self, vector: NDArray[np.float32], count: int, among: NDArray[np.int64]
    ) -> list[tuple[int, float]]:
        if not len(among):
            return []
        scores = self._index.reconstruct_batch(among) @ vector
        best = np.argsort(-scores, kind="stable")[:count]
        return [(int(among[place]), float(scores[place])) for place in best]
