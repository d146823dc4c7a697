"""Which correction of stale or differently computed sampling a job uses."""

from services.trainer.config import JobConfig, PolicyLossConfig


def resolved(job: JobConfig) -> PolicyLossConfig:
    """The job's policy loss with its correction decided.

    `auto` is `tis` where staleness is allowed or the precision is bfloat16, else `none`; and `none` for GSPO, whose
    ratio is of the sequence and against the sampling policy itself.
    """
    loss = job.objective.policy_loss
    if loss.correction != "auto":
        return loss
    differs = job.rollouts.max_staleness > 0 or job.model.precision == "bfloat16"
    return loss.model_copy(update={"correction": "tis" if differs and loss.kind != "gspo" else "none"})
