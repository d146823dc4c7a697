"""What the trainer service, and every job it starts, can be told."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.kit.admin import OptionalKey
from services.kit.settings import HttpSettings


class TrainerSettings(HttpSettings):
    """One field a knob; the string under it is its documentation."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_")

    port: int = Field(default=8083, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    redis_url: str = Field(default="redis://127.0.0.1:6380/0", min_length=1, validation_alias="REDIS_URL")
    """The Redis or Valkey that holds the rollout index and the state of policies."""

    orchestrator_url: str = Field(default="http://127.0.0.1:8080", min_length=1, validation_alias="ORCHESTRATOR_URL")
    """Base address of the orchestrator, which training tasks are sent to."""

    retrieval_url: str = Field(default="http://127.0.0.1:8081", min_length=1, validation_alias="RETRIEVAL_URL")
    """Base address of the retrieval service, which is asked for the corpora there are."""

    model_url: str = Field(default="http://127.0.0.1:8082", min_length=1, validation_alias="MODEL_URL")
    """Base address of the model endpoint."""

    model_api_key: SecretStr | None = Field(default=None, validation_alias="MODEL_API_KEY")
    """Bearer token of the model engines, where they ask for one."""

    replicas: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses of every replica of the model engine, separated by commas; `dns+http://name:port` stands for all
    addresses of a name. Empty: `MODEL_URL` is the only one."""

    rollout_store: str | None = Field(default=None, min_length=1, validation_alias="ROLLOUT_STORE")
    """Where rollouts lie: a folder, or an address such as `s3://bucket/prefix`; unset means `rollouts` in the home."""

    admin_key: OptionalKey = Field(default=None, validation_alias="WIDESEEK_ADMIN_KEY")
    """Key of the admin doors; without one they answer on a loopback address only."""

    launcher: Literal["local", "kubernetes"] = "local"
    """How jobs are started: as processes of this machine, or as Kubernetes Jobs."""

    image: str = "wideseek-trainer"
    """Image of the Kubernetes Jobs that run training."""

    namespace: str = Field(default="wideseek", pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    """Namespace in which Kubernetes Jobs are made."""

    volume_claim: str = "wideseek-state"
    """Claim of the volume that jobs, trainer and engines share; it is mounted at the home."""

    reconcile_s: float = Field(default=15, ge=1, le=3_600)
    """Seconds between looks at the engines: one that was restarted gets its policies back."""

    @field_validator("replicas", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def store_root(self) -> str:
        """Where rollouts lie."""
        return self.rollout_store or str(self.home / "rollouts")

    @property
    def engines(self) -> tuple[str, ...]:
        """Addresses of the model engine's replicas."""
        return self.replicas or (self.model_url,)

    @property
    def jobs_folder(self) -> Path:
        """Folder of all jobs' folders."""
        return self.home / "jobs"

    @property
    def policies_folder(self) -> Path:
        """Folder of all published policies."""
        return self.home / "policies"
