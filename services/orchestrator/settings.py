"""What an orchestrator replica can be told."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HttpSettings
from wideseek.contracts import PromptProfile


class OrchestratorSettings(HttpSettings):
    """One field a knob; the string under it is its documentation."""

    model_config = SettingsConfigDict(env_prefix="ORCHESTRATOR_")

    port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    redis_url: str = Field(default="redis://127.0.0.1:6380/0", min_length=1, validation_alias="REDIS_URL")
    """The Redis or Valkey that holds run logs and queues."""

    model_url: str = Field(default="http://127.0.0.1:8082", min_length=1, validation_alias="MODEL_URL")
    """Base address of the model endpoint."""

    retrieval_url: str = Field(default="http://127.0.0.1:8081", min_length=1, validation_alias="RETRIEVAL_URL")
    """Base address of the retrieval service."""

    model_api_key: SecretStr | None = Field(default=None, validation_alias="MODEL_API_KEY")
    """Bearer token of the model endpoint, where it asks for one."""

    model_context_tokens: int | None = Field(default=None, ge=512, validation_alias="MODEL_CONTEXT_TOKENS")
    """Context length of an endpoint that states none."""

    trainer_url: str = Field(default="http://127.0.0.1:8083", min_length=1, validation_alias="TRAINER_URL")
    """Base address of the trainer, which requests to `/v1/admin/` are passed on to."""

    rollout_store: str | None = Field(default=None, min_length=1, validation_alias="ROLLOUT_STORE")
    """Where rollouts lie: a folder, or an address such as `s3://bucket/prefix`; unset means `rollouts` in the home."""

    admin_key: SecretStr | None = Field(default=None, min_length=1, validation_alias="WIDESEEK_ADMIN_KEY")
    """Key of the admin doors; without one they answer on a loopback address only."""

    default_model: str | None = Field(default=None, min_length=1, max_length=200)
    """The model, or policy, of a run that names none; unset means the current version of the oldest policy, or where
    there is none the first model the endpoint lists."""

    default_prompt_profile: PromptProfile = PromptProfile.FULL
    """How agents of a run that names no profile are prompted: `full`, or `compact` for a policy trained on it."""

    max_runs: int = Field(default=16, ge=0, le=1_000)
    """Runs worked on at the same time; 0 makes a replica that only answers the API."""

    max_claims: int = Field(default=20, ge=1, le=1_000)
    """Claims after which a run is given up: it has ended that many replicas before it ended itself."""

    lease_s: float = Field(default=15, ge=0.3, le=600)
    """Seconds without a sign of life after which another replica takes a run over."""

    run_retention_days: float = Field(default=7, gt=0, le=3_650, validation_alias="RUN_RETENTION_DAYS")
    """How long a run's log is kept after its last event."""

    patience_s: float = Field(default=30, ge=0, le=3_600)
    """Seconds of an outage of the model or the rollout store that a run sits out before it fails."""

    quorum_share: float = Field(default=0.9, gt=0, le=1)
    """Share of a wave's subtasks after whose end the lead stops waiting for the others."""

    quorum_grace_s: float = Field(default=60, ge=0, le=3_600)
    """Seconds the others still get then."""

    idempotency_hours: float = Field(default=24, ge=24, le=720)
    """How long an `Idempotency-Key` is remembered."""

    upstream_cache_s: float = Field(default=2, ge=0, le=60)
    """How long an answer about the model's or retrieval's health is trusted."""

    worker_timeout_s: float = Field(default=30, ge=1, le=600)
    """Age of its last heartbeat at which a worker counts as gone."""

    max_streams: int = Field(default=1_000, ge=1, le=20_000)
    """Event streams and long polls open at once; each holds one connection to Redis."""

    ping_s: float = Field(default=10, gt=0, le=15)
    """Seconds of silence after which an event stream sends a comment."""

    max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    """Largest request body taken."""

    @property
    def retention_s(self) -> int:
        """The retention in seconds."""
        return max(1, int(self.run_retention_days * 86_400))

    @property
    def store_root(self) -> str:
        """Where rollouts lie."""
        return self.rollout_store or str(self.home / "rollouts")
