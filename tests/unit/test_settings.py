"""Settings come from their own variables, and from no others."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.model.settings import ModelSettings
from services.orchestrator.settings import OrchestratorSettings
from services.retrieval.settings import RetrievalSettings
from services.worker.settings import WorkerSettings

ALL = [ModelSettings, OrchestratorSettings, RetrievalSettings, WorkerSettings]


@pytest.mark.parametrize("kind", ALL)
def test_the_shells_own_variables_are_not_ours(kind: type[ModelSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setenv("ENV", "somewhere")
    monkeypatch.delenv("WIDESEEK_HOME", raising=False)
    monkeypatch.delenv("WIDESEEK_ENV", raising=False)

    settings = kind()

    assert settings.home == Path(".wideseek")
    assert settings.env == "dev"


@pytest.mark.parametrize("kind", ALL)
def test_shared_names_reach_every_service(kind: type[ModelSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDESEEK_HOME", "/data")
    monkeypatch.setenv("MODEL_API_KEY", "secret")
    monkeypatch.setenv("MODEL_URL", "http://elsewhere")

    assert kind().home == Path("/data")


def test_a_misspelt_variable_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_SLOT", "5")

    with pytest.raises(ValidationError, match="unknown variable WORKER_SLOT"):
        WorkerSettings()


def test_a_lease_must_outlive_a_soft_stop() -> None:
    with pytest.raises(ValidationError, match="must exceed soft_shutdown_timeout_s"):
        WorkerSettings(visibility_timeout_s=10, soft_shutdown_timeout_s=10, lease_interval_s=1)
