"""`metrics.jsonl`: one line a step, whatever crashes, and one line an evaluation."""

import os
from pathlib import Path

from pydantic import ValidationError

from services.kit.durable import sync_folder
from services.trainer.metrics.record import StepMetrics
from wideseek.errors import ContractViolation


class MetricsLines:
    """The file of one job. A torn last line, of a process that died writing it, is cut off when it is opened."""

    def __init__(self, path: Path) -> None:
        """Raises `ContractViolation` naming the line that is none."""
        self._path = path
        self.steps: set[int] = set()
        """Steps that have their line."""
        self.evaluated: set[int] = set()
        """Versions that have been evaluated."""
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            self._note(_read(line, path, number))
        if len(whole) < len(data):
            os.truncate(path, len(whole))

    def append(self, line: StepMetrics) -> None:
        """Write a line and flush it to disk; a step that has one gets no other."""
        if not line.evaluation and line.step in self.steps:
            return
        new = not self._path.exists()
        with self._path.open("ab") as file:
            file.write(line.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self._path.parent)
        self._note(line)

    def _note(self, line: StepMetrics) -> None:
        if line.evaluation:
            self.evaluated.add(line.policy_version)
        else:
            self.steps.add(line.step)


def _read(line: bytes, path: Path, number: int) -> StepMetrics:
    try:
        return StepMetrics.model_validate_json(line)
    except ValidationError as error:
        raise ContractViolation(f"{path}:{number}: is no line of metrics: {error.errors()[0]['msg']}") from error
