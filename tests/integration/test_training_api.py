"""Training jobs through the trainer's HTTP door."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from services.kit.admin import AdminKey
from services.kit.http import Readiness
from services.trainer.app import build_app
from services.trainer.folder import JobState, write_model
from tests.trainer_parts import ListedLauncher, desk, write_base, write_tasks

KEY = {"Authorization": "Bearer sesame"}
JOBS = "/v1/admin/training-jobs"


async def _ready() -> Readiness:
    return Readiness(ready=True, checks={})


def _client(tmp_path: Path, *, key: str | None = "sesame", host: str = "0.0.0.0") -> httpx.AsyncClient:
    app = build_app(
        desk(tmp_path, ListedLauncher()),
        APIRouter(),
        AdminKey(key, host),
        ready=_ready,
        registry=CollectorRegistry(),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://trainer")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(tmp_path) as client:
        yield client


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    base, tasks = write_base(tmp_path / "base"), write_tasks(tmp_path / "train.jsonl")
    return {"steps": 5, "model": {"base": str(base)}, "data": {"wide": [str(tasks)]}}


async def test_a_job_is_started_read_listed_and_cancelled(client: httpx.AsyncClient, config: dict[str, Any]) -> None:
    made = await client.post(JOBS, json={"config": config}, headers=KEY)
    place = made.headers["location"]

    shown = await client.get(place, headers=KEY)
    listed = await client.get(JOBS, headers=KEY)
    cancelled = await client.post(f"{place}/cancel", headers=KEY)

    assert made.status_code == 202
    assert shown.json()["status"] == "queued"
    assert shown.json()["config"]["optim"]["lr"] == 1e-5
    assert [item["id"] for item in listed.json()["data"]] == [made.json()["id"]]
    assert cancelled.status_code == 202


async def test_a_second_job_on_the_policy_is_a_conflict(client: httpx.AsyncClient, config: dict[str, Any]) -> None:
    first = await client.post(JOBS, json={"config": config}, headers=KEY)

    second = await client.post(JOBS, json={"config": config}, headers=KEY)

    assert second.status_code == 409
    assert second.headers["content-type"] == "application/problem+json"
    assert first.json()["id"] in second.json()["detail"]


async def test_a_dry_run_starts_nothing_and_estimates(client: httpx.AsyncClient, config: dict[str, Any]) -> None:
    dry = await client.post(JOBS, json={"config": config, "dry_run": True}, headers=KEY)

    assert dry.status_code == 200
    assert dry.json()["estimate"]["rollouts"] == 5 * 32
    assert dry.json()["checks"]["data.wide: train.jsonl"] == "1 tasks"
    assert (await client.get(JOBS, headers=KEY)).json()["data"] == []


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"stepz": 3}, "/config/stepz", "unknown field"),
        ({"rollouts": {"sampling": {"top_p": 0.9}}}, "/config", "top_p: must be 1"),
        ({"reward": {"style_bonus": 1}}, "/config/reward/style_bonus", "unknown field"),
        ({"steps": 0}, "/config/steps", "greater than or equal to 1"),
    ],
)
async def test_a_bad_configuration_is_refused_with_what_to_change(
    client: httpx.AsyncClient, config: dict[str, Any], change: dict[str, Any], pointer: str, said: str
) -> None:
    refused = await client.post(JOBS, json={"config": {**config, **change}}, headers=KEY)

    assert refused.status_code == 422
    assert said in refused.json()["detail"]
    assert refused.json()["errors"][0]["pointer"] == pointer


async def test_a_missing_corpus_is_refused(client: httpx.AsyncClient, config: dict[str, Any]) -> None:
    config["data"]["corpora"] = ["moon"]

    refused = await client.post(JOBS, json={"config": config}, headers=KEY)

    assert refused.status_code == 422
    assert "data.corpora: moon not served; served: factbook" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [({}, 401, "key-missing"), ({"Authorization": "Bearer wrong"}, 403, "key-refused"), (KEY, 200, "")],
)
async def test_the_door_asks_for_the_key(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.get(JOBS, headers=headers)

    assert answer.status_code == status
    assert answer.json().get("code", "") == code


@pytest.mark.parametrize(("host", "status"), [("0.0.0.0", 403), ("10.0.0.7", 403), ("127.0.0.1", 200), ("::1", 200)])
async def test_without_a_key_only_a_loopback_door_is_open(tmp_path: Path, host: str, status: int) -> None:
    async with _client(tmp_path, key=None, host=host) as client:
        answer = await client.get(JOBS)

    assert answer.status_code == status


async def test_events_start_after_the_number_a_client_names(
    tmp_path: Path, client: httpx.AsyncClient, config: dict[str, Any]
) -> None:
    made = (await client.post(JOBS, json={"config": config}, headers=KEY)).json()
    folder = tmp_path / "jobs" / made["id"]
    steps = [{"step": number, "at": 0.0, "policy_version": number} for number in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    write_model(folder / "state.json", JobState(status="completed", step=3, updated_at=time.time()))

    whole = await client.get(f"{JOBS}/{made['id']}/events", headers=KEY)
    rest = await client.get(f"{JOBS}/{made['id']}/events", headers={**KEY, "Last-Event-ID": "2"})
    bad = await client.get(f"{JOBS}/{made['id']}/events", headers={**KEY, "Last-Event-ID": "two"})
    lines = await client.get(f"{JOBS}/{made['id']}/metrics", headers=KEY)

    assert [line for line in whole.text.split("\n") if line.startswith("id:")] == ["id: 1", "id: 2", "id: 3"]
    assert [line for line in rest.text.split("\n") if line.startswith("id:")] == ["id: 3"]
    assert bad.status_code == 422
    assert len(lines.text.splitlines()) == 3


async def test_a_report_is_made_when_somebody_asks_and_what_is_not_there_is_not_found(
    client: httpx.AsyncClient, config: dict[str, Any]
) -> None:
    made = (await client.post(JOBS, json={"config": config}, headers=KEY)).json()

    report = await client.get(f"{JOBS}/{made['id']}/report", headers=KEY)
    unknown = await client.get(f"{JOBS}/tj_20260101000000_aaaaaa", headers=KEY)

    assert report.headers["content-type"].startswith("text/html")
    assert "No step has been done yet" in report.text
    assert (unknown.status_code, unknown.json()["code"]) == (404, "job-not-found")
