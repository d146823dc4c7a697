"""One process at a time loads and unloads the versions of a policy."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from wideseek.errors import Conflict, StoreUnavailable

_POLL_S = 0.05
WAIT_S = 600.0
"""Seconds a publication may hold the others up."""


@asynccontextmanager
async def policy_lock(folder: Path, name: str, *, wait_s: float = WAIT_S) -> AsyncIterator[None]:
    """Hold the policy's lock; the kernel frees it when the process dies.

    Raises `Conflict` when another process holds it for longer than `wait_s`.
    """
    handle = _opened(folder, name)
    try:
        deadline = asyncio.get_running_loop().time() + wait_s
        while not _taken(handle):
            if asyncio.get_running_loop().time() >= deadline:
                raise Conflict(f"policy {name} is being published by another process: try again later")
            await asyncio.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)


def _opened(folder: Path, name: str) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreUnavailable(f"cannot write {folder}: {error}") from error


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
