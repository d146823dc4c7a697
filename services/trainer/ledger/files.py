"""Files that are written once: whoever comes second finds what the first one wrote."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from services.trainer.folder import sync_folder

Probe = Callable[[str], None]
"""Called with the name of a boundary as it is passed; tests crash there."""


def no_probe(_: str) -> None:
    """Pass a boundary."""


def create_exclusively(path: Path, data: bytes) -> bool:
    """Write a file that must not exist yet: all of it or nothing, flushed to disk. False when there is one already.

    The bytes are written and flushed beside the place; a hard link, which fails on an existing name as `O_EXCL` does,
    puts them there. So a crash leaves no half file, and of two writers one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        return False
    finally:
        Path(name).unlink(missing_ok=True)
    sync_folder(path.parent)
    sync_folder(path.parent.parent)
    return True
