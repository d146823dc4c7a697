"""What a parity probe found, replica by replica, in full."""

from typing import Literal

from pydantic import Field

from wideseek.values import Frozen

Reading = Literal["candidate", "other", "indistinguishable"]


class Comparison(Frozen):
    """Whether a replica serves the candidate or another version, by the log-probabilities it states."""

    version: int = Field(ge=0)
    """The other version; 0 is the base."""
    position: float
    """0: the replica computes exactly what the other version does; 1: what the candidate does."""
    error: float = Field(ge=0)
    """Standard error of the position; 0 where both versions give the same log-probabilities."""
    gap: float = Field(ge=0)
    """Root mean square difference between the two versions' log-probabilities, both computed by the trainer."""
    reading: Reading


class ReplicaReport(Frozen):
    """One replica."""

    replica: str
    mean: float = 0.0
    """Mean |difference| between what the engine states and what the trainer computes, natural logarithm."""
    max: float = 0.0
    quantiles: dict[str, float] = Field(default_factory=dict)
    """Of the |differences|: `p50`, `p90`, `p99`."""
    worst_prompt: float = 0.0
    """Largest mean |difference| of one prompt."""
    limit: float | None = None
    """Mean above which the replica is refused."""
    limit_from: str = ""
    """`float32`, `asked`, or what the limit was calibrated on."""
    differences: tuple[float, ...] = ()
    """Engine minus trainer, one a sampled token, prompt by prompt."""
    comparisons: tuple[Comparison, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why the replica is refused; empty when it has passed."""
    load_s: float = 0.0
    probe_s: float = 0.0


class ProbeReport(Frozen):
    """All replicas."""

    model: str
    precision: str
    prompts: int = Field(default=0, ge=0)
    replicas: tuple[ReplicaReport, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether every replica serves the candidate."""
        return bool(self.replicas) and not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is refused, each naming its replica."""
        return tuple(f"{one.replica}: {reason}" for one in self.replicas for reason in one.reasons)

    @property
    def scalars(self) -> dict[str, float]:
        """The numbers by the names of `services.trainer.metrics.names`."""
        means = {f"parity/mean/{one.replica}": one.mean for one in self.replicas}
        return means | {f"parity/max/{one.replica}": one.max for one in self.replicas}

    @property
    def differences(self) -> tuple[float, ...]:
        """|Differences| of all replicas."""
        return tuple(abs(value) for one in self.replicas for value in one.differences)


class ProbeRow(Frozen):
    """A prompt with what was sampled after it."""

    token_ids: tuple[int, ...]
    start: int = Field(ge=1)
    """Place of the first sampled token."""
    logprobs: tuple[float, ...]
    """The trainer's, one a sampled token."""


class ProbeData(Frozen):
    """What is kept of a passed probe: enough to hold a restarted replica against."""

    precision: str
    limit: float = Field(gt=0)
    """Mean |difference| a replica may show."""
    rows: tuple[ProbeRow, ...]


class Calibration(Frozen):
    """How much engine and trainer differ where both surely compute the same: on the base, or an accepted version."""

    model: str
    precision: str
    base_sha256: str
    against: Literal["trainer", "engine"] = "trainer"
    """`engine`: no trainer of the base was at hand, so the engine was compared with itself, sampling and reading."""
    mean: float = Field(ge=0)
    prompts: int = Field(ge=0)
    at: float
