"""`wideseek rollouts export`: rows to Parquet or JSON lines, one rollout in memory at a time."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from services.cli.console import CommandError, notes
from services.cli.rollout_place import bar, jobs_of
from services.cli.rollout_rewards import Rewards
from services.cli.rollout_rows import COLUMNS, Row, reward_columns, rows
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutCorrupt, RolloutStore
from wideseek.rollout import Reward

_BATCH = 20_000
"""Rows that are written at once."""
_ENDINGS = (".parquet", ".jsonl")


@dataclass(frozen=True)
class Export:
    """What is written where."""

    out: Path
    level: str
    job: str | None
    reward_version: str | None

    @classmethod
    def read(cls, out: Path, level: str, job: str | None, reward_version: str | None) -> "Export":
        """The options as given. Raises `CommandError`."""
        if level not in COLUMNS:
            raise CommandError(f"--level {level}: use {', '.join(COLUMNS)}", exit_code=2)
        if out.suffix not in _ENDINGS:
            raise CommandError(f"--out {out}: the name must end in {' or '.join(_ENDINGS)}", exit_code=2)
        if not out.absolute().parent.is_dir():
            raise CommandError(f"--out {out}: there is no folder {out.absolute().parent}", exit_code=2)
        return cls(out, level, job, reward_version)


class _Sink(Protocol):
    def write(self, batch: list[Row]) -> None: ...

    def close(self) -> None: ...


class _Lines:
    def __init__(self, path: Path, columns: dict[str, str]) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._names = list(columns)

    def write(self, batch: list[Row]) -> None:
        for row in batch:
            self._file.write(json.dumps({name: row.get(name) for name in self._names}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, columns: dict[str, str]) -> None:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        self._arrow: Any = pa
        self._schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, batch: list[Row]) -> None:
        named = [{name: row.get(name) for name in self._schema.names} for row in batch]
        self._writer.write_table(self._arrow.Table.from_pylist(named, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def export(store: RolloutStore, asked: Export) -> None:
    """Write the file. Raises `CommandError` when rollouts had to be left out; the file holds the others."""
    jobs = jobs_of(store, asked.job)
    rewards = {job: Rewards(store, job).all(asked.reward_version) for job in jobs}
    columns = {**COLUMNS[asked.level], **reward_columns(chain.from_iterable(one.values() for one in rewards.values()))}
    count, corrupt, total = 0, 0, 0
    with _sink(asked.out, columns) as sink, bar() as progress:
        task = progress.add_task("exporting rollouts", total=None)
        batch: list[Row] = []
        for entry in chain.from_iterable(store.scan(job) for job in jobs):
            total += 1
            try:
                batch += _read(store, entry, rewards[entry.job_id].get(entry.rollout_id), asked.level)
            except RolloutCorrupt:
                corrupt += 1
            if len(batch) >= _BATCH:
                sink.write(batch)
                count += len(batch)
                batch = []
            progress.advance(task)
        sink.write(batch)
        count += len(batch)
    if corrupt:
        raise CommandError(f"{corrupt} of {total} rollouts were corrupt: they are in quarantine, not in {asked.out}")
    notes().print(f"{count:,} rows of {total:,} rollouts in {asked.out}", markup=False, soft_wrap=True)


def _read(store: RolloutStore, entry: StoredRollout, reward: Reward | None, level: str) -> list[Row]:
    return list(rows(level, entry, store.get(entry.uri, entry.sha256), reward))


@contextmanager
def _sink(out: Path, columns: dict[str, str]) -> Iterator[_Sink]:
    """A file beside the one asked for, which takes its place once it is complete."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.absolute().parent)
    os.close(handle)
    draft = Path(name)
    try:
        sink: _Sink = _Parquet(draft, columns) if out.suffix == ".parquet" else _Lines(draft, columns)
        try:
            yield sink
        finally:
            sink.close()
        draft.chmod(0o644)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
