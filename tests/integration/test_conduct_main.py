"""The conductor as a process: exit codes, the lock, SIGTERM, a real learner behind it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.trainer.conduct.main import locked
from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder, JobRecord, write_model
from services.trainer.metrics.record import StepMetrics
from tests.learner_parts import rollout
from tests.servers import free_port, wait_until
from wideseek.codec import write_rollouts
from wideseek.errors import Conflict
from wideseek.rollout import RolloutSource


def job_folder(tmp_path: Path, config: JobConfig) -> JobFolder:
    folder = JobFolder(tmp_path / "home" / "jobs" / "tj_20260101000000_000000")
    record = JobRecord(job_id=folder.path.name, created_at=1.0, config=config, rollouts_root=str(tmp_path / "rollouts"))
    write_model(folder.record_file, record)
    return folder


def conductor(tmp_path: Path, *arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
    """The process, with nothing behind the addresses it knows."""
    nowhere = f"127.0.0.1:{free_port()}"
    env = {
        **os.environ,
        "WIDESEEK_HOME": str(tmp_path / "home"),
        "REDIS_URL": f"redis://{nowhere}/0",
        "ORCHESTRATOR_URL": f"http://{nowhere}",
        "MODEL_URL": f"http://{nowhere}",
        **settings,
    }
    command = [sys.executable, "-m", "services.trainer.conduct.main", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def base(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def tasks(path: Path) -> Path:
    path.write_text(json.dumps({"instance_id": "q1", "question": "Where?", "answers": ["Here"]}) + "\n")
    return path


def test_a_folder_without_a_job_is_refused_in_one_line(tmp_path: Path) -> None:
    with conductor(tmp_path, str(tmp_path)) as process:
        _, said = process.communicate(timeout=60)

    assert process.returncode == 2
    assert said.decode().splitlines() == [f"{tmp_path} holds no job.json; name the folder of a job"]


def test_a_job_that_somebody_conducts_is_refused(tmp_path: Path) -> None:
    folder = job_folder(tmp_path, JobConfig.model_validate({"data": {"questions": [str(tmp_path / "q.jsonl")]}}))

    with locked(folder):
        with conductor(tmp_path, str(folder.path)) as process:
            _, said = process.communicate(timeout=60)
        with pytest.raises(Conflict, match="another conductor"), locked(folder):
            pass

    assert process.returncode == 2
    assert b"another conductor works on this job" in said
    assert not folder.conducted()


def test_a_mistake_in_the_tasks_ends_the_job_before_anything_is_started(tmp_path: Path) -> None:
    wrong = tmp_path / "q.jsonl"
    wrong.write_text('{"instance_id": "q1", "question": ""}\n')
    folder = job_folder(tmp_path, JobConfig.model_validate({"data": {"questions": [str(wrong)]}}))

    with conductor(tmp_path, str(folder.path)) as process:
        process.communicate(timeout=60)

    assert process.returncode == 2
    assert folder.state().status == "failed"
    assert f"{wrong}:1" in folder.state().error.replace(", line 1", ":1")
    assert not (folder.logs / "learner.log").exists()


def test_a_job_that_was_cancelled_before_it_began_ends_at_once(tmp_path: Path) -> None:
    folder = job_folder(tmp_path, JobConfig.model_validate({"data": {"questions": [str(tasks(tmp_path / "q.jsonl"))]}}))
    folder.stop_file.touch()

    with conductor(tmp_path, str(folder.path)) as process:
        process.communicate(timeout=60)

    assert (process.returncode, folder.state().status) == (0, "cancelled")


def test_a_cluster_that_is_away_is_waited_for_until_the_process_is_told_to_end(tmp_path: Path) -> None:
    config = {
        "model": {"base": str(base(tmp_path / "base"))},
        "data": {"questions": [str(tasks(tmp_path / "q.jsonl"))]},
    }
    folder = job_folder(tmp_path, JobConfig.model_validate(config))

    with conductor(tmp_path, str(folder.path)) as process:
        wait_until(lambda: folder.state().error, seconds=60, what="the outage to be told")
        waiting = folder.state()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert (waiting.status, waiting.error[:27]) == ("running", "waiting to serve the policy")
    assert (process.returncode, folder.state().status) == (143, "cancelled")


@pytest.fixture
def supervised(tmp_path: Path) -> JobFolder:
    """A job that learns from demonstrations in three steps, without a cluster."""
    from tests.learner_torch_parts import base_folder  # noqa: PLC0415  # torch, only where it is needed

    with (tmp_path / "d.bin").open("wb") as file:
        write_rollouts((rollout(number, source=RolloutSource.DEMONSTRATION) for number in range(4)), file)
    config = {
        "mode": "sft",
        "steps": 3,
        "sft_rows_per_step": 2,
        "model": {"base": str(base_folder(tmp_path / "base")), "precision": "float32", "lora_rank": 2},
        "data": {"demonstrations": [str(tmp_path / "d.bin")]},
        "publish": {"every": 0},
        "optim": {"lr": 1e-2},
        "hardware": {"device": "cpu", "threads": 1},
    }
    return job_folder(tmp_path, JobConfig.model_validate(config))


def test_a_supervised_job_survives_the_death_of_its_learner_and_of_itself(
    tmp_path: Path, supervised: JobFolder
) -> None:
    def lines() -> list[StepMetrics]:
        file = supervised.metrics_file
        return (
            [StepMetrics.model_validate_json(line) for line in file.read_text().splitlines()] if file.exists() else []
        )

    with conductor(tmp_path, str(supervised.path)) as process:
        wait_until(supervised.manifest_file(1).exists, seconds=60, what="the first manifest")
        os.kill(learner_of(process.pid), signal.SIGKILL)
        wait_until(supervised.committed, seconds=120, what="the first checkpoint")
        process.kill()
        process.communicate(timeout=60)
    taken_up = supervised.committed()
    with conductor(tmp_path, str(supervised.path)) as process:
        _, log = process.communicate(timeout=180)

    assert process.returncode == 0, log.decode()[-2_000:]
    assert (supervised.state().status, supervised.state().step) == ("completed", 3)
    assert taken_up[0] == 1
    assert [line.step for line in lines()] == [1, 2, 3]
    assert all(line.scalars["tokens/trained"] > 0 for line in lines())
    assert lines()[0].scalars["loss/value"] != lines()[2].scalars["loss/value"]


def learner_of(conductor_pid: int) -> int:
    """The process id of a conductor's only child."""
    children = Path(f"/proc/{conductor_pid}/task/{conductor_pid}/children")
    wait_until(lambda: children.read_text().split(), seconds=30, what="the learner")
    return int(children.read_text().split()[0])
