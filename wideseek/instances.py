"""Tasks in WideSearch's instance format, questions in ours: read leniently, checked before they are scored.

A wide task is `{"instance_id", "query", "evaluation", "answer"}`; `evaluation` may be a JSON string, as on the
hub, and `answer`, the gold table, may come from a CSV beside the tasks. Fields that are not known here are kept
out of the way, not refused: the format is other people's. What the official scorer would fail on must load too,
so `Evaluation` checks nothing; `checked` is what the robust scorer asks before it trusts one.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, field_validator

from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

PREPROCESSORS = frozenset({"norm_str", "extract_number", "norm_date"})
METRICS = frozenset({"exact_match", "number_near", "date_near", "url_match", "in_match", "llm_judge"})


class InvalidInstance(InvalidRequest):
    """A task, question or response that cannot be scored; the message names place and field."""


class ColumnRule(Frozen):
    """How a column is compared."""

    model_config = ConfigDict(extra="ignore")

    preprocess: tuple[str, ...] = ()
    metric: tuple[str, ...] = ()
    criterion: Any = None
    """A rubric for `llm_judge`, a relative tolerance for `number_near`."""


class Evaluation(Frozen):
    """What a response's table is held against, besides the gold table itself."""

    model_config = ConfigDict(extra="ignore")

    required: tuple[str, ...]
    """Column ids the answer must have: headings in lower case without spaces."""
    unique_columns: tuple[str, ...]
    """Columns that identify a row together."""
    eval_pipeline: Mapping[str, ColumnRule]

    def checked(self) -> "Evaluation":
        """Itself. Raises `InvalidInstance` naming the field when a score by it could not be trusted."""
        if not self.required:
            raise InvalidInstance("evaluation.required: names no column")
        repeated = [name for number, name in enumerate(self.required) if name in self.required[:number]]
        if repeated:
            raise InvalidInstance(f"evaluation.required: names {repeated[0]!r} twice")
        if not self.unique_columns:
            raise InvalidInstance("evaluation.unique_columns: empty, so rows cannot be told apart")
        for name in self.unique_columns:
            if name not in self.required:
                raise InvalidInstance(f"evaluation.unique_columns: {name!r} is not among the required columns")
        for name in self.required:
            rule = self.eval_pipeline.get(name)
            if rule is not None:
                _check_rule(name, rule)
            elif name not in self.unique_columns:
                raise InvalidInstance(f"evaluation.eval_pipeline.{name}: missing; every column needs one metric")
        return self


def _check_rule(name: str, rule: ColumnRule) -> None:
    place = f"evaluation.eval_pipeline.{name}"
    if len(rule.metric) != 1:
        raise InvalidInstance(f"{place}.metric: exactly one is needed, found {len(rule.metric)}")
    if rule.metric[0] not in METRICS:
        raise InvalidInstance(f"{place}.metric: unknown metric {rule.metric[0]!r}; known: {', '.join(sorted(METRICS))}")
    for step in rule.preprocess:
        if step not in PREPROCESSORS:
            known = ", ".join(sorted(PREPROCESSORS))
            raise InvalidInstance(f"{place}.preprocess: unknown step {step!r}; known: {known}")
    tolerance = rule.criterion
    if rule.metric[0] == "number_near" and (
        isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < float("inf")
    ):
        raise InvalidInstance(f"{place}.criterion: number_near needs a relative tolerance of 0 or more")


class WideTask(Frozen):
    """A broad question with its gold table."""

    model_config = ConfigDict(extra="ignore")

    instance_id: str = Field(min_length=1)
    query: str = ""
    language: str = "en"
    evaluation: Evaluation
    answer: str
    """The gold table, as markdown."""
    answer_csv: str = ""
    """The gold table as the CSV it came in, where it did: official mode reads types, spaces and line ends from it."""
    suite: str = ""
    split: str = ""
    difficulty: str = ""
    gold_docs: Mapping[str, str] = Field(default_factory=dict)
    """Row key -> address of the document that holds the row's values."""
    list_doc: str = ""
    """Address of the page that lists the rows, where there is one."""
    gold_fields: Mapping[str, str] = Field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, tuple[str, ...]]] = Field(default_factory=dict)
    """Column id -> gold value -> other spellings a tolerant scorer may accept."""
    meta: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("evaluation", mode="before")
    @classmethod
    def _decoded(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @property
    def documents(self) -> tuple[str, ...]:
        """Addresses of all documents the answer stands in, the list of rows first."""
        listed = (self.list_doc,) if self.list_doc else ()
        return tuple(dict.fromkeys((*listed, *self.gold_docs.values())))


class Question(Frozen):
    """A question with one short answer."""

    model_config = ConfigDict(extra="ignore")

    instance_id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=1)
    """Accepted spellings, the canonical one first."""
    gold_docs: tuple[str, ...] = ()
    suite: str = ""
    split: str = ""
    kind: str = ""
    """`single_hop` or `multi_hop`."""
    language: str = "en"
    meta: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def documents(self) -> tuple[str, ...]:
        """Addresses of the documents the answer follows from."""
        return self.gold_docs


Task = WideTask | Question


class Scores(Frozen):
    """What a table scores, by row and by item (cell); all 0 when nothing could be scored.

        TP_row = sum over matched rows of the least cell score; TP_item = sum of all cell scores
        precision = TP / answered, recall = TP / gold, F1 = 2PR / (P + R)

    Source: WideSearch (arXiv:2508.07999), section 4. `score` is success: 1 only for a table right in full.
    """

    score: float = 0.0
    precision_by_row: float = 0.0
    recall_by_row: float = 0.0
    f1_by_row: float = 0.0
    precision_by_item: float = 0.0
    recall_by_item: float = 0.0
    f1_by_item: float = 0.0
