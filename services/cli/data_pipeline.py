"""`wideseek data pipeline` and `wideseek data datasheet`: a training set in three stages, and what is known of it.

Exit codes: 0 finished; 2 a wrong option or folder; 3 an endpoint or the cluster stayed down: the same command goes on.
"""

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from services.cli.console import CommandError, notes

if TYPE_CHECKING:
    from services.pipeline.run import Asked
    from services.pipeline.sample import Cluster, Look
    from services.pipeline.sheet import PipelineSheet

UNFINISHED = 3
_BAD_INPUT = 2
_MODELS, _SAMPLE, _CHECKS = "Models that write and answer", "Agents that look at a sample", "What is kept"
_LOOKS = "agent,closed_book,single_search"

Done = TypeVar("Done")


def _option(panel: str, text: str, *, default: str | bool = False, **bounds: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=panel, show_default=default, **bounds)


def run_pipeline(  # noqa: PLR0913  # one parameter an option
    *,
    out: Annotated[Path, typer.Option(help="Folder of all files; what is begun there is gone on with.")],
    count: Annotated[int, typer.Option(min=2, max=200_000, help="Instances, half wide tasks, half questions.")] = 3_200,
    seed: Annotated[int, typer.Option(help="The same seed makes the same set.")] = 0,
    stage: Annotated[str, typer.Option(help="queries, answers, filter or all.")] = "all",
    tables: Annotated[Path | None, typer.Option(help="Tables to ask for too, JSON lines of url, title, text.")] = None,
    oversample: Annotated[float, typer.Option(min=1, max=10, help="Queries made for each instance wanted.")] = 1.25,
    writer: Annotated[str | None, _option(_MODELS, "Endpoint that puts queries into other words.")] = None,
    writer_model: Annotated[str | None, _option(_MODELS, "Its model; else the first.")] = None,
    answerer: Annotated[list[str] | None, _option(_MODELS, "Endpoint that answers; given twice, two of them.")] = None,
    answerer_model: Annotated[list[str] | None, _option(_MODELS, "Their models, in the same order.")] = None,
    cluster: Annotated[str | None, _option(_SAMPLE, "Address of an orchestrator.")] = None,
    model: Annotated[str | None, _option(_SAMPLE, "Policy of agent and single search.")] = None,
    profile: Annotated[str | None, _option(_SAMPLE, "Prompt profile of the runs: full or compact.")] = None,
    closed_book_cluster: Annotated[str | None, _option(_SAMPLE, "Orchestrator of the closed book, if another.")] = None,
    closed_book_model: Annotated[str | None, _option(_SAMPLE, "Policy of the closed book.")] = None,
    looks: Annotated[str, _option(_SAMPLE, "Which of these to take.", default=True)] = _LOOKS,
    sample: Annotated[int, _option(_SAMPLE, "Instances looked at; 0 is all.", default=True, min=0)] = 300,
    concurrency: Annotated[int, _option(_SAMPLE, "Runs side by side.", default=True, min=1, max=512)] = 4,
    against: Annotated[list[Path] | None, _option(_CHECKS, "Held-out instances; may be repeated.")] = None,
    min_rows: Annotated[int, _option(_CHECKS, "Rows of a wide task, at least.", default=True, min=0)] = 4,
    max_jaccard: Annotated[float, _option(_CHECKS, "Similarity up to which one is new.", default=True, min=0)] = 0.7,
    consistent: Annotated[float, _option(_CHECKS, "F1 from which two answers agree.", default=True, min=0)] = 0.9,
    solved: Annotated[float, _option(_CHECKS, "Item F1 that is too easy.", default=True, min=0)] = 0.9,
) -> None:
    """Make a training set in three stages: queries, answers, filter. Each is resumed from the folder's files.

    Without models and a cluster: templates, programmatic gold and rules, the same bytes for the same seed.
    """
    options = dict(locals())
    from services.pipeline.run import run_pipeline as run  # noqa: PLC0415
    from services.pipeline.watch import Watch  # noqa: PLC0415

    async def made() -> "PipelineSheet | None":
        asked = _asked(options)
        out.mkdir(parents=True, exist_ok=True)
        return await run(asked, Watch(out, notes()))

    sheet = _awaited(made(), out)
    if sheet is not None:
        _report(sheet, out)


def make_datasheet(
    *, out: Annotated[Path, typer.Option(help="Folder of a pipeline that came to its end.", show_default=False)]
) -> None:
    """Make the datasheet of a pipeline again from its files: datasheet.md, .json and .html."""
    from services.pipeline.run import write_sheet  # noqa: PLC0415
    from services.pipeline.settings import read_manifest  # noqa: PLC0415
    from services.pipeline.watch import Watch  # noqa: PLC0415

    async def made() -> "PipelineSheet":
        read_manifest(out)
        return await write_sheet(out, Watch(out, notes()))

    _report(_awaited(made(), out), out)


