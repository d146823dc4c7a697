"""The datasheet: what the set holds, what was rejected where and why, what was looked at, and the hash of it all.

It is made from the files of a pipeline alone, and holds no time and no place: the same files give the same bytes.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.pipeline.answers import ANSWERS
from services.pipeline.assemble import FILES, REJECTED
from services.pipeline.lines import Answered, Kind, Query, StageFile
from services.pipeline.looks import LookSheet, read_looks
from services.pipeline.sample import SAMPLE
from services.pipeline.settings import QUERIES, CheckSettings, Manifest, read_manifest
from services.suites.filters_read import read_candidates
from services.suites.stats import Datasheet, Spread, describe, ranked
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

_BINS = 20


class StageSheet(Frozen):
    """One stage, counted."""

    name: str
    seen: int
    rejected: int
    passed: int


class Rejection(Frozen):
    """One reason, counted."""

    stage: str
    check: str
    code: str
    count: int
    example: str
    """Instance and sentence of the first."""


class Histogram(Frozen):
    """A quantity over instances: `counts[i]` of them lie in `[edges[i], edges[i + 1])`; whole numbers."""

    name: str
    unit: str
    edges: tuple[int, ...]
    counts: tuple[int, ...]
    median: float
    mean: float


class DataFile(Frozen):
    """A file of the set."""

    sha256: str
    size: int
    """Bytes."""
    instances: int


class PipelineSheet(Frozen):
    """`datasheet.json`."""

    seed: int
    wide: int
    questions: int
    data_sha256: str
    """Of the lines `<sha256>  <file>` of `files`, in order of their names."""
    files: Mapping[str, DataFile]
    sources: Mapping[str, int]
    """Where the instances of the set come from."""
    wording: Mapping[str, int]
    """`template`, `writer`; and why the template's words were kept where a writer was asked."""
    writer: str
    tables: str
    checks: CheckSettings
    stages: tuple[StageSheet, ...]
    rejections: tuple[Rejection, ...]
    surplus: int
    """Fit, and not needed for as many of each kind as were asked for."""
    sample: int
    """Instances of the sample; 0 where none was drawn."""
    looked_at: int
    """Those of them that some look has answered."""
    looked_at_kept: int
    """Those of the latter that are in the set."""
    looks: tuple[LookSheet, ...]
    counts: Mapping[str, Mapping[str, int]]
    """Property -> value -> instances of the set."""
    histograms: tuple[Histogram, ...]
    findings: int
    """Objections of the rules to the files as they stand; 0 says that they pass their own checks."""


async def build_sheet(folder: Path) -> PipelineSheet:
    """The datasheet of a pipeline's folder. Raises `InvalidRequest` when its last stage was never finished."""
    manifest = read_manifest(folder)
    if manifest.checks is None or not (folder / REJECTED).is_file():
        raise InvalidRequest(f"{folder}: the pipeline has not come to its end; run `wideseek data pipeline` first")
    queries = StageFile(folder / QUERIES, Query).read()
    answers = StageFile(folder / ANSWERS, Answered).read()
    described = {kind: describe(folder / name) for kind, name in FILES.items()}
    rejected = [candidate.record for candidate in read_candidates(folder / REJECTED)]
    rejections = _rejections([one for one in rejected if one["rejected"]["stage"] != "surplus"])
    looks = await read_looks(folder, manifest.checks)
    answered = frozenset[str]().union(*(found.answered for found in looks))
    chosen = [json.loads(line) for name in FILES.values() for line in (folder / name).read_text("utf-8").splitlines()]
    names = {record["instance_id"] for record in chosen}
    return PipelineSheet(
        **_identity(folder, manifest, described),
        sources=ranked(query.source for query in queries if query.instance_id in names),
        wording=_wording([query for query in queries if query.instance_id in names]),
        checks=manifest.checks,
        stages=_stages(queries, answers, rejections),
        rejections=rejections,
        surplus=sum(1 for one in rejected if one["rejected"]["stage"] == "surplus"),
        sample=len(_sample(folder)),
        looked_at=len(answered),
        looked_at_kept=len(answered & names),
        looks=tuple(found.sheet for found in looks),
        counts=_counts(described.values()),
        histograms=_histograms(described.values()),
        findings=sum(map(_findings, described.values())),
    )


