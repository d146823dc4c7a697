"""What the rollouts of earlier jobs were like, for estimates."""

import json
import statistics

from services.trainer.folder import JobFolder
from services.trainer.jobs.book import JobBook
from services.trainer.jobs.cost import Measured

_MOST_STEPS = 50


def measured_rollouts(book: JobBook, policy: str) -> Measured | None:
    """Median unique tokens of a rollout over the newest job of a policy that has trained; None when none has."""
    for folder in book.all():
        config = folder.record().config
        if config.policy == policy and (steps := _unique_tokens(folder)):
            rollouts = config.planned if config.mode == "grpo" else config.sft_rows_per_step
            return Measured(rollouts=rollouts * len(steps), tokens_per_rollout=statistics.median(steps) / rollouts)
    return None


def _unique_tokens(folder: JobFolder) -> list[float]:
    """`tokens/unique` of the last steps."""
    if not folder.metrics_file.exists():
        return []
    lines = folder.metrics_file.read_text("utf-8").splitlines()[-_MOST_STEPS:]
    counts = (json.loads(line).get("scalars", {}).get("tokens/unique") for line in lines if line.endswith("}"))
    return [float(count) for count in counts if count]
