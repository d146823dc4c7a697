"""`wideseek index build|info`: indexes of the bundled corpus and of your own pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from wideseek.errors import InvalidRequest

if TYPE_CHECKING:
    from services.retrieval.build import Progress as Report
    from services.retrieval.documents import Source

app = typer.Typer(help="Build and inspect search indexes.", no_args_is_help=True)
_out, _err = Console(), Console(stderr=True)
_BUNDLED = "factbook"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_STAGES = {"reading": "Reading", "pages": "Storing pages", "lexical": "Lexical index", "dense": "Encoding passages"}


@app.command()
def build(
    corpus: Annotated[str, typer.Option(help="Name the corpus is served under.")] = _BUNDLED,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help="JSON lines of {url, title, text}, .jsonl or .jsonl.gz; may be repeated."),
    ] = None,
    dense: Annotated[bool, typer.Option("--dense/--no-dense", help="Encode passages for search by meaning.")] = True,
    lexical: Annotated[bool, typer.Option("--lexical/--no-lexical", help="Index words for search by BM25.")] = True,
) -> None:
    """Build an index: the bundled corpus, or the pages of --input. What is built already is not built again."""
    try:
        _build(corpus, inputs or [], dense=dense, lexical=lexical)
    except InvalidRequest as error:
        _err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _build(corpus: str, inputs: list[Path], *, dense: bool, lexical: bool) -> None:
    from services.retrieval.build import Parts, build  # noqa: PLC0415
    from services.retrieval.encoder import SentenceEncoder  # noqa: PLC0415
    from services.retrieval.manifest import read_manifest  # noqa: PLC0415

    source, origin = _source(corpus, inputs)
    root = _root()
    before = read_manifest(root / corpus)
    with _bars() as report:
        parts = Parts(lexical=lexical, encoder=SentenceEncoder() if dense else None, source=origin)
        manifest = build(corpus, source, root, parts, report)
    state = "is up to date" if manifest == before else "built"
    kinds = " + ".join(kind for kind, has in (("lexical", manifest.lexical), ("dense", manifest.dense)) if has)
    _out.print(
        f"{corpus} {state}: {manifest.num_pages} pages, {manifest.num_passages} passages, {kinds}, in {root / corpus}",
        markup=False,
        soft_wrap=True,
    )


def _source(corpus: str, inputs: list[Path]) -> tuple["Source", str]:
    from services.retrieval import factbook  # noqa: PLC0415
    from services.retrieval.documents import from_files  # noqa: PLC0415

    if not _NAME.fullmatch(corpus):
        raise InvalidRequest(f"--corpus {corpus}: lower-case letters, digits, '.', '_' and '-', at most 64")
    if not inputs and corpus == _BUNDLED:
        return factbook.documents, factbook.source()
    if not inputs:
        raise InvalidRequest(f"--input is missing: only {_BUNDLED} is bundled")
    if corpus == _BUNDLED:
        raise InvalidRequest(f"--corpus {_BUNDLED} is the bundled corpus: give your pages another name")
    for path in inputs:
        if not path.is_file():
            raise InvalidRequest(f"{path}: no such file")
    return from_files(inputs), ", ".join(path.name for path in inputs)


def _root() -> Path:
    """Where the retrieval service looks: the same variables, read by the same settings."""
    from services.retrieval.settings import RetrievalSettings  # noqa: PLC0415

    return RetrievalSettings().indexes


@contextmanager
def _bars() -> Iterator["Report"]:
    """One progress bar a stage, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_err) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report


@app.command()
def info() -> None:
    """List the indexes that the retrieval service would serve."""
    from services.retrieval.manifest import read_manifest  # noqa: PLC0415

    root = _root()
    folders = sorted(root.iterdir()) if root.is_dir() else []
    manifests = [manifest for folder in folders if (manifest := read_manifest(folder))]
    if not manifests:
        _out.print(f"no index in {root}; build one with: wideseek index build", markup=False, soft_wrap=True)
        return
    table = Table("corpus", "pages", "passages", "lexical", "dense", "size", "content", title=str(root))
    for manifest in manifests:
        size = sum(file.stat().st_size for file in (root / manifest.name / manifest.data).rglob("*") if file.is_file())
        table.add_row(
            manifest.name,
            f"{manifest.num_pages:,}",
            f"{manifest.num_passages:,}",
            "yes" if manifest.lexical else "no",
            manifest.encoder if manifest.dense else "no",
            f"{size / 1e6:,.1f} MB",
            manifest.content_hash[:12],
        )
    _out.print(table)
