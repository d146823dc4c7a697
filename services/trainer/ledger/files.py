"""Files that are written once: whoever comes second finds what the first one wrote."""

import os
from collections.abc import Callable
from pathlib import Path

from services.kit.durable import sync_folder, written_beside

Probe = Callable[[str], None]
"""Called with the name of a boundary as it is passed; tests crash there."""


def no_probe(_: str) -> None:
    """Pass a boundary."""


def create_exclusively(path: Path, data: bytes) -> bool:
    """Write a file that must not exist yet: all of it or nothing, flushed to disk. False when there is one already.

    The bytes are written and flushed beside the place; a hard link, which fails on an existing name as `O_EXCL` does,
    puts them there. So a crash leaves no half file, and of two writers one wins.
    """
    with written_beside(path, data) as beside:
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    sync_folder(path.parent.parent)
    return True
