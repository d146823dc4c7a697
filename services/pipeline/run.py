"""The three stages in order, each from the files of the one before; a stage that is finished is not done again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from services.evaluation.journal import write_atomically
from services.pipeline.answerers import Answerer, ask_answerers
from services.pipeline.answers import ANSWERS, make_answers
from services.pipeline.assemble import assemble
from services.pipeline.lines import Answered, Query, StageFile
from services.pipeline.looks import read_looks
from services.pipeline.queries import Sources, Writer, make_queries
from services.pipeline.sample import Cluster, Look, draw, take_look, write_sample
from services.pipeline.settings import (
    QUERIES,
    AnswerSettings,
    CheckSettings,
    Manifest,
    take_up,
    with_answers,
    with_checks,
)
from services.pipeline.sheet import PipelineSheet, build_sheet
from services.pipeline.sheet_html import render_html
from services.pipeline.sheet_md import render_md
from services.pipeline.sieve import balance, sieve
from services.pipeline.watch import Watch
from services.suites.filters import Sifted
from services.suites.filters_read import read_instances
from wideseek.errors import InvalidRequest, UpstreamError
from wideseek.instances import Task


class Stage(StrEnum):
    """What is asked for."""

    QUERIES = "queries"
    ANSWERS = "answers"
    FILTER = "filter"
    ALL = "all"


class Unfinished(UpstreamError):
    """Runs of the sample were not had; the message names how many and why."""

    service = "cluster"


@dataclass(frozen=True)
class Asked:
    """A pipeline: which stages, with what."""

    folder: Path
    sources: Sources
    checks: CheckSettings
    stage: Stage = Stage.ALL
    writer: Writer | None = None
    answerers: Sequence[Answerer] = ()
    clusters: Mapping[Look, Cluster] = field(default_factory=dict)
    """Look -> the cluster that takes it; looks that are not here are not taken."""
    against: Sequence[Path] = ()
    """Files of held-out instances."""

    def does(self, stage: Stage) -> bool:
        """Whether a stage is asked for."""
        return self.stage in (stage, Stage.ALL)


async def run_pipeline(asked: Asked, watch: Watch) -> PipelineSheet | None:
    """Do the stages that are asked for, as far as they are not done; the datasheet, where the last one is.

    Raises `InvalidRequest` for what has to be put right first, `UpstreamError` when an endpoint or the cluster
    stays down: what was done is kept, and the same call goes on.
    """
    folder = asked.folder
    take_up(folder, asked.sources.settings)
    if asked.does(Stage.QUERIES):
        await make_queries(folder, asked.sources, watch, asked.writer)
    if asked.stage is Stage.QUERIES:
        return None
    queries = StageFile(folder / QUERIES, Query).read()
    with_answers(folder, AnswerSettings(queries_sha256=_sha256(folder / QUERIES)))
    manifest = with_checks(folder, asked.checks)
    if asked.does(Stage.ANSWERS):
        make_answers(folder, queries, asked.sources, watch)
    return await _sifted(asked, manifest, queries, watch)


async def _sifted(asked: Asked, manifest: Manifest, queries: Sequence[Query], watch: Watch) -> PipelineSheet | None:
    answers = StageFile(asked.folder / ANSWERS, Answered).read()
    held_out = [instance for path in asked.against for instance in read_instances(path)]
    if asked.stage is Stage.ANSWERS and not asked.answerers and Look.AGENT not in asked.clusters:
        return None
    with watch.step("rules", len(answers)) as step:
        ruled = sieve(answers, asked.checks, held_out)
        step.facts |= {"kept": len(ruled.kept), "rejected": len(ruled.rejected)}
    await _look(asked, manifest, ruled, watch)
    if asked.stage is Stage.ANSWERS:
        return None
    return await _finish(asked, manifest, queries, answers, ruled, watch)


async def _look(asked: Asked, manifest: Manifest, ruled: Sifted, watch: Watch) -> None:
    """The second answers and the looks that are asked for, at the sample."""
    if not asked.answerers and not asked.clusters:
        return
    settings = manifest.queries
    drawn = draw(balance(ruled.kept, settings.per_kind), asked.checks.sample, settings.seed)
    write_sample(asked.folder, drawn)
    if asked.answerers and asked.does(Stage.ANSWERS):
        tasks: list[Task] = [one.instance for one in drawn if one.instance]
        await ask_answerers(asked.folder, tasks, asked.answerers, watch)
    for look, cluster in asked.clusters.items():
        if not asked.does(Stage.ANSWERS if look is Look.AGENT else Stage.FILTER):
            continue
        with watch.step(f"look {look}", len(drawn)) as step:
            summary = await take_look(asked.folder, look, cluster, watch.console)
            if summary.unfinished:
                why = next(iter(summary.unfinished.values()))
                raise Unfinished(f"{look}: {len(summary.unfinished):,} of {len(drawn):,} runs are unfinished: {why}")
            step.facts["answered"] = len(drawn)


async def _finish(
    asked: Asked,
    manifest: Manifest,
    queries: Sequence[Query],
    answers: Sequence[Answered],
    ruled: Sifted,
    watch: Watch,
) -> PipelineSheet:
    with watch.step("set", None) as step:
        looks = await read_looks(asked.folder, asked.checks)
        balanced = assemble(asked.folder, queries, answers, ruled, looks, manifest.queries.per_kind)
        step.facts |= {"kept": len(balanced.chosen), "surplus": len(balanced.surplus)}
    return await write_sheet(asked.folder, watch)


async def write_sheet(folder: Path, watch: Watch) -> PipelineSheet:
    """Make the datasheet of a folder from its files, as JSON, as a document and as a page.

    Raises `InvalidRequest` when the pipeline has not come to its end there.
    """
    with watch.step("datasheet", None) as step:
        sheet = await build_sheet(folder)
        write_atomically(folder / "datasheet.json", sheet.model_dump_json(indent=2))
        write_atomically(folder / "datasheet.md", render_md(sheet).rstrip())
        write_atomically(folder / "datasheet.html", render_html(sheet).rstrip())
        step.facts |= {"wide": sheet.wide, "questions": sheet.questions}
    return sheet


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error
