"""When a step leaves a checkpoint. Imports no torch: conductor and learner must agree on it."""

from services.trainer.config import JobConfig


def checkpoint_due(config: JobConfig, step: int) -> bool:
    """Whether a step is committed to disk: every K-th, the last, and each whose policy is published.

    Manifests of the steps between are run again when the job resumes.
    """
    publish = config.publish.every
    return step % config.checkpoint.every == 0 or step == config.steps or (publish > 0 and step % publish == 0)
