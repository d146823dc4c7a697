"""The metrics line of a step, from what is durable: its manifest, what collecting it measured, the learner's report."""

from pathlib import Path

from services.trainer.collect.tally import Measured
from services.trainer.conduct.ports import Served
from services.trainer.folder import JobFolder, LearnerReport, write_model
from services.trainer.ledger.manifest import Manifest
from services.trainer.metrics.record import StepMetrics

NOTHING = Measured(scalars={}, histograms={}, drops={})


def _collected_file(folder: JobFolder, step: int) -> Path:
    return folder.path / "steps" / str(step) / "collected.json"


def keep_measured(folder: JobFolder, step: int, measured: Measured) -> None:
    """Write down what collecting measured, before the manifest: then the line of a resumed step has it, too."""
    write_model(_collected_file(folder, step), measured)


def kept_measured(folder: JobFolder, step: int) -> Measured:
    """What was written down for a step."""
    file = _collected_file(folder, step)
    return Measured.model_validate_json(file.read_bytes()) if file.exists() else NOTHING


def step_line(
    manifest: Manifest,
    report: LearnerReport,
    measured: Measured,
    served: Served,
    times: dict[str, float],
    *,
    at: float,
) -> StepMetrics:
    """One step. `times` are the conductor's own; where the learner says the same of itself, the learner counts."""
    advantages = tuple(agent.advantage for entry in manifest.entries for agent in entry.agents if agent.weight > 0)
    return StepMetrics(
        step=manifest.step,
        at=at,
        policy_version=served.version,
        scalars={
            "optim/lr": manifest.learning_rate,
            **times,
            **measured.scalars,
            **report.scalars,
            **served.scalars,
        },
        histograms={"advantage": advantages, **measured.histograms, **report.histograms, **served.histograms},
        drops=measured.drops,
    )
