"""What lies in an index folder: `manifest.json` names the data folder that is served, and is replaced in one step."""

import os
from pathlib import Path

from pydantic import Field, ValidationError

from wideseek.values import Frozen

FORMAT = 2
"""Raised when pages are cut, tokenised or stored in another way: older data is then built anew."""
FILE = "manifest.json"


class Manifest(Frozen):
    """An index that can be served."""

    format: int
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    content_hash: str
    """SHA-256 over all documents in order."""
    data: str
    """Folder beside the manifest that holds the parts."""
    num_pages: int
    num_passages: int
    lexical: bool
    dense: bool
    encoder: str | None = None
    """Name of the model that made the vectors."""
    source: str = ""
    """What the documents came from, where the builder says; tells whether the bundled index is up to date."""
    built_at: float
    """Seconds since 1970."""


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in `folder`; None when there is none, or one of another format."""
    try:
        manifest = Manifest.model_validate_json((folder / FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    return manifest if manifest.format == FORMAT else None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest in place; readers see the old one or the new one, never half of it."""
    temporary = folder / f".{FILE}.{os.getpid()}"
    temporary.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    temporary.replace(folder / FILE)
