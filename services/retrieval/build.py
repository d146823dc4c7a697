"""Building an index: documents in, a folder that can be served out.

Every part (pages, lexical, dense) is written under another name and renamed when whole, so that a build that was cut
off goes on where it stopped, and the manifest is replaced last.
"""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.retrieval.documents import Source, Survey, survey
from services.retrieval.encoder import Encoder
from services.retrieval.lexical import LexicalBuilder
from services.retrieval.manifest import FORMAT, Manifest, read_manifest, write_manifest
from services.retrieval.store import PageStore, PageWriter
from services.retrieval.vectors import vectors_file, write_vectors
from wideseek.errors import InvalidRequest

Progress = Callable[[str, int, int], None]
"""Called with the stage, how many are done, and how many there are (0 while unknown)."""
PAGES, PASSAGE_PAGES, LEXICAL = "pages.sqlite", "passage_pages.npy", "lexical"
_EVERY = 200


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True)
class Parts:
    """What an index is to be searched by."""

    lexical: bool = True
    encoder: Encoder | None = None
    """Makes the vectors; None builds no dense part."""
    source: str = ""
    """What the documents come from, for the manifest."""


def build(name: str, source: Source, root: Path, parts: Parts, progress: Progress = _silent) -> Manifest:
    """Build the index `name` under `root`, or find it built; the same documents are never built twice.

    A first index is published as soon as its lexical part is whole; one that replaces another only when all is.
    Raises `BadDocument` before anything is changed.
    """
    if not parts.lexical and parts.encoder is None:
        raise InvalidRequest("an index needs a lexical part, a dense one, or both")
    found = survey(source, lambda done: progress("reading", done, 0) if done % _EVERY == 0 else None)
    if found.num_pages == 0:
        raise InvalidRequest("the input holds no document")
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        return _build(name, source, folder, parts, found, progress)


def _build(name: str, source: Source, folder: Path, parts: Parts, found: Survey, progress: Progress) -> Manifest:
    previous = read_manifest(folder)
    data = folder / f"data-{found.content_hash[:16]}-{FORMAT}"
    if not data.is_dir():
        _write_pages(source, data, found.num_pages, progress)
    num_passages = len(np.load(data / PASSAGE_PAGES, mmap_mode="r"))
    if parts.lexical and not (data / LEXICAL).is_dir():
        _write_lexical(data, name, num_passages, progress)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        content_hash=found.content_hash,
        data=data.name,
        num_pages=found.num_pages,
        num_passages=num_passages,
        lexical=parts.lexical,
        dense=False,
        source=parts.source,
        built_at=time.time(),
    )
    replaces = previous is not None and previous.content_hash != found.content_hash
    if parts.encoder is not None:
        target = vectors_file(data, parts.encoder.name)
        if not target.exists():
            if parts.lexical and previous is None:
                write_manifest(folder, manifest)
            write_vectors(PageStore(data / PAGES, name).texts(), num_passages, parts.encoder, target, progress)
        manifest = manifest.model_copy(update={"dense": True, "encoder": parts.encoder.name})
    if previous is not None and _same(previous, manifest):
        return previous
    write_manifest(folder, manifest)
    _remove_old(folder, {data.name, *([previous.data] if replaces and previous else [])})
    return manifest


def _same(one: Manifest, other: Manifest) -> bool:
    return one.model_copy(update={"built_at": other.built_at}) == other


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a second builder waits, then finds the work done."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_pages(source: Source, data: Path, num_pages: int, progress: Progress) -> None:
    temporary = _fresh(data.with_name(f".{data.name}"))
    writer = PageWriter(temporary / PAGES)
    for document in source():
        writer.add(document)
        if writer.num_pages % _EVERY == 0 or writer.num_pages == num_pages:
            progress("pages", writer.num_pages, num_pages)
    writer.close()
    np.save(temporary / PASSAGE_PAGES, np.asarray(writer.page_of, dtype=np.int32))
    temporary.replace(data)


def _write_lexical(data: Path, name: str, num_passages: int, progress: Progress) -> None:
    builder = LexicalBuilder()
    for done, (title, _, text) in enumerate(PageStore(data / PAGES, name).texts(), start=1):
        builder.add(title, text)
        if done % _EVERY == 0 or done == num_passages:
            progress("lexical", done, num_passages)
    temporary = _fresh(data / f".{LEXICAL}")
    builder.save(temporary)
    temporary.replace(data / LEXICAL)


def _fresh(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    return folder


def _remove_old(folder: Path, kept: set[str]) -> None:
    """Drop data folders that neither the manifest nor a service that has yet to see it needs."""
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name.lstrip(".").startswith("data-") and entry.name not in kept:
            shutil.rmtree(entry)
