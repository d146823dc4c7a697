"""Right cells by column, and whether training ever asked for the column.

    accuracy of a column = mean over tasks of the mean over seeds of (right cells / gold cells of that column)

A row that is missing makes its cells wrong, so a column cannot be better than the rows that were found.
"""

from collections.abc import Callable, Mapping, Sequence

from services.evaluation.policy.arms import Arm
from services.evaluation.policy.measures import Estimate, by_task, estimated
from services.evaluation.results import Trial

Trained = Mapping[str, bool]
"""Column -> whether training tasks may ask for it; columns nobody knows are not in it."""

KINDS = {True: "in training", False: "held out", None: "unknown"}


def columns_of(arms: Sequence[Arm]) -> list[str]:
    """All columns that some arm was asked for, in alphabetical order."""
    return sorted({name for arm in arms for trial in arm.trials for name in trial.columns})


def accuracy(arm: Arm, column: str) -> Estimate | None:
    """The column's accuracy over the tasks that ask for it; None when none does."""
    return estimated(by_task(arm.trials, lambda trial: trial.columns.get(column)))


def accuracy_of(arm: Arm, trained: Trained, *, in_training: bool) -> Estimate | None:
    """Mean accuracy of a task's columns of one kind, over the tasks that ask for such; None when none does."""
    return estimated(by_task(arm.trials, _mean_of(lambda name: trained.get(name) is in_training)))


def _mean_of(wanted: Callable[[str], bool]) -> Callable[[Trial], float | None]:
    def read(trial: Trial) -> float | None:
        shares = [share for name, share in sorted(trial.columns.items()) if wanted(name)]
        return sum(shares) / len(shares) if shares else None

    return read


def kind(column: str, trained: Trained) -> str:
    """Whether training may ask for the column, in words."""
    return KINDS[trained.get(column)]
