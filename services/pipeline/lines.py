"""What the stages hand on, one JSON object a line, and the files they stand in.

A stage's file is written in order under a name of its own and takes its place when the stage is finished, so what
is there is whole. A stage that was killed goes on behind the last whole line, and ends with the same bytes as one
that was not.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from pydantic import Field, ValidationError

from services.suites.filters import Reason
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen


class Kind(StrEnum):
    """What an instance is."""

    WIDE = "wide"
    QUESTION = "question"


class Query(Frozen):
    """A query, or an intent that none could be made of."""

    instance_id: str = Field(min_length=1)
    kind: Kind
    source: str
    """`factbook` or `tables`."""
    intent: Mapping[str, Any] = Field(default_factory=dict)
    """What is asked for, as data: the next stage derives the answer from it, and not from the words."""
    text: str = ""
    """The query in words."""
    must_name: tuple[str, ...] = ()
    """Phrases that any wording of it has to hold: columns, rows or what defines them."""
    wording: str = "template"
    """`template` or `writer`."""
    kept_because: str = ""
    """Why the template's words stand although a writer was asked."""
    rejected: Reason | None = None


class Answered(Frozen):
    """A query with its answer as an instance, or why it has none."""

    instance_id: str
    kind: Kind
    source: str
    record: Mapping[str, Any] | None = None
    """The instance, in the evaluation's format."""
    rejected: Reason | None = None


class Said(Frozen):
    """What a model answered to a query."""

    instance_id: str
    text: str


Line = TypeVar("Line", bound=Frozen)


class StageFile(Generic[Line]):
    """Lines of one kind in a file that is finished, begun, or not there."""

    def __init__(self, path: Path, kind: type[Line]) -> None:
        self.path = path
        self._kind = kind
        self._part = path.with_name(f"{path.name}.part")

    @property
    def finished(self) -> bool:
        """Whether all of it is there."""
        return self.path.is_file()

    def read(self) -> list[Line]:
        """The lines of a finished file. Raises `InvalidRequest` when there is none, or naming a line that is broken."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise InvalidRequest(f"{self.path}: {error.strerror or error}") from error
        return [self._parsed(line, number) for number, line in enumerate(content.split(b"\n"), 1) if line]

    @contextmanager
    def unfinished(self) -> Iterator["Growing[Line]"]:
        """The file as it grows; it takes its place when the block ends without an error.

        Raises `InvalidRequest` when another process is writing it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._part.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InvalidRequest(f"{self.path.parent}: another pipeline is writing {self.path.name}") from error
            yield Growing(file, [self._parsed(line, number) for number, line in enumerate(_whole_lines(file), 1)])
            self._part.replace(self.path)

    def _parsed(self, line: bytes, number: int) -> Line:
        try:
            return self._kind.model_validate_json(line)
        except ValidationError as error:
            raise InvalidRequest(f"{self.path}:{number}: {error.errors()[0]['msg']}") from error


class Growing(Generic[Line]):
    """A file that lines are added to."""

    def __init__(self, file: IO[bytes], lines: list[Line]) -> None:
        self._file = file
        self.lines = lines
        """All there is, in order."""

    def append(self, line: Line) -> None:
        """Add a line; it is there for whoever comes after this process."""
        self._file.write(json.dumps(line.model_dump(mode="json", exclude_defaults=True)).encode() + b"\n")
        self._file.flush()
        self.lines.append(line)


def _whole_lines(file: IO[bytes]) -> list[bytes]:
    """The lines that were written to their ends; a torn last one is cut off."""
    file.seek(0)
    *lines, torn = file.read().split(b"\n")
    file.truncate(file.seek(0, 2) - len(torn))
    return lines
