"""Metrics of training, a stage a folder: `metrics.jsonl` as a training job writes it, a line a step.

Read by its written form, since the trainer is another service; what is not needed here is passed over.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

METRICS = "metrics.jsonl"

Curve = list[tuple[float, float]]
"""Step and value."""


class HeldOut(Frozen):
    """A score on held-out tasks, of one version."""

    model_config = ConfigDict(extra="ignore")

    metric: str
    mean: float
    low: float
    high: float


class Step(Frozen):
    """A line of metrics."""

    model_config = ConfigDict(extra="ignore")

    step: int = Field(ge=0)
    scalars: Mapping[str, float] = Field(default_factory=dict)
    evaluation: tuple[HeldOut, ...] = ()


@dataclass(frozen=True)
class Stage:
    """A stage of training."""

    name: str
    title: str
    steps: Sequence[Step] = field(default_factory=list)
    """Empty when there are no metrics of it."""

    def curve(self, scalar: str) -> Curve:
        """A scalar by step, where it was measured."""
        return [(step.step, step.scalars[scalar]) for step in self.steps if scalar in step.scalars]

    def held_out(self) -> dict[str, list[tuple[float, float, float, float]]]:
        """Metric -> step, mean, low and high end, of every evaluation on held-out tasks."""
        found: dict[str, list[tuple[float, float, float, float]]] = {}
        for step in self.steps:
            for one in step.evaluation:
                found.setdefault(one.metric, []).append((step.step, one.mean, one.low, one.high))
        return dict(sorted(found.items()))

    def total(self, scalar: str) -> float | None:
        """Sum of a scalar over all steps; None where none has it."""
        values = [value for _, value in self.curve(scalar)]
        return sum(values) if values else None


def read_stages(folder: Path, titles: Mapping[str, str]) -> list[Stage]:
    """The stages that `titles` names, in its order, then others that lie there, by name.

    Raises `InvalidRequest` naming the line that is none of a job's.
    """
    there = sorted(path.parent.name for path in folder.glob(f"*/{METRICS}"))
    names = [*titles, *(name for name in there if name not in titles)]
    return [Stage(name, titles.get(name, name), _read(folder / name / METRICS)) for name in names]


def _read(path: Path) -> list[Step]:
    if not path.is_file():
        return []
    steps = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            steps.append(Step.model_validate(json.loads(line)))
        except (json.JSONDecodeError, ValidationError) as error:
            raise InvalidRequest(f"{path}:{number}: no line of a training job's metrics") from error
    return steps


def smoothed(curve: Curve, window: int) -> Curve:
    """Mean of each value with up to `window - 1` before it."""
    values = [value for _, value in curve]
    return [
        (step, sum(part) / len(part))
        for number, (step, _) in enumerate(curve)
        if (part := values[max(0, number + 1 - window) : number + 1])
    ]
