"""Settings of the retrieval service."""

import os
from enum import StrEnum
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HttpSettings


class Bundled(StrEnum):
    """What is built of the bundled corpus when it is missing."""

    OFF = "off"
    LEXICAL = "lexical"
    HYBRID = "hybrid"


class RetrievalSettings(HttpSettings):
    """Read from `RETRIEVAL_*`."""

    model_config = SettingsConfigDict(env_prefix="RETRIEVAL_")

    port: int = Field(default=8081, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    index_dir: Path | None = None
    """Folder of the indexes, one a subfolder; unset means `indexes` under `WIDESEEK_HOME`."""

    default_corpus: str = Field(default="factbook", min_length=1, max_length=64)
    """Corpus that is searched when a request names none."""

    bundled: Bundled = Bundled.HYBRID
    """What is built of the bundled corpus at a start that finds it missing: `off`, `lexical` or `hybrid`."""

    dense: bool = True
    """Whether the encoder is loaded and dense parts are served; off saves about 700 MB."""

    slots: int = Field(default=max(2, min(8, os.cpu_count() or 2)), ge=1, le=256)
    """Requests worked on at a time, each in a thread."""

    max_queue: int = Field(default=2_000, ge=1, le=100_000)
    """Requests that may wait for a slot; more are answered 503."""

    max_encode_batch: int = Field(default=64, ge=1, le=4_096)
    """Queries encoded together."""

    poll_seconds: float = Field(default=1.0, gt=0, le=600)
    """How often the index folder is looked at for new or replaced indexes."""

    @property
    def indexes(self) -> Path:
        """Folder of the indexes."""
        return self.index_dir or self.home / "indexes"
