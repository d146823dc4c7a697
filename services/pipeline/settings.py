"""What a pipeline was asked for, kept beside its files so that nobody goes on with it otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from services.evaluation.journal import write_atomically
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

MANIFEST, QUERIES = "pipeline.json", "queries.jsonl"


class QuerySettings(Frozen):
    """What the queries depend on."""

    seed: int = 0
    count: int = Field(default=3_200, ge=2)
    """Instances wanted in the end, half of each kind."""
    oversample: float = Field(default=1.25, ge=1, le=10)
    """Queries made for each instance that is wanted."""
    tables: str = ""
    """Name of the file of tables; empty: the Factbook alone."""
    tables_sha256: str = ""
    writer: str = ""
    """The model that puts queries into other words; empty: templates alone."""

    @property
    def per_kind(self) -> int:
        """Instances wanted of each kind."""
        return self.count // 2

    @property
    def candidates(self) -> int:
        """Queries made of each kind from the Factbook."""
        return int(self.per_kind * self.oversample + 0.5)


class AnswerSettings(Frozen):
    """What the answers depend on."""

    queries_sha256: str


class CheckSettings(Frozen):
    """What is kept, and what the sample is looked at by; the last stage is done anew each time, so these may change."""

    min_rows: int = Field(default=4, ge=0)
    """Rows of a wide task's answer, at least."""
    max_jaccard: float = Field(default=0.7, ge=0, le=1)
    """Similarity to a kept or held-out instance up to which one is kept."""
    consistent: float = Field(default=0.9, ge=0, le=1)
    """Item F1 (of questions, token F1) from which two answers say the same."""
    solved: float = Field(default=0.9, ge=0, le=1)
    """Item F1 from which a closed-book or single-search answer has solved a wide task; a question by exact match."""
    against: Mapping[str, str] = Field(default_factory=dict)
    """Held-out files -> SHA-256."""
    sample: int = Field(default=300, ge=0)
    """Instances of the set that models and agents answer too; 0 is all."""
    answerers: tuple[str, ...] = ()
    """The two models, or the one that is asked in two ways."""


class Manifest(Frozen):
    """`pipeline.json`."""

    queries: QuerySettings
    answers: AnswerSettings | None = None
    checks: CheckSettings | None = None


Settings = TypeVar("Settings", bound=Frozen)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a pipeline's folder. Raises `InvalidRequest` when it holds none, or naming what is wrong."""
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def take_up(folder: Path, wanted: QuerySettings) -> Manifest:
    """Begin a pipeline, or go on with the one that is there. Raises `InvalidRequest` when that one is another."""
    if not (folder / MANIFEST).exists() or not _begun(folder):
        folder.mkdir(parents=True, exist_ok=True)
        store(folder, Manifest(queries=wanted))
    manifest = read_manifest(folder)
    _same(folder, manifest.queries, wanted)
    return manifest


def _begun(folder: Path) -> bool:
    """Whether a query has been stored."""
    return any(path.stat().st_size for path in folder.glob(f"{QUERIES}*"))


def with_answers(folder: Path, wanted: AnswerSettings) -> Manifest:
    """The manifest with these settings for the answers. Raises `InvalidRequest` when others are stored."""
    manifest = read_manifest(folder)
    if manifest.answers is None:
        manifest = manifest.model_copy(update={"answers": wanted})
        store(folder, manifest)
    _same(folder, manifest.answers or wanted, wanted)
    return manifest


def with_checks(folder: Path, wanted: CheckSettings) -> Manifest:
    """The manifest with these settings for the checks; answerers that were asked before stay named.

    Raises `InvalidRequest` for other answerers than those.
    """
    manifest = read_manifest(folder)
    before = manifest.checks.answerers if manifest.checks else ()
    if before and wanted.answerers not in ((), before):
        raise InvalidRequest(f"{folder / MANIFEST}: was answered by {', '.join(before)}; choose another --out")
    checks = wanted.model_copy(update={"answerers": wanted.answerers or before})
    manifest = manifest.model_copy(update={"checks": checks})
    store(folder, manifest)
    return manifest


def store(folder: Path, manifest: Manifest) -> None:
    """Write the manifest in one step."""
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2))


def _same(folder: Path, stored: Settings, wanted: Settings) -> None:
    for name in type(stored).model_fields:
        was, now = getattr(stored, name), getattr(wanted, name)
        if was != now:
            raise InvalidRequest(
                f"{folder / MANIFEST}: was made with {name} = {was!r}, not {now!r}; choose another --out"
            )
