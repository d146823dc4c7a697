"""What an index is built from: documents, read from JSON lines that are checked one by one."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from wideseek.errors import InvalidRequest

MAX_LINE_CHARS = 20_000_000
_FIELDS = ("url", "title", "text")


@dataclass(frozen=True, slots=True)
class Document:
    """A page to be indexed."""

    url: str
    title: str
    text: str
    aliases: tuple[str, ...] = ()
    """Other names of what the page is about; a query that is one of them finds the page first."""
    place: str = ""
    """File and line it was read from, for error messages."""

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the text's UTF-8 bytes, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


Source = Callable[[], Iterator[Document]]
"""Opens the documents anew; building reads them twice (check and hash, then index)."""


class BadDocument(InvalidRequest):
    """A line of an input file is not a document; the message names file, line and field."""


def read_jsonl(path: Path) -> Iterator[Document]:
    """Documents of a `.jsonl` or `.jsonl.gz` file; blank lines are skipped. Raises `BadDocument`."""
    number = 0
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parsed(line, f"{path.name}:{number}")
    except UnicodeDecodeError as error:
        raise BadDocument(f"{path.name}:{number + 1}: not UTF-8 ({error.reason})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadDocument(f"{path.name}:{number + 1}: not a whole gzip file ({error})") from error


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _parsed(line: str, place: str) -> Document:
    if len(line) > MAX_LINE_CHARS:
        raise BadDocument(f"{place}: {len(line)} characters, the limit is {MAX_LINE_CHARS}")
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadDocument(f"{place}: not JSON ({error.msg} at character {error.pos + 1})") from error
    if not isinstance(record, dict):
        raise BadDocument(f"{place}: not a JSON object")
    url, title, text = (_field(record, name, place) for name in _FIELDS)
    return Document(url=url, title=title, text=text, place=place)


def _field(record: dict[str, Any], name: str, place: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        found = "missing" if name not in record else f"a string is needed, found {type(value).__name__}"
        raise BadDocument(f"{place}: field {name}: {found}")
    if not value.strip():
        raise BadDocument(f"{place}: field {name}: empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadDocument(f"{place}: field {name}: half a surrogate pair at character {error.start + 1}") from error
    return value


def from_files(paths: Iterable[Path]) -> Source:
    """The documents of several files, one after another."""
    listed = tuple(paths)
    return lambda: (document for path in listed for document in read_jsonl(path))


@dataclass(frozen=True)
class Survey:
    """What a first reading of the documents found."""

    num_pages: int
    content_hash: str


def survey(source: Source, tick: Callable[[int], None] = lambda _: None) -> Survey:
    """Check every document and hash them all. Raises `BadDocument`, also for a url that stands twice."""
    digest = hashlib.sha256()
    urls: set[str] = set()
    for document in source():
        if document.url in urls:
            place = document.place or f"document {len(urls) + 1}"
            raise BadDocument(f"{place}: field url: {document.url} stands twice")
        urls.add(document.url)
        digest.update(json.dumps([document.url, document.title, document.text, document.aliases]).encode())
        tick(len(urls))
    return Survey(num_pages=len(urls), content_hash=digest.hexdigest())
