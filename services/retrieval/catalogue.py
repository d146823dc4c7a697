"""The corpora served side by side, kept in step with the index folder."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from services.kit.logs import get_logger
from services.retrieval.corpus import Corpus
from services.retrieval.manifest import Manifest, read_manifest
from wideseek.contracts import CorpusInfo
from wideseek.errors import InvalidRequest

_log = get_logger(__name__)
_DAMAGED = (OSError, EOFError, ValueError, KeyError, sqlite3.Error, RuntimeError, ImportError)
"""What opening a damaged index raises, by SQLite, NumPy, bm25s or FAISS."""


class Catalogue:
    """Opened corpora by name. `refresh` swaps whole corpora; a search keeps the one it began with."""

    def __init__(self, root: Path, default: str) -> None:
        self._root, self._default = root, default
        self._corpora: dict[str, Corpus] = {}
        self._refused: set[Manifest] = set()
        self._refreshing = threading.Lock()

    @property
    def corpora(self) -> list[Corpus]:
        """All corpora, the default one first."""
        return sorted(self._corpora.values(), key=lambda corpus: (corpus.name != self._default, corpus.name))

    def refresh(self, encoder_name: str | None) -> bool:
        """Look at the folder: open what is new or replaced, drop what is gone. Blocks. Whether anything changed.

        With an encoder at hand, a corpus is swapped in with its vectors loaded.
        """
        with self._refreshing:
            opened: dict[str, Corpus] = {}
            for name, manifest in self._manifests().items():
                served = self._corpora.get(name)
                unchanged = served is not None and served.manifest == manifest
                corpus = served if unchanged else self._open(name, manifest) or served
                if corpus is not None:
                    self._load_vectors(corpus, encoder_name)
                    opened[name] = corpus
            changed = opened != self._corpora
            self._corpora = opened
            return changed

    def _manifests(self) -> dict[str, Manifest]:
        if not self._root.is_dir():
            return {}
        folders = [entry for entry in sorted(self._root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
        found = {folder.name: read_manifest(folder) for folder in folders}
        return {name: manifest for name, manifest in found.items() if manifest is not None and manifest.name == name}

    def _open(self, name: str, manifest: Manifest) -> Corpus | None:
        if manifest in self._refused:
            return None
        try:
            corpus = Corpus.open(self._root / name, manifest)
        except _DAMAGED as error:
            self._refuse(manifest, "corpus_refused", error)
            return None
        _log.info("corpus_opened", corpus=name, pages=manifest.num_pages, passages=manifest.num_passages)
        return corpus

    def _load_vectors(self, corpus: Corpus, encoder_name: str | None) -> None:
        if encoder_name is None or corpus.vectors is not None or corpus.manifest in self._refused:
            return
        try:
            corpus.load_vectors(encoder_name)
        except _DAMAGED as error:
            self._refuse(corpus.manifest, "vectors_refused", error)

    def _refuse(self, manifest: Manifest, event: str, error: Exception) -> None:
        """A damaged index must not take the others down; it is tried again when its manifest changes."""
        self._refused.add(manifest)
        _log.error(event, corpus=manifest.name, error=f"{type(error).__name__}: {error}")

    def chosen(self, names: Sequence[str]) -> list[Corpus]:
        """The corpora of these names, or the default one. Raises `InvalidRequest` at `/corpus` for an unknown name."""
        wanted = list(dict.fromkeys(names)) or [self._default]
        unknown = [name for name in wanted if name not in self._corpora]
        if unknown:
            served = ", ".join(corpus.name for corpus in self.corpora) or "none yet"
            raise InvalidRequest(f"no corpus named {', '.join(unknown)}; served: {served}", field="/corpus")
        return [self._corpora[name] for name in wanted]

    def holding(self, names: Sequence[str]) -> list[Corpus]:
        """The corpora of these names, or all: where a page is looked for."""
        return self.chosen(names) if names else self.corpora

    def info(self) -> tuple[CorpusInfo, ...]:
        """What is served."""
        return tuple(
            CorpusInfo(
                name=corpus.name,
                num_pages=corpus.manifest.num_pages,
                num_passages=corpus.manifest.num_passages,
                lexical=corpus.manifest.lexical,
                dense=corpus.manifest.dense,
                dense_ready=corpus.vectors is not None,
                content_hash=corpus.manifest.content_hash,
                default=corpus.name == self._default,
            )
            for corpus in self.corpora
        )
