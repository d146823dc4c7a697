"""The learning rate of a step.

    w = warmup steps, n = steps of the job, k = the step, from 1
    k <= w:    lr * k / w
    k >  w:    p = (k - w - 1) / (n - w)
               constant: lr      linear: lr * (1 - p)      cosine: lr * (1 + cos(pi p)) / 2

The first step behind the warm-up has all of lr, the last one a little more than 0, so no step is for nothing.
"""

import math

from services.trainer.config import OptimConfig


def learning_rate(step: int, *, steps: int, optim: OptimConfig) -> float:
    """The rate of `step`, counted from 1, in a job of `steps`."""
    if step <= optim.warmup_steps:
        return optim.lr * step / optim.warmup_steps
    progress = (step - optim.warmup_steps - 1) / max(1, steps - optim.warmup_steps)
    if optim.schedule == "linear":
        return optim.lr * (1 - progress)
    if optim.schedule == "cosine":
        return optim.lr * (1 + math.cos(math.pi * progress)) / 2
    return optim.lr
