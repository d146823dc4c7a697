"""One line of `metrics.jsonl`: what a step measured. The file is the source; every other sink reads it."""

from pydantic import Field

from wideseek.values import Frozen


class Interval(Frozen):
    """A held-out score of a fixed policy version."""

    version: int = Field(ge=0)
    metric: str
    """`item_f1`, `row_f1`, `success`, `em` or `reward`."""
    mean: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    tasks: int = Field(ge=0)


class StepMetrics(Frozen):
    """One step, or one event between steps (an evaluation)."""

    step: int = Field(ge=0)
    at: float
    """Unix seconds."""
    policy_version: int = Field(ge=0)
    """The policy the step made."""
    scalars: dict[str, float] = Field(default_factory=dict)
    """By name (`services.trainer.metrics.names`), e.g. `reward/mean`, `weights/lead_share`, `loss/grad_norm`."""
    histograms: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Samples, e.g. `advantage`, `tokens/lead`, `staleness`, `parity/difference`."""
    drops: dict[str, int] = Field(default_factory=dict)
    """Rollouts dropped, by reason."""
    evaluation: tuple[Interval, ...] = ()
