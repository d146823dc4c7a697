"""What is written about policies: one record a version, one state a change, and what a publication comes to."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.kit.policies import BASE, served_name
from services.trainer.config import POLICY_NAME
from wideseek.values import Frozen

Outcome = Literal["promoted", "canary", "held"]
Author = Literal["hand", "job"]


class Candidate(Frozen):
    """A trained policy that asks to be served."""

    name: str = Field(pattern=POLICY_NAME)
    version: int = Field(ge=1)
    adapter: Path
    """Folder of the adapter in PEFT's format, or of the whole model."""
    parent_version: int = Field(default=BASE, ge=0)
    job_id: str
    step: int = Field(ge=0)
    base_sha256: str
    config_sha256: str = ""
    manifest_sha256: str = ""
    """Hash of the newest step manifest: the end of the chain that names every rollout it was trained on."""
    adaptation: Literal["lora", "full"] = "lora"
    tokenizer_sha256: str = ""
    template_sha256: str = ""

    @property
    def model(self) -> str:
        """The name it is served under."""
        return served_name(self.name, self.version)


class PolicyRecord(Frozen):
    """`POLICY.json`: what a version is; written once."""

    name: str
    version: int = Field(ge=1)
    parent_version: int = Field(default=BASE, ge=0)
    job_id: str
    step: int = Field(ge=0)
    manifest_sha256: str = ""
    config_sha256: str = ""
    base_sha256: str
    tokenizer_sha256: str = ""
    template_sha256: str = ""
    adaptation: Literal["lora", "full"] = "lora"
    precision: str
    files: dict[str, str]
    """SHA-256 by name below the folder."""
    created_at: float
    """Unix seconds."""

    @property
    def model(self) -> str:
        """The name it is served under."""
        return served_name(self.name, self.version)

    @property
    def adapter_sha256(self) -> str:
        """Hash of the weights: SHA-256 over the lines `<name> <sha256>` of the files, sorted by name."""
        lines = "".join(f"{name} {digest}\n" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def same_as(self, other: "PolicyRecord") -> bool:
        """Whether both describe the same version; the time of writing aside."""
        return self == other.model_copy(update={"created_at": self.created_at})


class Loaded(Frozen):
    """`LOADED.<replica>`: a replica serves the version, and passed its probe."""

    replica: str
    at: float
    mean_difference: float | None = None
    """Of the probe; None when it was loaded again later."""
    max_difference: float | None = None


class Evaluated(Frozen):
    """A held-out result of a version, a file of its own."""

    metric: str
    mean: float
    low: float
    high: float
    tasks: int = Field(ge=0)
    suite: str = ""
    at: float = 0.0


class State(Frozen):
    """Which versions of a policy are served, after one change; every change is a file of its own."""

    name: str
    revision: int = Field(ge=1)
    at: float
    by: Author
    action: str
    """`publish`, `promote`, `canary`, `rollback` or `unload`, with its version."""
    base_model: str
    """The engine's name for version 0."""
    base_sha256: str
    published_at: float
    """When the first version was published."""
    current: int = Field(default=BASE, ge=0)
    canary: int | None = None
    canary_share: float = Field(default=0.0, ge=0, le=1)
    trail: tuple[int, ...] = ()
    """Versions that were current before, the latest last; a rollback goes back along it."""
    frozen: bool = False
    """After a rollback: what jobs publish is held until somebody promotes by hand."""
    keep: int = Field(default=3, ge=2)
    """Newest versions that stay loaded, as the last publication asked."""
    hand_revision: int = Field(default=0, ge=0)
    """The newest change that was made by hand."""
    served: tuple[int, ...] = ()
    """Versions above 0 that every replica serves, ascending."""

    @property
    def previous(self) -> int | None:
        """The version a rollback goes back to."""
        return self.trail[-1] if self.trail else None

    @property
    def kept(self) -> frozenset[int]:
        """Versions that are never unloaded."""
        return frozenset(one for one in (self.current, self.canary, self.previous) if one)
