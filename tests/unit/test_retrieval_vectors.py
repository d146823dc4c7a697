"""Vector indexes: flat, graph, and on the accelerator."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieval.vectors import VectorIndex, indexed, on_accelerator, write_vectors
from tests.retrieval_parts import HashingEncoder

Vectors = NDArray[np.float32]


def _unit(num: int, dimensions: int = 64) -> Vectors:
    drawn = np.random.default_rng(7).standard_normal((num, dimensions)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def test_the_nearest_vectors_come_back_with_their_similarity(tmp_path: Path) -> None:
    texts = [(f"title {number}", "", f"word{number} common text") for number in range(50)]
    write_vectors(iter(texts), 50, HashingEncoder(), tmp_path / "v.faiss", lambda *_: None)
    (query,) = HashingEncoder().encode(["title 7\nword7 common text"])

    found = VectorIndex(tmp_path / "v.faiss").search(query, 3)

    assert found[0][0] == 7
    assert found[0][1] == pytest.approx(1.0, abs=1e-3)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_progress_is_told_and_nothing_temporary_is_left(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    write_vectors(
        iter([("t", "s", "x")] * 5), 5, HashingEncoder(), tmp_path / "v.faiss", lambda *step: told.append(step)
    )

    assert told == [("dense", 0, 5), ("dense", 5, 5)]
    assert [path.name for path in tmp_path.iterdir()] == ["v.faiss"]


def test_a_graph_answers_many_vectors_nearly_as_a_scan_does() -> None:
    data = _unit(2_000, 16)
    graph = indexed(data, flat_limit=1_000)
    queries = data[:50]

    _, rows = graph.search(queries, 1)

    assert "HNSW" in type(graph).__name__
    assert (rows[:, 0] == np.arange(50)).mean() >= 0.95


@pytest.mark.parametrize("flat_limit", [10_000, 1_000])
def test_a_search_among_some_is_exact_on_any_index(tmp_path: Path, flat_limit: int) -> None:
    faiss = pytest.importorskip("faiss")
    data = _unit(2_000, 16)
    faiss.write_index(indexed(data, flat_limit=flat_limit), str(tmp_path / "v.faiss"))
    among = np.array([3, 700, 701, 1_999])
    expected = sorted(((float(data[row] @ data[5]), row) for row in among), reverse=True)

    found = VectorIndex(tmp_path / "v.faiss").search(data[5], 3, among)

    assert [row for row, _ in found] == [row for _, row in expected[:3]]
    assert [score for _, score in found] == pytest.approx([score for score, _ in expected[:3]], abs=1e-6)
    assert VectorIndex(tmp_path / "v.faiss").search(data[5], 3, among[:0]) == []


@pytest.mark.gpu
def test_the_accelerator_finds_what_the_cpu_finds() -> None:
    faiss = pytest.importorskip("faiss")
    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        pytest.skip("faiss-gpu or a GPU is absent")
    data = _unit(5_000)
    index = indexed(data)

    expected_scores, expected_rows = index.search(data[:100], 10)
    accelerated = on_accelerator(index)
    scores, rows = accelerated.search(data[:100], 10)

    assert (rows == expected_rows).mean() > 0.99
    assert np.allclose(scores, expected_scores, atol=1e-3)
    assert np.allclose(accelerated.reconstruct_batch(np.array([9, 4_000])), data[[9, 4_000]], atol=1e-3)
