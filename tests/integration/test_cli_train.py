"""`wideseek train` as people use it: checked, run, interrupted, resumed, refused in one line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.cli.training import step_line
from services.trainer.folder import JobFolder
from services.trainer.metrics.read import read_metrics
from tests.learner_parts import rollout
from tests.learner_torch_parts import base_folder
from tests.servers import free_port, wait_until
from tests.trainer_parts import write_base, write_tasks
from wideseek.codec import write_rollouts
from wideseek.rollout import RolloutSource


def command(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    """The command, with nobody behind the addresses it knows."""
    nowhere = f"127.0.0.1:{free_port()}"
    env = {
        **os.environ,
        "WIDESEEK_HOME": str(home),
        "REDIS_URL": f"redis://{nowhere}/0",
        **{f"{name}_URL": f"http://{nowhere}" for name in ("ORCHESTRATOR", "MODEL", "RETRIEVAL")},
        "COLUMNS": "200",
    }
    words = [sys.executable, "-m", "services.cli.main", "train", *arguments]
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(home: Path, *arguments: str) -> tuple[int, str, str]:
    with command(home, *arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def write_job(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def grpo(tmp_path: Path) -> Path:
    """A job over a base of zeros and one task."""
    write_tasks(tmp_path / "tasks.jsonl")
    base = write_base(tmp_path / "base")
    return write_job(tmp_path / "job.toml", ["[model]", f'base = "{base}"', "[data]", 'wide = ["tasks.jsonl"]'])


@pytest.fixture
def sft(tmp_path: Path) -> Path:
    """A supervised job that needs no cluster."""
    with (tmp_path / "d.bin").open("wb") as file:
        write_rollouts((rollout(number, source=RolloutSource.DEMONSTRATION) for number in range(4)), file)
    base = base_folder(tmp_path / "base")
    return write_job(
        tmp_path / "sft.toml",
        [
            'mode = "sft"',
            "steps = 3",
            "sft_rows_per_step = 2",
            "[model]",
            f'base = "{base}"',
            'precision = "float32"',
            "lora_rank = 2",
            "[data]",
            'demonstrations = ["d.bin"]',
            "[publish]",
            "every = 0",
            "[hardware]",
            'device = "cpu"',
            "threads = 1",
        ],
    )


def test_a_dry_run_checks_and_estimates_and_leaves_nothing(tmp_path: Path, grpo: Path) -> None:
    code, out, _ = ended(tmp_path / "home", str(grpo), "--dry-run", "--set", "steps=5", "--format", "json")

    dry = json.loads(out)
    assert code == 0
    assert dry["config"]["steps"] == 5
    assert dry["estimate"]["parameters"] == 100 * 8 + 8 * 8
    assert dry["checks"]["data.wide: tasks.jsonl"] == "1 tasks"
    assert dry["checks"]["engine"].startswith("not checked: model cannot be asked")
    assert not (tmp_path / "home" / "jobs").exists()


RECIPE = Path(__file__).parents[2] / "recipes" / "qwen3-4b"


def test_an_offline_dry_run_estimates_by_the_assumptions_beside_the_file(tmp_path: Path) -> None:
    code, out, _ = ended(tmp_path / "home", str(RECIPE / "grpo-lora.toml"), "--dry-run", "--offline")
    other = tmp_path / "other.toml"
    other.write_text((RECIPE / "assumptions.toml").read_text("utf-8").replace("value = 0.5", "value = 1.0"))
    named = ended(
        tmp_path / "home",
        *(str(RECIPE / "grpo-lora.toml"), "--dry-run", "--offline", "--assume", str(other), "--format", "json"),
    )

    assert code == named[0] == 0
    assert "assumed: 40 % of an H100" in out
    assert "not checked here: data.wide: wide.jsonl, data.questions: qa.jsonl, model.base, hardware" in out
    assert round(json.loads(named[1])["fleet"]["engine_gpu_hours"]) == 1_075
    assert not (tmp_path / "home" / "jobs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["job.toml", "--as", "a/b"], "--as a/b: letters, digits"),
        (["job.toml", "--as", "a", "--dry-run"], "--as names a job that is started"),
        (["job.toml", "--offline"], "--offline and --assume are of a dry run: add --dry-run"),
        (["job.toml", "--dry-run", "--assume", "none.toml"], "none.toml: cannot be read (No such file"),
        (["job.toml", "--set", "foo=1"], "foo: unknown key"),
        (["job.toml", "--set", "rollouts.sampling.top_p=0.9"], "rollouts.sampling.top_p: must be 1"),
        (["job.toml"], "engine: model cannot be asked"),
        (["none.toml"], "no such file"),
        ([], "name a job's TOML file"),
        (["--resume", "tj_20260101000000_aaaaaa"], "no training job"),
        (["job.toml", "--resume", "tj_20260101000000_aaaaaa"], "name a job's TOML file, or a job to --resume"),
        (["--resume", "tj_20260101000000_aaaaaa", "--dry-run"], "leave out --set and --dry-run"),
        (["job.toml", "--dry-run", "--format", "xml"], "expected text or json"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, grpo: Path, arguments: list[str], said: str) -> None:
    words = [str(grpo.parent / word) if word.endswith(".toml") else word for word in arguments]

    code, out, err = ended(tmp_path / "home", *words)

    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_a_job_is_interrupted_after_its_step_and_goes_on_to_its_end(tmp_path: Path, sft: Path) -> None:
    home = tmp_path / "home"

    with command(home, str(sft)) as process:
        wait_until(lambda: list(home.glob("jobs/tj_*/logs/learner.log")), seconds=60, what="the learner's start")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    (path,) = home.glob("jobs/tj_*")
    code, out, _ = ended(home, "--resume", path.name)

    folder = JobFolder(path)
    assert process.returncode == 5, err
    assert f"go on with: wideseek train --resume {path.name}" in err
    assert code == 0
    assert f"{path.name} completed: 3 steps" in out
    assert [line.step for line in read_metrics(folder.metrics_file)] == [1, 2, 3]
    assert folder.adapter(3).is_dir()
    assert "Loss" in folder.report_file.read_text("utf-8")


def test_a_job_with_a_name_is_gone_on_with_by_the_same_command(tmp_path: Path, sft: Path) -> None:
    home = tmp_path / "home"

    with command(home, str(sft), "--as", "warm-start") as process:
        wait_until(lambda: list(home.glob("jobs/tj_*/logs/learner.log")), seconds=60, what="the learner's start")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    again, done = (ended(home, str(sft), "--as", "warm-start") for _ in range(2))
    refused = ended(home, str(sft), "--as", "warm-start", "--set", "steps=4")

    (path,) = home.glob("jobs/tj_*")
    assert process.returncode == 5
    assert again[0] == done[0] == 0
    assert f"{path.name} completed: 3 steps" in again[1]
    assert done[1].startswith(f"{path.name} completed: 3 steps")
    assert (home / "jobs" / "named" / "warm-start").resolve() == path.resolve()
    assert (home / "jobs" / "named" / "warm-start" / "metrics.jsonl").is_file()
    assert refused[0] == 2
    assert f"--as warm-start: {path.name} was made with another configuration" in refused[2]


def test_a_step_is_told_in_one_line() -> None:
    line = {
        "step": 7,
        "policy_version": 6,
        "scalars": {"reward/mean": 0.525, "ratio/mean": 0.99999, "tokens/trained": 1118.0},
        "evaluation": [{"metric": "item_f1", "mean": 0.5, "version": 6}],
    }

    assert step_line(line) == "step    7  v6  reward 0.525  ratio 1  tokens 1118  item_f1 0.500 (v6)"
