"""The third stage: rules, what the looks at the sample object to, balance; and the files that come of it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.pipeline.lines import Answered, Kind, Query
from services.pipeline.looks import Found, LookFilter
from services.pipeline.sieve import BALANCE, Balanced, balance
from services.suites.filters import Reason, Rejected, Sifted, sift
from services.suites.filters_read import write_lines

HYBRID, REJECTED = "hybrid", "rejected.jsonl"
FILES: Mapping[Kind, str] = {Kind.WIDE: f"{HYBRID}/wide.jsonl", Kind.QUESTION: f"{HYBRID}/questions.jsonl"}


def assemble(
    folder: Path,
    queries: Sequence[Query],
    answers: Sequence[Answered],
    ruled: Sifted,
    looks: Sequence[Found],
    per_kind: int,
) -> Balanced:
    """Write the hybrid set and what was rejected on the way; every query ends in exactly one of the files."""
    looked = sift(ruled.kept, [LookFilter(found) for found in looks])
    balanced = balance(looked.kept, per_kind)
    lost = [*_lost_early(queries, answers), *_lost_late([*ruled.rejected, *looked.rejected, *balanced.surplus])]
    order = {query.instance_id: number for number, query in enumerate(queries)}
    lost.sort(key=lambda record: order[record["instance_id"]])
    (folder / HYBRID).mkdir(exist_ok=True)
    write_lines(
        [
            *((folder / FILES[kind], [one.text for one in balanced.of(kind)]) for kind in Kind),
            (folder / REJECTED, [json.dumps(record, ensure_ascii=False) for record in lost]),
        ]
    )
    return balanced


def _lost_early(queries: Iterable[Query], answers: Iterable[Answered]) -> Iterator[dict[str, Any]]:
    """What the first two stages rejected."""
    asked = {}
    for query in queries:
        asked[query.instance_id] = query
        if query.rejected:
            yield _record(query.instance_id, "queries", "intent", query.rejected, {"intent": dict(query.intent)})
    for answer in answers:
        if answer.rejected:
            query = asked[answer.instance_id]
            more = {"query": query.text, "intent": dict(query.intent)}
            yield _record(answer.instance_id, "answers", "gold", answer.rejected, more)


def _lost_late(rejected: Iterable[Rejected]) -> Iterator[dict[str, Any]]:
    """What the checks of the third stage rejected, and what is left over."""
    for one in rejected:
        stage = "surplus" if one.stage == BALANCE else "filter"
        yield _record(one.candidate.instance_id, stage, one.stage, one.reason, {"instance": one.candidate.record})


def _record(name: str, stage: str, check: str, reason: Reason, more: Mapping[str, Any]) -> dict[str, Any]:
    why = {"stage": stage, "check": check, "code": reason.code, "why": reason.why}
    return {"instance_id": name, "rejected": why, **more}
