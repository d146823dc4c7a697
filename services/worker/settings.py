"""Settings of a worker process."""

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HttpSettings


class WorkerSettings(HttpSettings):
    """One field per knob; the docstring under it is its documentation."""

    model_config = SettingsConfigDict(env_prefix="WORKER_")

    port: int = Field(default=8084, ge=0, le=65535)
    """Port of the worker's own door: health, readiness, metrics. 0 takes a free one."""

    redis_url: str = Field(
        default="redis://127.0.0.1:6380/0",
        pattern=r"^rediss?://|^unix://",
        validation_alias="REDIS_URL",
    )
    """Redis or Valkey: the queue and the run log."""

    model_url: str = Field(
        default="http://127.0.0.1:8082",
        pattern=r"^https?://",
        validation_alias="MODEL_URL",
    )
    """Base URL of the model engine, or of any OpenAI-compatible endpoint."""

    model_api_key: SecretStr | None = Field(default=None, validation_alias="MODEL_API_KEY")
    """Bearer key of the model endpoint, when it wants one."""

    model_context_tokens: int | None = Field(default=None, ge=512, validation_alias="MODEL_CONTEXT_TOKENS")
    """Context of an endpoint that does not state its own."""

    retrieval_url: str = Field(
        default="http://127.0.0.1:8081",
        pattern=r"^https?://",
        validation_alias="RETRIEVAL_URL",
    )
    """Base URL of the retrieval service."""

    slots: int = Field(default=128, ge=1, le=2_000)
    """Subagents this process works on at once."""

    max_attempts: int = Field(default=3, ge=1, le=20)
    """Times a subtask may be begun before it is given up as poison; soft stops do not count."""

    max_turns: int = Field(default=20, ge=1, le=100)
    """Turns of a subagent."""

    max_items: int = Field(default=5, ge=1, le=50)
    """Searches and pages a subagent may ask for in one turn."""

    patience_s: float = Field(default=20, ge=0, le=600)
    """Seconds of an outage a subagent sits out before it fails."""

    visibility_timeout_s: float = Field(default=90, gt=0)
    """Seconds without a lease renewal after which a message is given to another worker."""

    lease_interval_s: float = Field(default=15, gt=0)
    """Seconds between lease renewals."""

    soft_shutdown_timeout_s: float = Field(default=45, ge=0)
    """Seconds that running subagents get to finish when the process is asked to stop."""

    retention_days: float = Field(default=7, gt=0, validation_alias="RUN_RETENTION_DAYS")
    """Days a run's log is kept."""

    @model_validator(mode="after")
    def _lease_outlives_stop(self) -> "WorkerSettings":
        needed = self.soft_shutdown_timeout_s + 2 * self.lease_interval_s
        if self.visibility_timeout_s <= needed:
            raise ValueError(
                f"visibility_timeout_s ({self.visibility_timeout_s:g}) must exceed soft_shutdown_timeout_s"
                f" + 2 × lease_interval_s ({needed:g})"
            )
        return self
