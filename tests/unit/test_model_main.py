"""How the model service starts: what vLLM is given, and what a missing engine says."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.model.main import EngineMissing, exec_vllm, vllm_arguments, vllm_environment
from services.model.settings import ModelSettings


def settings(tmp_path: Path, **values: object) -> ModelSettings:
    return ModelSettings.model_validate({"home": tmp_path, "python": tmp_path / "none/bin/python", **values})


def test_vllm_is_started_with_our_template_and_adapters_at_run_time(tmp_path: Path) -> None:
    chosen = settings(tmp_path, engine="vllm", port=9999)

    arguments = vllm_arguments(chosen, "/weights")

    pairs = dict(itertools.pairwise(arguments))
    assert arguments[:2] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert pairs["--model"] == "/weights"
    assert pairs["--port"] == "9999"
    assert pairs["--max-model-len"] == "8192"
    assert pairs["--chat-template"] == "/weights/chat_template.jinja"
    assert "--enable-lora" in arguments
    assert vllm_environment(chosen)["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


def test_weights_of_ones_own_keep_their_template(tmp_path: Path) -> None:
    chosen = settings(tmp_path, engine="vllm", path="/models/mine", served_name="mine")

    assert "--chat-template" not in vllm_arguments(chosen, "/models/mine")


def test_a_missing_engine_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match="make setup-model"):
        exec_vllm(settings(tmp_path, engine="vllm"))

    assert not list(tmp_path.iterdir())


def test_the_process_ends_with_one_line_when_the_engine_is_missing(tmp_path: Path) -> None:
    variables = {"MODEL_ENGINE": "vllm", "MODEL_PYTHON": str(tmp_path / "none"), "WIDESEEK_HOME": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "services.model.main"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "make setup-model" in done.stderr
    assert "index" in done.stderr
