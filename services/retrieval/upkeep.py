"""What goes on beside the answering: watching the index folder, building what is missing, loading the encoder."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.kit.http import Readiness
from services.kit.logs import get_logger
from services.retrieval import factbook
from services.retrieval.batching import MicroBatcher
from services.retrieval.bundled import is_current
from services.retrieval.catalogue import Catalogue
from services.retrieval.encoder import Encoder
from services.retrieval.engine import Engine
from services.retrieval.metrics import Metrics
from services.retrieval.settings import Bundled, RetrievalSettings

_log = get_logger(__name__)
_TERMINATE_S = 5.0


class Upkeep:
    """The service's background work, and what it says of its readiness."""

    def __init__(
        self, settings: RetrievalSettings, engine: Engine, metrics: Metrics, load_encoder: Callable[[], Encoder]
    ) -> None:
        self._settings, self._engine, self._metrics = settings, engine, metrics
        self._catalogue: Catalogue = engine.catalogue
        self._load_encoder = load_encoder
        self._encoder: Encoder | None = None
        self._building = False
        self._failed = ""
        self._wants_encoder = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All background work, from enter to exit."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (self._watch(), self._build_bundled(), self._encode())]
            yield
            for task in tasks:
                task.cancel()

    async def readiness(self) -> Readiness:
        """Ready when searches are answered; the checks tell the lexical and the dense side apart."""
        ready = any(corpus.answers(with_vectors=self._engine.batcher is not None) for corpus in self._catalogue.corpora)
        return Readiness(ready=ready, checks={"lexical": self._lexical_state(), "dense": self._dense_state()})

    def _lexical_state(self) -> str:
        if any(corpus.lexical is not None for corpus in self._catalogue.corpora):
            return "ready"
        return "building" if self._building else "no index"

    def _dense_state(self) -> str:
        if not self._settings.dense:
            return "off"
        if any(corpus.vectors is not None for corpus in self._catalogue.corpora) and self._engine.batcher is not None:
            return "ready"
        if self._failed:
            return f"failed: {self._failed}"
        if any(corpus.manifest.dense for corpus in self._catalogue.corpora):
            return "loading"
        return "building" if self._building and self._settings.bundled is Bundled.HYBRID else "no index"

    async def _watch(self) -> None:
        while True:
            name = self._encoder.name if self._encoder else None
            if await asyncio.to_thread(self._catalogue.refresh, name):
                self._note_corpora()
            await asyncio.sleep(self._settings.poll_seconds)

    def _note_corpora(self) -> None:
        self._metrics.pages.clear()
        for corpus in self._catalogue.corpora:
            self._metrics.pages.labels(corpus.name).set(corpus.manifest.num_pages)
        if self._settings.dense and any(corpus.manifest.dense for corpus in self._catalogue.corpora):
            self._wants_encoder.set()

    async def _encode(self) -> None:
        await self._wants_encoder.wait()
        try:
            encoder = await asyncio.to_thread(_warm, self._load_encoder)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            # Without an encoder the service still answers lexically; /readyz says why it does no more.
            self._failed = f"{type(error).__name__}: {error}"
            _log.error("encoder_failed", error=self._failed)
            return
        self._encoder = encoder
        await asyncio.to_thread(self._catalogue.refresh, encoder.name)
        batcher = MicroBatcher(encoder, self._settings.max_encode_batch, self._metrics.encode_batch.observe)
        self._engine.batcher = batcher
        _log.info("dense_ready", encoder=encoder.name)
        await batcher.run()

    async def _build_bundled(self) -> None:
        settings, dense = self._settings, self._settings.bundled is Bundled.HYBRID
        if settings.bundled is Bundled.OFF or is_current(settings.indexes, dense=dense):
            return
        command = ["-m", "services.retrieval.bundled", "--root", str(settings.indexes), *(["--dense"] if dense else [])]
        self._building = True
        # Idle OpenMP threads spin by default, which a process at low priority must not do to its neighbours.
        env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        process = await asyncio.create_subprocess_exec(sys.executable, *command, env=env)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await asyncio.wait_for(process.wait(), _TERMINATE_S)
            raise
        finally:
            self._building = False
        if code != 0:
            _log.error("bundled_build_failed", corpus=factbook.NAME, exit_code=code)


def _warm(load: Callable[[], Encoder]) -> Encoder:
    """Load the encoder and let it encode once: the first call is the slow one."""
    encoder = load()
    encoder.encode(["ready"])
    return encoder
