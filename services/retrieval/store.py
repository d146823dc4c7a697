"""Pages in SQLite: zstd-compressed text, found by url or content hash; passages and titles beside them."""

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import zstandard

from services.retrieval.documents import Document
from services.retrieval.passages import Span, passages
from services.retrieval.text import title_key
from wideseek.contracts import Page

_SCHEMA = """
CREATE TABLE pages (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha BLOB NOT NULL, text BLOB NOT NULL
);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY, page INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, section TEXT NOT NULL
);
CREATE TABLE titles (
    key TEXT NOT NULL, alias INTEGER NOT NULL, page INTEGER NOT NULL, PRIMARY KEY (key, alias, page)
) WITHOUT ROWID;
"""
_TEXTS = """
SELECT p.title, s.section, s.start, s.end, p.id, p.text FROM passages s JOIN pages p ON p.id = s.page ORDER BY s.id
"""
_DISAMBIGUATION = re.compile(r"\s*\([^()]*\)$")
"""What tells pages of one name apart: `Sultan (2016 film)` is also found as `Sultan`."""
_MMAP_BYTES = 1 << 32
_BATCH = 500


class PageWriter:
    """Fills a new page store. Page and passage ids count from 0 in the order of writing."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        self._compressor = zstandard.ZstdCompressor(level=9)
        self.num_pages = 0
        self.page_of: list[int] = []
        """Page id of every passage."""

    def add(self, document: Document) -> None:
        """Store a page, its passages and its names."""
        page = self.num_pages
        self.num_pages += 1
        text = self._compressor.compress(document.text.encode())
        sha = bytes.fromhex(document.content_sha256)
        self._db.execute("INSERT INTO pages VALUES (?,?,?,?,?)", (page, document.url, document.title, sha, text))
        aliases = (_DISAMBIGUATION.sub("", document.title), *document.aliases)
        names = [(title_key(document.title), 0), *((title_key(alias), 1) for alias in aliases)]
        self._db.executemany(
            "INSERT OR IGNORE INTO titles VALUES (?,?,?)", [(key, alias, page) for key, alias in names if key]
        )
        for span in passages(document.text):
            row = (len(self.page_of), page, span.start, span.end, span.section)
            self._db.execute("INSERT INTO passages VALUES (?,?,?,?,?)", row)
            self.page_of.append(page)

    def close(self) -> None:
        """Write the lookups by hash and page, and close the file."""
        self._db.executescript("CREATE INDEX pages_sha ON pages (sha); CREATE INDEX passages_page ON passages (page);")
        self._db.commit()
        self._db.close()


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage with the page it stands on."""

    id: int
    page: int
    span: Span


@dataclass(frozen=True, slots=True)
class TitleMatch:
    """A page one of whose names has the key that was looked up."""

    key: str
    page: int
    alias: bool


class PageStore:
    """Reads a page store; safe to share between threads, each of which gets a connection of its own."""

    def __init__(self, path: Path, corpus: str) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        self._corpus = corpus
        self._local = threading.local()
        self._db().execute("SELECT 1 FROM pages, passages, titles LIMIT 1")

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self._uri, uri=True)
            db.execute(f"PRAGMA mmap_size={_MMAP_BYTES}")
            self._local.db = db
        return db

    def page(self, url: str) -> Page | None:
        """The page with this url; a percent-encoded spelling, and one without its fragment, are tried too."""
        for spelling in _spellings(url):
            found = self._one("url = ?", spelling)
            if found:
                return found
        return None

    def page_ids(self, urls: Iterable[str]) -> set[int]:
        """Ids of the pages with these urls, as far as there are such pages; spellings as in `page`."""
        find = "SELECT id FROM pages WHERE url = ?"
        found: set[int] = set()
        for url in urls:
            rows = (self._db().execute(find, (spelling,)).fetchone() for spelling in _spellings(url))
            found.update(next((row for row in rows if row), ()))
        return found

    def page_by_hash(self, content_sha256: str) -> Page | None:
        """A page whose text has this SHA-256 (hex)."""
        try:
            return self._one("sha = ?", bytes.fromhex(content_sha256))
        except ValueError:
            return None

    def pages(self, ids: Iterable[int]) -> dict[int, Page]:
        """Pages by id."""
        found = {}
        for batch in _batches(list(dict.fromkeys(ids))):
            marks = ",".join("?" * len(batch))
            rows = self._db().execute(f"SELECT id, url, title, sha, text FROM pages WHERE id IN ({marks})", batch)
            found.update({row[0]: self._read(row[1:]) for row in rows})
        return found

    def passages(self, ids: Iterable[int]) -> dict[int, StoredPassage]:
        """Passages by id."""
        found = {}
        for batch in _batches(list(ids)):
            marks = ",".join("?" * len(batch))
            rows = self._db().execute(
                f"SELECT id, page, start, end, section FROM passages WHERE id IN ({marks})", batch
            )
            found.update({row[0]: StoredPassage(row[0], row[1], Span(*row[2:])) for row in rows})
        return found

    def titled(self, keys: Sequence[str]) -> list[TitleMatch]:
        """Pages whose title or alias has one of these keys."""
        found = []
        for batch in _batches(list(keys)):
            marks = ",".join("?" * len(batch))
            rows = self._db().execute(f"SELECT key, page, alias FROM titles WHERE key IN ({marks}) LIMIT 1000", batch)
            found += [TitleMatch(key, page, bool(alias)) for key, page, alias in rows]
        return found

    def texts(self) -> Iterator[tuple[str, str, str]]:
        """Title, section and text of every passage, in the order of their ids."""
        decompressor, held, text = zstandard.ZstdDecompressor(), -1, ""
        for title, section, start, end, page, blob in self._db().execute(_TEXTS):
            if page != held:
                held, text = page, decompressor.decompress(blob).decode()
            yield title, section, text[start:end]

    def _one(self, where: str, argument: str | bytes) -> Page | None:
        row = (
            self._db().execute(f"SELECT url, title, sha, text FROM pages WHERE {where} LIMIT 1", (argument,)).fetchone()
        )
        return self._read(row) if row else None

    def _read(self, row: tuple[str, str, bytes, bytes]) -> Page:
        url, title, sha, blob = row
        text = zstandard.ZstdDecompressor().decompress(blob).decode()
        return Page(url=url, title=title, text=text, content_sha256=sha.hex(), corpus=self._corpus)


def _batches(values: list[int] | list[str]) -> Iterator[list[int] | list[str]]:
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def _spellings(url: str) -> list[str]:
    stripped = url.strip()
    whole = [stripped, unquote(stripped), unquote(stripped).replace(" ", "_"), stripped.rstrip("/")]
    return list(dict.fromkeys([*whole, *(spelling.partition("#")[0] for spelling in whole)]))
