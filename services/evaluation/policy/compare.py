"""Two arms, task by task: the mean paired difference with its interval.

    d_t  = mean over seeds of the first arm on task t, minus that of the second
    mean = mean of d_t over the tasks that both have answered in full; interval: bootstrap over these tasks

Pairing takes the tasks' own difficulty out of the difference. The seeds of the two arms are not paired: they draw from
different policies.
"""

from services.evaluation.policy.arms import Arm
from services.evaluation.policy.measures import READINGS, by_task, of_difficulty
from wideseek.aggregates import paired_difference
from wideseek.values import Frozen


class Paired(Frozen):
    """How much the first arm is above the second."""

    mean: float
    low: float
    high: float
    tasks: int
    """Tasks that both have answered in full."""

    @property
    def verdict(self) -> str:
        """What the interval says."""
        if self.low > 0:
            return "above 0"
        return "below 0" if self.high < 0 else "0 lies inside"


def paired(first: Arm, second: Arm, metric: str, difficulty: str | None = None) -> Paired | None:
    """The comparison by a metric; None when the arms have no task in common."""
    ours, theirs = (by_task(of_difficulty(arm, difficulty), READINGS[metric]) for arm in (first, second))
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return None
    found = paired_difference({task: ours[task] for task in common}, {task: theirs[task] for task in common})
    return Paired(mean=found.mean, low=found.ci95[0], high=found.ci95[1], tasks=len(common))