def _asked(options: Mapping[str, Any]) -> "Asked":
    """The pipeline that the options describe. Raises `InvalidRequest` or `CommandError` naming the wrong one."""
    from services.pipeline.answerers import Answerer  # noqa: PLC0415
    from services.pipeline.queries import Sources, Writer  # noqa: PLC0415
    from services.pipeline.run import Asked, Stage  # noqa: PLC0415
    from services.pipeline.settings import CheckSettings, QuerySettings  # noqa: PLC0415
    from services.pipeline.tables import file_sha256, read_pages  # noqa: PLC0415

    tables, against = options["tables"], options["against"] or []
    urls, models = options["answerer"] or [], options["answerer_model"] or []
    if len(urls) > 2 or len(models) > len(urls):
        raise CommandError("--answerer: give one endpoint or two, and a model for each at most", exit_code=_BAD_INPUT)
    named = [*models, *[None] * (len(urls) - len(models))]
    key = os.environ.get("ANSWERER_API_KEY")
    queries = QuerySettings(
        seed=options["seed"],
        count=options["count"],
        oversample=options["oversample"],
        tables=tables.name if tables else "",
        tables_sha256=file_sha256(tables) if tables else "",
        writer=_said(options["writer"], options["writer_model"]) if options["writer"] else "",
    )
    checks = {name: options[name] for name in CheckSettings.model_fields if name in options and name != "against"}
    digests = {path.name: file_sha256(path) for path in against}
    names = tuple(_said(url, name) for url, name in zip(urls, named, strict=True))
    return Asked(
        folder=options["out"],
        sources=Sources(queries, read_pages(tables) if tables else ()),
        checks=CheckSettings(**checks, against=digests, answerers=names),
        stage=_choice("--stage", options["stage"], list(Stage)),
        writer=Writer(options["writer"], options["writer_model"], os.environ.get("WRITER_API_KEY"))
        if options["writer"]
        else None,
        answerers=[Answerer(url, name, key) for url, name in zip(urls, named, strict=True)],
        clusters=_clusters(options),
        against=against,
    )


def _clusters(options: Mapping[str, Any]) -> "Mapping[Look, Cluster]":
    from services.pipeline.sample import Cluster, Look  # noqa: PLC0415

    asked = [_choice("--looks", name.strip(), list(Look)) for name in options["looks"].split(",")]
    found: dict[Look, Cluster] = {}
    for look in Look:
        closed = look is Look.CLOSED_BOOK
        url = (options["closed_book_cluster"] if closed else None) or options["cluster"]
        if look in asked and url:
            model = options["closed_book_model" if closed else "model"]
            found[look] = Cluster(url.rstrip("/"), model, options["profile"], options["concurrency"])
    return found


Choice = TypeVar("Choice", bound=str)


def _choice(option: str, value: str, choices: Sequence[Choice]) -> Choice:
    for choice in choices:
        if choice == value:
            return choice
    raise CommandError(f"{option} {value}: there are {', '.join(choices)}", exit_code=_BAD_INPUT)


def _said(url: str, model: str | None) -> str:
    return f"{model or 'first model'} at {url}"


def _awaited(work: Coroutine[Any, Any, Done], out: Path) -> Done:
    """What the work returns; what ends it is said in one line."""
    from wideseek.errors import InvalidRequest, UpstreamError  # noqa: PLC0415

    try:
        return asyncio.run(work)
    except UpstreamError as outage:
        where = next(iter(getattr(outage, "__notes__", ())), "pipeline")
        why = f"{outage.service}: {' '.join(str(outage).split())}"
        said = f"{where} stopped: {why}; what is done is kept, the same command goes on"
        raise CommandError(said, exit_code=UNFINISHED) from outage
    except InvalidRequest as error:
        raise CommandError(str(error), exit_code=_BAD_INPUT) from error
    except OSError as error:
        raise CommandError(f"{error.filename or out}: {error.strerror or error}", exit_code=_BAD_INPUT) from error


def _report(sheet: "PipelineSheet", out: Path) -> None:
    said = f"{sheet.wide:,} wide tasks and {sheet.questions:,} questions in {out / 'hybrid'}, {out / 'datasheet.md'}"
    notes().print(f"{said}; data hash {sheet.data_sha256}", markup=False, soft_wrap=True)
