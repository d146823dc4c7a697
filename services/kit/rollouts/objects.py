"""Objects under a root: created whole and once, read, listed, moved and deleted; a local folder or any fsspec address.

An object is never overwritten: `create` says whether it was this call that made it. On disk that is a temporary file,
flushed and then linked to its name (a rename that refuses an existing target); on S3 a PUT with `If-None-Match: *`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.utils import get_protocol

from services.kit.durable import sync_folder, written_beside
from wideseek.errors import InvalidRequest, StoreUnavailable

Probe = Callable[[str], None]
"""Called with the name of a boundary just before or after it is crossed."""

_HIDDEN = "."
"""Temporary files start with it; listings pass over them."""


def silent(boundary: str) -> None:
    """A probe that does nothing."""


class Objects(Protocol):
    """Paths are relative to the root, with forward slashes. Every method may raise `StoreUnavailable`."""

    def create(self, path: str, data: bytes, probe: Probe = silent) -> bool:
        """Write an object that is not there yet; False when there is one. Calls `probe` with `before` and `after`."""
        ...

    def read(self, path: str) -> bytes | None:
        """The object's bytes, None when there is none."""
        ...

    def files(self, folder: str) -> Iterator[str]:
        """Paths of all objects below a folder, in order; nothing when there is no such folder."""
        ...

    def folders(self) -> list[str]:
        """Names of the folders right below the root, in order."""
        ...

    def move(self, path: str, to: str) -> None:
        """Give an object another path, over what is there; nothing happens when there is no such object."""
        ...

    def delete(self, path: str) -> None:
        """Delete an object; nothing happens when there is none."""
        ...

    def sweep(self, before: float) -> int:
        """Delete what crashed writers left unfinished before a Unix second; returns how many files."""
        ...


def open_objects(root: str, options: Mapping[str, Any] | None = None) -> Objects:
    """The objects under a folder or an fsspec address. Raises `InvalidRequest`, `StoreUnavailable`."""
    if get_protocol(root) in {"file", "local"}:
        return LocalObjects(Path(fsspec.core.url_to_fs(root)[1]))
    try:
        system, path = fsspec.core.url_to_fs(root, **{"use_listings_cache": False, **(options or {})})
    except (ImportError, ValueError, TypeError) as error:
        raise InvalidRequest(
            f"ROLLOUT_STORE is {root!r}, which cannot be opened: {error}; name a folder, or s3://bucket/folder",
            field="ROLLOUT_STORE",
        ) from error
    return RemoteObjects(system, path.rstrip("/"))


class LocalObjects:
    """A folder of this machine, or one that it mounts."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with _outages(str(root)):
            root.mkdir(parents=True, exist_ok=True)

    def create(self, path: str, data: bytes, probe: Probe = silent) -> bool:
        """Flush the bytes to disk beside the path, then link them to it."""
        target = self._root / path
        with _outages(path):
            self._require_root()
            with written_beside(target, data) as beside:
                probe("before")
                try:
                    os.link(beside, target)
                except FileExistsError:
                    return False
            sync_folder(target.parent)
        probe("after")
        return True

    def read(self, path: str) -> bytes | None:
        """The file's bytes."""
        with _outages(path):
            try:
                return (self._root / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return None

    def files(self, folder: str) -> Iterator[str]:
        """Walk the folder; temporary files are no objects."""
        with _outages(folder):
            self._require_root()
            for parent, folders, names in os.walk(self._root / folder):
                folders.sort()
                below = Path(parent).relative_to(self._root)
                yield from ((below / name).as_posix() for name in sorted(names) if not name.startswith(_HIDDEN))

    def folders(self) -> list[str]:
        """The root's folders."""
        with _outages(str(self._root)):
            return sorted(entry.name for entry in os.scandir(self._root) if entry.is_dir())

    def move(self, path: str, to: str) -> None:
        """Rename the file."""
        target = self._root / to
        with _outages(path):
            self._require_root()
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(self._root / path, target)
            except FileNotFoundError:
                return
            sync_folder(target.parent)

    def delete(self, path: str) -> None:
        """Unlink the file."""
        with _outages(path):
            self._require_root()
            (self._root / path).unlink(missing_ok=True)

    def sweep(self, before: float) -> int:
        """Unlink old temporary files."""
        swept = 0
        with _outages(str(self._root)):
            for file in self._root.rglob(f"{_HIDDEN}*"):
                if file.is_file() and file.stat().st_mtime < before:
                    file.unlink(missing_ok=True)
                    swept += 1
        return swept

    def _require_root(self) -> None:
        if not self._root.is_dir():
            raise StoreUnavailable(f"{self._root} is gone")


class RemoteObjects:
    """An fsspec file system that creates exclusively: S3 and what speaks it, memory."""

    def __init__(self, system: Any, root: str) -> None:
        self._system = system
        self._root = root

    def create(self, path: str, data: bytes, probe: Probe = silent) -> bool:
        """One PUT that the store refuses when the object exists."""
        probe("before")
        with _outages(path):
            try:
                self._system.pipe_file(self._full(path), data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if _refused_as_existing(error):
                    return False
                raise
        probe("after")
        return True

    def read(self, path: str) -> bytes | None:
        """The object's bytes."""
        with _outages(path):
            try:
                return bytes(self._system.cat_file(self._full(path)))
            except FileNotFoundError:
                self._require_root()
                return None

    def files(self, folder: str) -> Iterator[str]:
        """One listing of everything under the prefix."""
        with _outages(folder):
            found = self._system.find(self._full(folder))
            if not found:
                self._require_root()
        yield from sorted(name.removeprefix(self._root).lstrip("/") for name in found)

    def folders(self) -> list[str]:
        """The prefixes right below the root."""
        with _outages(self._root):
            try:
                entries = self._system.ls(self._root, detail=True)
            except FileNotFoundError:
                self._require_root()
                return []
        return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory")

    def move(self, path: str, to: str) -> None:
        """Copy, then delete: a crash in between leaves both, and the copy is made again."""
        with _outages(path):
            try:
                self._system.cp_file(self._full(path), self._full(to))
                self._system.rm_file(self._full(path))
            except FileNotFoundError:
                return

    def delete(self, path: str) -> None:
        """Delete the object."""
        with _outages(path):
            try:
                self._system.rm_file(self._full(path))
            except FileNotFoundError:
                return

    def sweep(self, before: float) -> int:  # noqa: ARG002  # part of the port
        """Nothing: a PUT leaves all or nothing."""
        return 0

    def _require_root(self) -> None:
        """The bucket is there; a folder of it need not be, before the first object."""
        bucket = self._root.partition("/")[0]
        if bucket and not self._system.exists(bucket):
            raise StoreUnavailable(f"{bucket} is gone")

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def _refused_as_existing(error: OSError) -> bool:
    """Whether S3 answered 412, in the words of stores that do not name the condition."""
    answer = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code")) in {"PreconditionFailed", "412"}


@contextmanager
def _outages(path: str) -> Iterator[None]:
    """Raise `StoreUnavailable` for whatever keeps the store from serving us."""
    try:
        yield
    except _failures() as error:
        raise StoreUnavailable(f"{path}: {type(error).__name__}: {error}") from error


def _failures() -> tuple[type[Exception], ...]:
    """OSError, and what the S3 client raises beside it where it is installed."""
    try:
        from aiohttp import ClientError  # noqa: PLC0415
        from botocore import exceptions as boto  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        return (OSError,)
    return OSError, ClientError, boto.BotoCoreError, boto.ClientError
