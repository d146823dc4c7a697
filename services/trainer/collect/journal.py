"""Which groups a job has asked for: `groups.jsonl` in its folder, a line written and synced before anything is asked.

With it a killed collector goes on with the groups it had opened, under the same keys and the same policy version, so
that nothing is paid for twice. A torn last line, of a process that died writing it, is cut off.
"""

import os
from pathlib import Path

from pydantic import ValidationError

from services.trainer.collect.groups import OpenGroup
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

GROUPS = "groups.jsonl"


class ClosedGroup(Frozen):
    """A group that was dropped as a whole."""

    group_id: str
    reason: str


class Line(Frozen):
    """One line of the file: a group opened, or one dropped."""

    opened: OpenGroup | None = None
    closed: ClosedGroup | None = None


class GroupJournal:
    """The file of one job; only the process that conducts the job writes it."""

    def __init__(self, path: Path) -> None:
        """Raises `InvalidRequest` naming file and line of what is no journal."""
        self.opened: dict[str, OpenGroup] = {}
        """Group id -> group, of every lineage, in the order of their opening."""
        self.closed: dict[str, str] = {}
        """Group id -> why it was dropped."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for number, text in enumerate(whole.splitlines(), 1):
            self._note(_read(text, path, number))
        if len(whole) < len(data):
            os.truncate(path, len(whole))

    def open_group(self, group: OpenGroup) -> None:
        """Write down a group before it is asked for."""
        self._append(Line(opened=group))

    def close_group(self, group_id: str, reason: str) -> None:
        """Write down that a group was dropped."""
        self._append(Line(closed=ClosedGroup(group_id=group_id, reason=reason)))

    def _append(self, line: Line) -> None:
        with self._path.open("ab") as file:
            file.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._note(line)

    def _note(self, line: Line) -> None:
        if line.opened is not None:
            self.opened[line.opened.group_id] = line.opened
        if line.closed is not None:
            self.closed[line.closed.group_id] = line.closed.reason


def _read(text: bytes, path: Path, number: int) -> Line:
    try:
        return Line.model_validate_json(text)
    except ValidationError as error:
        raise InvalidRequest(f"{path}:{number}: is no line of a group journal: {error.errors()[0]['msg']}") from error
