"""Settings: one class a process, read once, every knob bounded and explained."""

import os
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_UNPREFIXED = frozenset(
    {
        "WIDESEEK_HOME",
        "WIDESEEK_ENV",
        "REDIS_URL",
        "LOG_LEVEL",
        "MODEL_URL",
        "MODEL_API_KEY",
        "MODEL_CONTEXT_TOKENS",
        "RETRIEVAL_URL",
        "RUN_RETENTION_DAYS",
        "WIDESEEK_ADMIN_KEY",
        "ROLLOUT_STORE",
        "TRAINER_URL",
        "ORCHESTRATOR_URL",
    }
)
"""Names that several services share and that therefore carry no service's prefix."""


class ServiceSettings(BaseSettings):
    """Fields every service has. Subclasses set `env_prefix` and add their own."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_file=None, populate_by_name=True)

    home: Path = Field(default=Path(".wideseek"), validation_alias="WIDESEEK_HOME")
    """Folder of all state: indexes, pages, model weights, policies, rollouts, logs, Redis data."""

    env: str = Field(default="dev", pattern=r"^[a-z0-9-]{1,32}$", validation_alias="WIDESEEK_ENV")
    """Name of this deployment; part of every Redis key (`ws:{env}:…`)."""

    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$", validation_alias="LOG_LEVEL")
    """Lowest level that is logged."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: Any) -> Any:
        """A misspelt variable must stop the process; pydantic-settings would drop it silently."""
        prefix = str(cls.model_config.get("env_prefix", "")).upper()
        if not prefix:
            return values
        known = {f"{prefix}{name.upper()}" for name in cls.model_fields} | _UNPREFIXED
        unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
        if unknown:
            raise ValueError(f"unknown variable {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        return values


class HttpSettings(ServiceSettings):
    """Fields of a service with an HTTP door."""

    host: str = "127.0.0.1"
    """Address to listen on. Keep the loopback address unless a gateway stands in front."""

    port: int = Field(default=0, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
