"""The manifest of a step: which rollouts it is made of, with what weights and advantages.

A manifest is written once (create-exclusive, which also fences a second leader) and names its predecessor by hash.
It decides what counts as consumed: a rollout named in a manifest up to the last committed step is never used again.
Source: the protocol of `docs/training.md`.
"""

import hashlib

from pydantic import Field

from wideseek.rollout import TurnMask
from wideseek.trajectory import Role
from wideseek.values import Frozen

SCHEMA_VERSION = 1


class AgentShare(Frozen):
    """What one agent of a rollout contributes to the loss."""

    agent_id: str
    role: Role
    trained_tokens: int = Field(ge=0)
    weight: float = Field(ge=0)
    """Of one trained token; 0 for an agent without any."""
    advantage: float
    """Of every trained token; 1 in supervised mode."""


class Entry(Frozen):
    """One rollout of the step."""

    rollout_id: str
    uri: str
    sha256: str
    reward_uri: str = ""
    """Empty in supervised mode."""
    reward_sha256: str = ""
    group_id: str
    index_in_group: int = 0
    task_id: str = ""
    reward: float = 0.0
    version_min: int = 0
    version_max: int = 0
    masked: tuple[TurnMask, ...] = ()
    """Turns not trained on; the learner never infers a mask."""
    agents: tuple[AgentShare, ...]
    minibatch: int = Field(default=0, ge=0)
    """The optimiser step of the manifest that the rollout belongs to."""


class Dropped(Frozen):
    """A rollout that was resolved without being trained on."""

    rollout_id: str
    reason: str


class Manifest(Frozen):
    """One step."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    lineage: int = Field(default=0, ge=0)
    """Raised when somebody restarts the job from an older checkpoint; manifests beyond it are abandoned."""
    step: int = Field(ge=1)
    prev_sha256: str
    """Hash of the manifest before this one; 64 zeros for the first."""
    created_at: float
    seed: int
    config_sha256: str
    code_version: str
    policy_version: int = Field(ge=0)
    """Version of the policy that this step starts from."""
    planned: int = Field(ge=1)
    """B, a constant of the step, whatever survives."""
    learning_rate: float = Field(ge=0)
    entries: tuple[Entry, ...]
    dropped: tuple[Dropped, ...] = ()
    """Rollouts resolved since the last manifest, with reasons; they are never delivered again."""
    cursor: str = "0-0"
    """Entry of the rollout index up to which everything is resolved by this manifest and its predecessors."""

    def to_bytes(self) -> bytes:
        """The file's bytes; equal manifests give equal bytes."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def sha256(self) -> str:
        """Hash of the file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


FIRST = "0" * 64
"""What the first manifest names as its predecessor."""
