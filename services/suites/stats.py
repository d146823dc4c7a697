"""What a file of instances holds: counts, sizes, lengths, columns, and what each check finds in it."""

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from services.suites.filters import Filter, sift
from services.suites.filters_duplicates import DuplicateFilter, NearDuplicateFilter
from services.suites.filters_gold import GoldFilter
from services.suites.filters_keys import gold_table, row_keys
from services.suites.filters_read import Candidate, read_candidates
from services.suites.filters_reserved import ReservedFilter, places
from wideseek.instances import InvalidInstance, Question, Task, WideTask
from wideseek.tables import fold
from wideseek.values import Frozen


class Spread(Frozen):
    """How a quantity is distributed over instances."""

    least: float = 0
    median: float = 0
    mean: float = 0
    most: float = 0
    values: tuple[int, ...] = Field(default=(), exclude=True, repr=False)
    """The quantity itself, in the order of the file; not part of the JSON."""


class Finding(Frozen):
    """What one check found."""

    count: int
    examples: tuple[str, ...]
    """Instance (or line) and reason of the first few."""


class Datasheet(Frozen):
    """A file of instances, described."""

    file: str
    sha256: str
    size: int
    """Bytes of the file."""
    instances: int
    wide_tasks: int
    questions: int
    counts: Mapping[str, Mapping[str, int]]
    """Property -> value -> instances with it. Regions and families count once an instance they occur in."""
    rows: Spread
    columns: Spread
    query_words: Spread
    """Words of a wide task's query."""
    question_words: Spread
    gold_chars: Spread
    """Characters of a gold table."""
    answer_chars: Spread
    """Characters of a question's canonical answer."""
    column_usage: Mapping[str, int]
    """Column id -> wide tasks that require it, keys included."""
    field_usage: Mapping[str, int]
    """Field of the corpus -> instances that ask for it."""
    metric_usage: Mapping[str, int]
    """Metric -> columns compared by it."""
    entities: int
    """Distinct row keys of wide tasks."""
    documents: int
    """Distinct gold documents."""
    checks: Mapping[str, Mapping[str, Finding]]
    """Check -> code -> finding. Each check looks at every instance by itself."""
    rejected: Mapping[str, Mapping[str, int]] = Field(default_factory=dict)
    """Stage -> code -> instances rejected by `filter`, where its rejections are given."""

    @property
    def spreads(self) -> dict[str, Spread]:
        """The distributions of something, each with its name."""
        named = {
            "gold rows": self.rows,
            "gold columns": self.columns,
            "words of a query": self.query_words,
            "words of a question": self.question_words,
            "characters of a gold table": self.gold_chars,
            "characters of an answer": self.answer_chars,
        }
        return {name: found for name, found in named.items() if found.values}


_EXAMPLES = 3


def describe(path: Path, rejected: Path | None = None) -> Datasheet:
    """Describe a file. Raises `InvalidInstance` when it, or the file of rejections, cannot be read."""
    candidates = read_candidates(path)
    content = path.read_bytes()
    instances = [candidate.instance for candidate in candidates if candidate.instance is not None]
    tasks = [instance for instance in instances if isinstance(instance, WideTask)]
    questions = [instance for instance in instances if isinstance(instance, Question)]
    tables = [table for task in tasks if (table := gold_table(task)) is not None]
    return Datasheet(
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        instances=len(candidates),
        wide_tasks=len(tasks),
        questions=len(questions),
        counts=_counts(instances),
        rows=spread(len(table.rows) for table in tables),
        columns=spread(len(table.columns) for table in tables),
        query_words=spread(len(task.query.split()) for task in tasks),
        question_words=spread(len(question.question.split()) for question in questions),
        gold_chars=spread(len(task.answer) for task in tasks),
        answer_chars=spread(len(question.answers[0]) for question in questions),
        column_usage=ranked(fold(name) for task in tasks for name in task.evaluation.required),
        field_usage=ranked(name for instance in instances for name in fields(instance)),
        metric_usage=ranked(
            metric for task in tasks for rule in task.evaluation.eval_pipeline.values() for metric in rule.metric
        ),
        entities=len({key for task in tasks for key in row_keys(task)}),
        documents=len({address for instance in instances for address in instance.documents}),
        checks=_checks(candidates),
        rejected=_rejections(rejected) if rejected is not None else {},
    )


