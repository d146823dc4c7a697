"""Queries encoded together, failures kept to their batch, and bounded work."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieval.batching import MicroBatcher
from services.retrieval.metrics import Metrics
from services.retrieval.workpool import WorkPool
from tests.retrieval_parts import HashingEncoder
from wideseek.errors import RetrievalUnavailable


class GatedEncoder(HashingEncoder):
    """Waits at a gate in its first call, as a slow model does."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.gate = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.entered.set()
        assert self.gate.wait(10)
        if "poison" in texts:
            raise RuntimeError("cannot encode this")
        return super().encode(texts)


async def test_queries_that_arrive_while_the_encoder_is_busy_are_encoded_together() -> None:
    encoder = GatedEncoder()
    batcher = MicroBatcher(encoder, max_batch=64)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(batcher.run())
        first = group.create_task(batcher.encode(["one"]))
        await asyncio.to_thread(encoder.entered.wait, 10)
        others = [group.create_task(batcher.encode([f"query {number}"])) for number in range(20)]
        await asyncio.sleep(0)
        encoder.gate.set()
        vectors = [await task for task in (first, *others)]
        running.cancel()

    assert encoder.batches == [1, 20]
    assert all(
        np.allclose(found[0], encoder.encode([text])[0]) for found, text in zip(vectors[1:2], ["query 0"], strict=True)
    )


async def test_a_batch_has_a_limit() -> None:
    encoder = GatedEncoder()
    encoder.gate.set()
    batcher = MicroBatcher(encoder, max_batch=8)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(batcher.run())
        vectors = await batcher.encode([f"query {number}" for number in range(20)])
        running.cancel()

    assert len(vectors) == 20
    assert encoder.batches == [8, 8, 4]


async def test_a_batch_that_fails_is_told_to_its_callers_and_the_next_is_served() -> None:
    encoder = GatedEncoder()
    encoder.gate.set()
    batcher = MicroBatcher(encoder, max_batch=8)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(batcher.run())
        with pytest.raises(RuntimeError, match="cannot encode this"):
            await batcher.encode(["poison"])
        served = await batcher.encode(["fine"])
        running.cancel()

    assert len(served) == 1


async def test_more_waiting_work_than_allowed_is_refused() -> None:
    metrics, gate = Metrics(), threading.Event()
    pool = WorkPool(slots=1, max_queue=1, metrics=metrics)

    async with asyncio.TaskGroup() as group:
        held = [group.create_task(pool.run(lambda: gate.wait(10))) for _ in range(2)]
        await asyncio.sleep(0)
        depth = metrics.registry.get_sample_value("wideseek_retrieval_queue_depth")
        with pytest.raises(RetrievalUnavailable, match="come back later"):
            await pool.run(lambda: True)
        gate.set()

    assert depth == 1
    assert all(task.result() for task in held)
    assert metrics.registry.get_sample_value("wideseek_retrieval_in_flight") == 0
    pool.close()
