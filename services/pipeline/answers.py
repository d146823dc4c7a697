"""The second stage: each query with the answer that its intent decides, as an instance, or why it has none."""

from collections.abc import Sequence
from pathlib import Path

from services.pipeline.factbook import Underived
from services.pipeline.lines import Answered, Query, StageFile
from services.pipeline.queries import Sources
from services.pipeline.watch import Watch

ANSWERS = "answers.jsonl"


def make_answers(folder: Path, queries: Sequence[Query], sources: Sources, watch: Watch) -> list[Answered]:
    """The instances of a pipeline, made as far as they are not there yet. Queries that were rejected have none."""
    file = StageFile(folder / ANSWERS, Answered)
    if file.finished:
        return file.read()
    asked = [query for query in queries if query.rejected is None]
    with file.unfinished() as growing, watch.step("answers", len(asked)) as step:
        step.facts["there before"] = len(growing.lines)
        for query in asked[len(growing.lines) :]:
            growing.append(_answered(query, sources))
            step.at(len(growing.lines))
        step.facts |= {
            "made": sum(1 for line in growing.lines if line.record),
            "rejected": sum(1 for line in growing.lines if line.rejected),
        }
    return growing.lines


def _answered(query: Query, sources: Sources) -> Answered:
    head = Answered(instance_id=query.instance_id, kind=query.kind, source=query.source)
    try:
        return head.model_copy(update={"record": sources.gold(query)})
    except Underived as why:
        return head.model_copy(update={"rejected": why.reason})
