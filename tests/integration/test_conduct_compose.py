"""The composition root of a job: its parts are real ones, opened as settings and record say."""

import json
from pathlib import Path

import pytest

from services.trainer.conduct.compose import opened
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.publishing import StepPublishing
from services.trainer.conduct.sources import RolloutSource
from services.trainer.conduct.stop import StopSign
from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder, JobRecord, write_model
from services.trainer.settings import TrainerSettings
from tests.policy_engine import BASE_MODEL, PolicyEngine, serving
from wideseek.errors import Conflict


def base(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def job(tmp_path: Path, **values: object) -> tuple[JobFolder, JobRecord]:
    tasks = tmp_path / "q.jsonl"
    tasks.write_text(json.dumps({"instance_id": "q1", "question": "Where?", "answers": ["Here"]}) + "\n")
    held_out = tmp_path / "h.jsonl"
    held_out.write_text(json.dumps({"instance_id": "q2", "question": "Who?", "answers": ["You"]}) + "\n")
    body = {
        "model": {"base": str(base(tmp_path / "base"))},
        "data": {"questions": [str(tasks)]},
        "evaluation": {"tasks": [str(held_out)], "every": 5},
        **values,
    }
    folder = JobFolder(tmp_path / "jobs" / "tj_20260101000000_000000")
    record = JobRecord(
        job_id=folder.path.name,
        created_at=1.0,
        config=JobConfig.model_validate(body),
        rollouts_root=str(tmp_path / "rollouts"),
    )
    write_model(folder.record_file, record)
    return folder, record


async def test_a_job_opens_its_policy_before_it_gathers_anything(tmp_path: Path, redis_url: str) -> None:
    folder, record = job(tmp_path)
    stop = StopSign(folder)
    async with serving(PolicyEngine(tmp_path / "base")) as url:
        settings = TrainerSettings(home=tmp_path, redis_url=redis_url, replicas=(url,), env="test")
        async with opened(settings, folder, record, stop, Patience(stop=stop)) as parts:
            served = await parts.publishing.begin(0)
            source = parts.source(parts.ledger, served)

            assert isinstance(parts.publishing, StepPublishing)
            assert isinstance(source, RolloutSource)
            assert (served.version, parts.publishing.opened.model(0)) == (0, BASE_MODEL)
            assert parts.publishing.opened.model(3) == "policy@v3"
            assert parts.held_out is not None
            assert parts.index is not None
            assert await parts.index.read(record.job_id) == []


async def test_engines_of_another_base_end_the_job_with_what_to_change(tmp_path: Path, redis_url: str) -> None:
    folder, record = job(tmp_path)
    stop = StopSign(folder)
    other = tmp_path / "other"
    base(other)
    (other / "model.safetensors").write_text("{ }")
    async with serving(PolicyEngine(other)) as url:
        settings = TrainerSettings(home=tmp_path, redis_url=redis_url, replicas=(url,), env="test")
        async with opened(settings, folder, record, stop, Patience(stop=stop)) as parts:
            with pytest.raises(Conflict, match=r"set model\.base to that folder"):
                await parts.publishing.begin(0)