def _identity(folder: Path, manifest: Manifest, described: Mapping[Kind, Datasheet]) -> dict[str, Any]:
    files = {
        FILES[kind]: DataFile(sha256=one.sha256, size=one.size, instances=one.instances)
        for kind, one in described.items()
    }
    content = (folder / REJECTED).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    files[REJECTED] = DataFile(sha256=digest, size=len(content), instances=content.count(b"\n"))
    listed = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(files))
    return {
        "seed": manifest.queries.seed,
        "wide": described[Kind.WIDE].instances,
        "questions": described[Kind.QUESTION].instances,
        "data_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "files": files,
        "writer": manifest.queries.writer,
        "tables": manifest.queries.tables,
    }


def _wording(queries: Sequence[Query]) -> Mapping[str, int]:
    kept = (f"template, as the writer's {query.kept_because.split(':')[0]}" for query in queries if query.kept_because)
    plain = (query.wording for query in queries if not query.kept_because)
    return ranked([*plain, *kept])


def _stages(
    queries: Sequence[Query], answers: Sequence[Answered], rejections: Sequence[Rejection]
) -> tuple[StageSheet, ...]:
    lost = Counter[str]()
    for one in rejections:
        lost[one.stage] += one.count
    seen = {"queries": len(queries), "answers": len(answers), "filter": sum(1 for line in answers if line.record)}
    return tuple(
        StageSheet(name=name, seen=count, rejected=lost[name], passed=count - lost[name])
        for name, count in seen.items()
    )


def _rejections(rejected: Sequence[Mapping[str, Any]]) -> tuple[Rejection, ...]:
    first: dict[tuple[str, str, str], str] = {}
    counted = Counter[tuple[str, str, str]]()
    for one in rejected:
        why = one["rejected"]
        key = (str(why["stage"]), str(why["check"]), str(why["code"]))
        counted[key] += 1
        first.setdefault(key, f"{one['instance_id']}: {why['why']}")
    order = {"queries": 0, "answers": 1, "filter": 2}
    ranks = sorted(counted, key=lambda key: (order[key[0]], -counted[key], key))
    return tuple(
        Rejection(stage=key[0], check=key[1], code=key[2], count=counted[key], example=first[key]) for key in ranks
    )


def _sample(folder: Path) -> list[str]:
    path = folder / SAMPLE
    return [candidate.instance_id for candidate in read_candidates(path)] if path.is_file() else []


def _findings(sheet: Datasheet) -> int:
    return sum(found.count for codes in sheet.checks.values() for found in codes.values())


def _counts(described: Iterable[Datasheet]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for sheet in described:
        for name, values in {**sheet.counts, "column": sheet.column_usage, "field": sheet.field_usage}.items():
            found.setdefault(name, Counter()).update(values)
    return {name: dict(sorted(values.items(), key=lambda item: (-item[1], item[0]))) for name, values in found.items()}


def _histograms(described: Iterable[Datasheet]) -> tuple[Histogram, ...]:
    return tuple(_histogram(name, spread) for sheet in described for name, spread in sheet.spreads.items())


def _histogram(name: str, spread: Spread) -> Histogram:
    least, beyond = int(spread.least), int(spread.most) + 1
    step = -(-(beyond - least) // _BINS)
    edges = tuple(range(least, beyond + step, step))
    counts = Counter((value - least) // step for value in spread.values)
    what, _, of = name.partition(" of ")
    unit = what if of else name.rsplit(maxsplit=1)[-1]
    return Histogram(
        name=name,
        unit=unit,
        edges=edges,
        counts=tuple(counts[place] for place in range(len(edges) - 1)),
        median=spread.median,
        mean=spread.mean,
    )
