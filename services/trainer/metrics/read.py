"""Reading `metrics.jsonl`, the source of every other sink."""

from pathlib import Path

from pydantic import ValidationError

from services.trainer.metrics.record import StepMetrics
from wideseek.errors import ContractViolation


def read_metrics(path: Path) -> list[StepMetrics]:
    """The steps of a file, in its order; a last line that is still being written is left out.

    Raises `ContractViolation` naming the line that is none of ours.
    """
    if not path.exists():
        return []
    steps = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            steps.append(StepMetrics.model_validate_json(line))
        except ValidationError as error:
            raise ContractViolation(f"{path}, line {number}: no metrics: {error.errors()[0]['msg']}") from error
    return steps
