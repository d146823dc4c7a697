"""What the index says of a stored rollout, and where rollouts and rewards lie."""

from pydantic import Field

from wideseek.rollout import RolloutSource, RolloutStatus
from wideseek.values import Frozen

UNASSIGNED = "unassigned"
"""Stands for the job of rollouts that belong to none."""


class StoredRollout(Frozen):
    """An index entry: enough to form groups and to compute weights without reading the object."""

    rollout_id: str
    job_id: str = UNASSIGNED
    run_id: str
    group_id: str = ""
    index_in_group: int = 0
    attempt: int = 0
    task_id: str = ""
    split: str = ""
    status: RolloutStatus
    source: RolloutSource
    uri: str
    """Path of the object below the store's root: `<job>/rollouts/<yyyy-mm-dd>/<rollout id>.<sha256[:12]>.pb.zst`."""
    sha256: str
    """Of the object's bytes, compressed as they lie."""
    version_min: int = Field(default=0, ge=0)
    version_max: int = Field(default=0, ge=0)
    tokens_by_agent: dict[str, int] = Field(default_factory=dict)
    """Sampled tokens of trainable turns, before any mask of the outcome."""
    finished_at: float = 0.0


class StoredReward(Frozen):
    """A reward file."""

    rollout_id: str
    reward_version: str
    uri: str
    """`<job>/rewards/<rollout id>.<reward version>.json` below the store's root."""
    sha256: str
