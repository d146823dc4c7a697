"""Instances from JSON lines, each with the line it came from, and files written in one step."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wideseek.instances import InvalidInstance, Question, Task, WideTask


@dataclass(frozen=True)
class Candidate:
    """A line that is to be an instance."""

    line: int
    """Number of the line, from 1."""
    text: str
    """The line as it stands."""
    record: Any
    """What the line decodes to; None when it is no JSON."""
    instance: Task | None
    """None when the record is no instance."""
    problem: str = ""
    """Why there is no instance."""

    @property
    def instance_id(self) -> str:
        """The id the record states, empty when it states none."""
        given = self.record.get("instance_id") if isinstance(self.record, dict) else None
        return given if isinstance(given, str) else ""


def read_candidates(path: Path) -> list[Candidate]:
    """Every line of a file that is not blank. Raises `InvalidInstance` when the file cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInstance(f"{path}: {error.strerror or error}") from error
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    return [_candidate(number, line) for number, line in lines if line.strip()]


def read_instances(path: Path) -> list[Task]:
    """The instances of a file. Raises `InvalidInstance` naming file, line and field of the first that is none."""
    found: list[Task] = []
    for candidate in read_candidates(path):
        if candidate.instance is None:
            raise InvalidInstance(f"{path}, line {candidate.line}: {candidate.problem}")
        found.append(candidate.instance)
    return found


def _candidate(number: int, line: bytes) -> Candidate:
    text = line.decode("utf-8", errors="replace").strip()
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Candidate(number, text, None, None, f"not UTF-8: {error.reason} at byte {error.start + 1}")
    except json.JSONDecodeError as error:
        return Candidate(number, text, None, None, f"not JSON: {error.msg} at column {error.colno}")
    except RecursionError:
        return Candidate(number, text, None, None, "not JSON that can be read: nested too deeply")
    try:
        return Candidate(number, text, record, instance_of(record))
    except InvalidInstance as error:
        return Candidate(number, text, record, None, str(error))


def instance_of(record: Any) -> Task:
    """The wide task or question that a decoded record is. Raises `InvalidInstance` naming the field that is wrong."""
    if not isinstance(record, dict):
        raise InvalidInstance(f"an instance is a JSON object, this is {type(record).__name__}")
    kind = WideTask if "evaluation" in record else Question if "question" in record else None
    if kind is None:
        raise InvalidInstance("neither a wide task (no field evaluation) nor a question (no field question)")
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInstance(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error


def write_lines(files: Iterable[tuple[Path, Iterable[str]]]) -> None:
    """Write files of lines, all drafts first, then each put in its place in one step.

    Raises `InvalidInstance` when a file cannot be written; then no file has changed, or those named before it.
    """
    drafts: list[tuple[Path, Path]] = []
    try:
        for path, lines in files:
            draft = path.with_name(f".{path.name}.{os.getpid()}.part")
            drafts.append((draft, path))
            with draft.open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(f"{line}\n" for line in lines)
        for draft, path in drafts:
            draft.replace(path)
    except OSError as error:
        raise InvalidInstance(f"{drafts[-1][1]}: {error.strerror or error}") from error
    finally:
        for draft, _ in drafts:
            draft.unlink(missing_ok=True)
