"""The files an evaluation is taken up from: what it is, in `evaluation.json`, and its trials, in `results.jsonl`.

A trial is one line, written once and synced before the next is begun. A process that dies while it writes leaves
a torn last line, which is cut off; any other line that cannot be read is an error, so nothing stored is lost.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import Field, ValidationError

from services.evaluation.options import Setting
from services.evaluation.results import Trial
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

RESULTS, ABOUT = "results.jsonl", "evaluation.json"

Key = tuple[str, int]
"""Instance id and trial."""


class About(Frozen):
    """`evaluation.json`: what is measured, so that it is not gone on with otherwise."""

    id: str = Field(min_length=1)
    """Part of every run's `Idempotency-Key` and metadata."""
    url: str
    """The orchestrator asked last; the report links its runs."""
    tasks: str
    """The task file as it was named."""
    tasks_sha256: str
    gold_sha256: str
    setting: Setting
    trials: int
    instance_ids: tuple[str, ...]
    sweep: str = ""
    """The key that is varied, with `--sweep`."""
    created_at: float


def take_up(directory: Path, wanted: About) -> About:
    """Begin an evaluation in `directory`, or go on with the one there; more tasks and trials may be added to it.

    Raises `InvalidRequest` saying what differs when another one stands there that has results.
    """
    path = directory / ABOUT
    if not path.exists():
        results = directory / RESULTS
        if results.exists() and results.stat().st_size:
            raise InvalidRequest(f"{directory}: holds {RESULTS} without {ABOUT}; choose another --out")
        write_atomically(path, wanted.model_dump_json(indent=2))
        return wanted
    try:
        stored = About.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{path}: {where or 'file'}: {first['msg']}") from error
    difference = next(_differences(stored, wanted), "")
    if difference and not _holds_results(directory):
        write_atomically(path, wanted.model_dump_json(indent=2))
        return wanted
    if difference:
        raise InvalidRequest(f"{path}: {difference}; choose another --out")
    taken = wanted.model_copy(update={"id": stored.id, "created_at": stored.created_at})
    write_atomically(path, taken.model_dump_json(indent=2))
    return taken


def _holds_results(directory: Path) -> bool:
    return any(results.stat().st_size for results in directory.rglob(RESULTS))


def _differences(stored: About, wanted: About) -> Iterator[str]:
    """What keeps `wanted` from going on where `stored` stopped."""
    if stored.tasks_sha256 != wanted.tasks_sha256:
        yield f"was made with other tasks ({stored.tasks}, sha256 {stored.tasks_sha256[:12]}…)"
    if stored.gold_sha256 != wanted.gold_sha256:
        yield "was made with other gold tables"
    if stored.sweep != wanted.sweep:
        yield f"was made with --sweep of {stored.sweep or 'nothing'}, not of {wanted.sweep or 'nothing'}"
    for name in Setting.model_fields:
        was, now = getattr(stored.setting, name), getattr(wanted.setting, name)
        if was != now:
            yield f"was made with {name} = {_said(was)}, not {_said(now)}"
    for name in stored.instance_ids:
        if name not in set(wanted.instance_ids):
            yield f"holds task {name} too, which is not among those asked for"
    if stored.trials > wanted.trials:
        yield f"holds {stored.trials} trials a task, more than the {wanted.trials} asked for"


def _said(value: object) -> str:
    return "unset" if value is None else str(value)


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is there in full or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


class Journal:
    """The trials of an evaluation, kept one a line. Made by `open_journal`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._trials: dict[Key, Trial] = {}
        self.note = ""
        """What a reader should know of the file's state."""
        self._load()

    @property
    def trials(self) -> Mapping[Key, Trial]:
        """Trials by instance and number, in the order they ended."""
        return self._trials

    def append(self, trial: Trial) -> None:
        """Store a trial for good. Raises `OSError` when the disk does not take it."""
        # In ASCII: a line separator inside a text must not look like the end of a line.
        self._file.write(json.dumps(trial.model_dump(mode="json")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._trials[trial.instance_id, trial.trial] = trial

    def _load(self) -> None:
        self._file.seek(0)
        *lines, last = self._file.read().split(b"\n")
        for number, line in enumerate(lines, 1):
            self._take(line, number)
        if last:
            self._mend(last, len(lines) + 1)
        self._file.seek(0, os.SEEK_END)

    def _mend(self, last: bytes, number: int) -> None:
        """A last line without its end: complete it if it is whole, else cut it off."""
        try:
            Trial.model_validate_json(last)
        except ValidationError:
            self._file.truncate(self._file.seek(0, os.SEEK_END) - len(last))
            self.note = f"{self._path}:{number}: cut off a line that was not written to its end"
            return
        self._take(last, number)
        self._file.seek(0, os.SEEK_END)
        self._file.write(b"\n")

    def _take(self, line: bytes, number: int) -> None:
        try:
            trial = Trial.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InvalidRequest(f"{self._path}:{number}: {field or 'line'}: {first['msg']}") from error
        key = (trial.instance_id, trial.trial)
        if key in self._trials:
            raise InvalidRequest(f"{self._path}:{number}: trial {trial.trial} of {trial.instance_id} stands here twice")
        self._trials[key] = trial


@contextmanager
def open_journal(directory: Path) -> Iterator[Journal]:
    """The journal in `directory`, for one writer at a time.

    Raises `InvalidRequest` when another process writes there, or naming the line that cannot be read.
    """
    path = directory / RESULTS
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidRequest(f"{directory}: another evaluation is writing there") from error
        yield Journal(path, file)


def read_trials(directory: Path) -> list[Trial]:
    """The trials that `directory` holds, read only. Raises `InvalidRequest` naming what cannot be read."""
    path = directory / RESULTS
    if not path.is_file():
        raise InvalidRequest(f"{path}: no such file")
    trials = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            trials.append(Trial.model_validate_json(line))
        except ValidationError as error:
            raise InvalidRequest(f"{path}:{number}: {error.errors()[0]['msg']}") from error
    return trials
