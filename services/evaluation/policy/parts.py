"""What the sections of the report are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.evaluation.policy.arms import Arm, ArmsFile
from services.evaluation.policy.columns import Trained
from services.evaluation.policy.training import Stage

TABLE_METRICS = ("item_f1", "row_f1", "success")
"""Of a table, as they are shown."""


@dataclass(frozen=True)
class Report:
    """All that the report is made from."""

    described: ArmsFile
    arms: Sequence[Arm]
    stages: Sequence[Stage]
    trained: Trained
    """Column -> whether training tasks may ask for it."""

    def group(self, name: str) -> list[Arm]:
        """The arms of a group."""
        return [arm for arm in self.arms if arm.spec.group == name]

    def arm(self, name: str) -> Arm:
        """The arm in this folder."""
        return next(arm for arm in self.arms if arm.name == name)
