"""Micro-batching: queries that arrive while the encoder is busy are encoded together in its next call."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from services.retrieval.encoder import Encoder

Vector = NDArray[np.float32]
_Waiting = tuple[str, "asyncio.Future[Vector]"]


class MicroBatcher:
    """Encodes queries one batch at a time, in a thread of its own. `run` must be running for `encode` to answer."""

    def __init__(self, encoder: Encoder, max_batch: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        self._encoder, self._max_batch, self._on_batch = encoder, max_batch, on_batch
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")

    async def encode(self, texts: Sequence[str]) -> list[Vector]:
        """A unit vector for each text."""
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in texts]
        for text, future in zip(texts, futures, strict=True):
            self._queue.put_nowait((text, future))
        return list(await asyncio.gather(*futures))

    async def run(self) -> None:
        """Serve until cancelled; whoever is still waiting then is cancelled too."""
        batch: list[_Waiting] = []
        try:
            while True:
                batch = [await self._queue.get()]
                while len(batch) < self._max_batch and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                await self._answer(batch)
        finally:
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            for _, future in batch:
                future.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, batch: list[_Waiting]) -> None:
        wanted = [(text, future) for text, future in batch if not future.done()]
        if not wanted:
            return
        self._on_batch(len(wanted))
        loop = asyncio.get_running_loop()
        try:
            vectors = await loop.run_in_executor(self._thread, self._encoder.encode, [text for text, _ in wanted])
        except (RuntimeError, ValueError, IndexError) as error:
            # One bad batch must not end the loop that serves everyone else.
            for _, future in wanted:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), vector in zip(wanted, vectors, strict=True):
            if not future.done():
                future.set_result(vector)