def _counts(instances: Sequence[Task]) -> dict[str, dict[str, int]]:
    wide = [instance for instance in instances if isinstance(instance, WideTask)]
    asked = [instance for instance in instances if isinstance(instance, Question)]
    found = {
        "suite": ranked(instance.suite for instance in instances),
        "split": ranked(instance.split for instance in instances),
        "language": ranked(instance.language for instance in instances),
        "difficulty": ranked(task.difficulty for task in wide),
        "kind": ranked(question.kind for question in asked),
        "type": ranked(str(question.meta.get("type", "")) for question in asked),
        "region": ranked(region for instance in instances for region in {region for region, _ in places(instance)}),
        "family": ranked(family for instance in instances for family in _words(instance.meta.get("families"))),
    }
    return {name: values for name, values in found.items() if set(values) - {"(none)"}}


def ranked(values: Iterable[str]) -> dict[str, int]:
    """Values with how often they occur, most frequent first, then by name; blanks are `(none)`."""
    counted = Counter(value.strip() or "(none)" for value in values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def spread(values: Iterable[int]) -> Spread:
    """The distribution of some values; all 0 of none."""
    found = tuple(values)
    if not found:
        return Spread()
    return Spread(
        least=min(found),
        median=statistics.median(found),
        mean=round(statistics.fmean(found), 3),
        most=max(found),
        values=found,
    )


def fields(instance: Task) -> tuple[str, ...]:
    """Fields of the corpus that the instance asks for, each once."""
    if isinstance(instance, WideTask):
        return tuple(dict.fromkeys(instance.gold_fields.values()))
    return tuple(dict.fromkeys(_words(instance.meta.get("fields"))))


def _words(value: Any) -> tuple[str, ...]:
    """The strings of a list in `meta`; whatever else stands there is none."""
    return tuple(dict.fromkeys(one for one in value if isinstance(one, str))) if isinstance(value, list | tuple) else ()


def _checks(candidates: Sequence[Candidate]) -> dict[str, dict[str, Finding]]:
    """What each filter finds on its own; the first stage is that of lines which are no instances."""
    checks: Sequence[Filter] = (GoldFilter(), ReservedFilter(), DuplicateFilter(), NearDuplicateFilter())
    found: dict[str, dict[str, Finding]] = {"schema": {}, **{check.stage: {} for check in checks}}
    for check in checks:
        for outcome in sift(candidates, [check]).rejected:
            if outcome.stage == "schema" and check is not checks[0]:
                continue
            name = outcome.candidate.instance_id or f"line {outcome.candidate.line}"
            stage, code = found[outcome.stage], outcome.reason.code
            before = stage.get(code, Finding(count=0, examples=()))
            examples = (*before.examples, f"{name}: {outcome.reason.why}")[:_EXAMPLES]
            stage[code] = Finding(count=before.count + 1, examples=examples)
    return found


def _rejections(path: Path) -> dict[str, dict[str, int]]:
    """Rejections by stage and code, from a file that `filter` wrote."""
    found: dict[str, Counter[str]] = {}
    for candidate in read_candidates(path):
        stated = candidate.record.get("rejected") if isinstance(candidate.record, dict) else None
        if not isinstance(stated, dict) or not {"stage", "code"} <= stated.keys():
            raise InvalidInstance(f"{path}, line {candidate.line}: rejected: no stage and code, so not a rejection")
        found.setdefault(str(stated["stage"]), Counter())[str(stated["code"])] += 1
    return {stage: dict(sorted(codes.items())) for stage, codes in found.items()}
