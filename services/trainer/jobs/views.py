"""A job as the admin API shows it."""

from typing import Any

from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder
from services.trainer.jobs.book import shown_status
from services.trainer.jobs.cost import Estimate
from wideseek.values import Frozen


class JobRequest(Frozen):
    """Body of `POST /v1/admin/training-jobs`."""

    config: JobConfig
    dry_run: bool = False
    """Check everything and estimate the cost; start nothing."""


class Job(Frozen):
    """What `GET /v1/admin/training-jobs/{id}` returns."""

    id: str
    object: str = "training_job"
    status: str
    """`queued`, `running`, `cancelling`, `completed`, `failed`, `cancelled`, or `interrupted`: its process is gone,
    and `resume` goes on from the last checkpoint."""
    policy: str
    mode: str
    step: int
    """Last committed step."""
    steps: int
    policy_version: int
    """Last published version."""
    created_at: float
    updated_at: float
    error: str | None = None
    config_sha256: str
    config: dict[str, Any]
    links: dict[str, str]


class DryRun(Frozen):
    """What a job would be, had it been started."""

    object: str = "training_job.dry_run"
    config_sha256: str
    config: dict[str, Any]
    """The configuration with every default filled in."""
    checks: dict[str, str]
    """What was looked at, and `ok` or a remark."""
    estimate: Estimate


def view(folder: JobFolder) -> Job:
    """The job as it stands."""
    record, state = folder.record(), folder.state()
    path = f"/v1/admin/training-jobs/{record.job_id}"
    return Job(
        id=record.job_id,
        status=shown_status(folder),
        policy=record.config.policy,
        mode=record.config.mode,
        step=state.step,
        steps=record.config.steps,
        policy_version=state.policy_version,
        created_at=record.created_at,
        updated_at=state.updated_at or record.created_at,
        error=state.error or None,
        config_sha256=record.config.sha256,
        config=record.config.model_dump(mode="json"),
        links={
            "self": path,
            **{name: f"{path}/{name}" for name in ("events", "metrics", "report", "cancel", "resume")},
        },
    )
