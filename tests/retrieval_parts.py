"""What tests of the retrieval service share: a small corpus, an encoder without a model, indexes of both."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.retrieval.build import Parts, build
from services.retrieval.documents import Document, Source
from services.retrieval.encoder import Encoder
from services.retrieval.manifest import Manifest
from services.retrieval.text import Tokens

ISLANDS = [
    "Aldermere",
    "Brónholt",
    "Côtelune",
    "Dravik",
    "Éirnsay",
    "Fjordalur",
    "Gråvika",
    "Hollin",
    "Isbrøya",
    "Jørnø",
]


class HashingEncoder:
    """Hashes stems into buckets: deterministic, needs no model, and near for texts that share words."""

    name = "hashing-64"
    dimensions = 64

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of stem counts by bucket."""
        self.batches.append(len(texts))
        tokens, vectors = Tokens(), np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for stem in tokens(text):
                vectors[row, int(hashlib.sha256(stem.encode()).hexdigest(), 16) % self.dimensions] += 1
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.maximum(norms, 1e-12)
        return vectors


def islands(num_pages: int = 200) -> Iterator[Document]:
    """Made-up islands: a name, a town, an area, a few facts; names carry accents."""
    for number in range(num_pages):
        name = ISLANDS[number % len(ISLANDS)] + (f" {number // len(ISLANDS)}" if number >= len(ISLANDS) else "")
        neighbour = ISLANDS[(number + 1) % len(ISLANDS)]
        text = (
            f"# {name}\n\nAn island in the northern sea, south of {neighbour}.\n\n"
            f"## Geography\nArea > total: {100 + number} sq km\nCoastline: {40 + number} km\n"
            f"Elevation > highest point: Mount {name} {300 + number} m\n\n"
            f"## People\nPopulation > total: {10_000 + 7 * number}\nMedian age > total: {20 + number % 30} years\n"
            f"Capital > name: Port {name}\n"
        )
        yield Document(url=f"island:{number}", title=name, text=text)


def source_of(documents: Iterable[Document]) -> Source:
    """A source that opens anew each time."""
    listed = tuple(documents)
    return lambda: iter(listed)


def index_of(
    root: Path, name: str, documents: Iterable[Document], *, lexical: bool = True, encoder: Encoder | None = None
) -> Manifest:
    """Build an index for real."""
    return build(name, source_of(documents), root, Parts(lexical=lexical, encoder=encoder))


def jsonl(path: Path, records: Iterable[object]) -> Path:
    """Write one JSON value a line."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path
