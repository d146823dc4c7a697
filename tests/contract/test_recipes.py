"""Every file in `recipes/` is what its name says, and holds as far as a machine without GPUs and weights can tell."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli.main import app
from services.cli.recipes.recipe import Places, read_recipe
from services.trainer.jobs.assumptions import NAME, read_assumptions
from services.trainer.jobs.cost import estimate
from services.trainer.jobs.files import read_job
from services.trainer.jobs.fleet import fleet
from tests.manifests import ROOT, named, pod, rendered
from tests.trainer_parts import desk

RECIPES = ROOT / "recipes"
QWEN = RECIPES / "qwen3-4b"
JOBS = [path for path in sorted(RECIPES.rglob("*.toml")) if path.name not in {NAME, "recipe.toml"}]
PARAMETERS = 4_022_468_096
"""Of Qwen3-4B, embeddings included, by its `config.json`: 151,936 x 2,560 + 36 x 100,926,976 + 2,560."""


def name(path: Path) -> str:
    return str(path.relative_to(RECIPES))


@pytest.mark.parametrize("path", JOBS, ids=name)
async def test_a_job_file_passes_the_dry_run_that_no_hardware_is_needed_for(path: Path, tmp_path: Path) -> None:
    config = read_job(path)
    beside = path.parent / NAME

    at = desk(tmp_path)
    dry = await at.dry_run(config, offline=True, assumed=read_assumptions(beside) if beside.exists() else None)

    assert dry.config_sha256 == at.started(config).sha256
    assert dry.checks["hardware"].startswith("not checked: ")


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=name)
def test_a_recipe_names_no_folder_of_one_machine(path: Path) -> None:
    text = path.read_text("utf-8")

    assert not re.search(r"/(home|root|work|tmp|Users)/", text)


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("recipe.toml")), ids=name)
def test_every_command_of_a_recipe_exists_as_it_is_written(path: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path)
    places = Places(path.parent, tmp_path, recipe.vars)

    for stage in recipe.stages:
        for command in stage.commands:
            words = [places.fill(word, key="0" * 64) for word in command.run]
            assert words[0] in {"wideseek", "cp"}, words
            if words[0] == "wideseek":
                parsed(words[1:])
            up = command.up if command.up is not None else stage.up
            if up is not None:
                parsed(["up", *(places.fill(word) for word in up), "--detach"])


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("recipe.toml")), ids=name)
def test_what_a_stage_takes_an_earlier_one_leaves_or_the_repository_holds(path: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path)
    places, left = Places(path.parent, tmp_path, recipe.vars), set[Path]()

    for stage in recipe.stages:
        for text in stage.inputs:
            known = places.path(text)
            if known.is_relative_to(tmp_path) or not known.is_absolute():
                assert any(known == one or known.is_relative_to(one) for one in left) or (ROOT / known).exists(), text
            else:
                assert known.exists(), text
        left |= {places.path(text) for text in stage.outputs}


def parsed(words: list[str]) -> None:
    """Fail unless the command exists and takes these words."""
    group: Any = typer.main.get_command(app)
    while hasattr(group, "commands"):
        group, words = group.commands[words[0]], words[1:]
    group.make_context("wideseek", words)


def test_the_published_hyper_parameters_are_in_both_grpo_files() -> None:
    for adaptation, rate in (("full", 1e-6), ("lora", 1e-5)):
        job = read_job(QWEN / f"grpo-{adaptation}.toml")
        loss = job.objective.policy_loss
        assert (job.model.adaptation, job.optim.lr) == (adaptation, rate)
        assert (job.rollouts.group_size, job.rollouts.groups_per_step, job.planned) == (8, 128, 1_024)
        assert (loss.clip_low, loss.clip_high, loss.dual_clip, loss.kl) == (0.2, 0.28, 10, "none")
        assert (job.optim.beta1, job.optim.beta2, job.optim.eps, job.optim.weight_decay) == (0.9, 0.999, 1e-5, 0.01)
        assert (job.optim.max_grad_norm, job.optim.warmup_steps, job.optim.schedule) == (1.0, 0, "constant")
        assert (job.rollouts.limits.max_turns, job.rollouts.limits.max_width) == (10, 10)
        assert (job.rollouts.max_staleness, job.rollouts.sampling.temperature) == (0, 1)
        assert (job.reward.format_bonus, job.reward.access_bonus, job.reward.length_penalty) == (0.1, 0.05, 0.1)


def test_the_warm_start_s_adapter_is_one_that_grpo_goes_on_from() -> None:
    first, second = read_job(QWEN / "sft.toml").model, read_job(QWEN / "grpo-lora.toml").model

    assert (first.lora_rank, first.lora_alpha, first.base) == (second.lora_rank, second.lora_alpha, second.base)
    assert read_job(QWEN / "sft.toml").policy == read_job(QWEN / "grpo-lora.toml").policy


def test_the_engine_of_the_overlay_takes_what_the_recipe_needs() -> None:
    job = read_job(QWEN / "grpo-lora.toml")
    deployment = named(rendered("overlays/qwen3-4b"), "Deployment", "model")
    container = pod(deployment)["containers"][0]
    given = dict(word.removeprefix("--").split("=", 1) for word in container["args"] if "=" in word)
    gpus = int(container["resources"]["limits"]["nvidia.com/gpu"])

    assert int(given["max-lora-rank"]) >= job.model.lora_rank
    assert int(given["max-model-len"]) <= job.batching.max_row_tokens
    assert int(given["tensor-parallel-size"]) == gpus == 2
    assert deployment["spec"]["replicas"] * gpus == read_assumptions(QWEN / NAME).engine_gpus.value
    assert given["dtype"] == job.model.precision
    assert {"name": "VLLM_SERVER_DEV_MODE", "value": "1"} not in container["env"]


def test_only_the_overlay_of_full_training_opens_the_routes_that_replace_weights() -> None:
    container = pod(named(rendered("overlays/qwen3-4b-full"), "Deployment", "model"))["containers"][0]

    assert {"name": "VLLM_SERVER_DEV_MODE", "value": "1"} in container["env"]
    assert {"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "1"} in container["env"]


def test_the_estimate_in_the_recipe_s_readme_is_what_the_dry_run_says() -> None:
    text = (QWEN / "README.md").read_text("utf-8")
    assumed = read_assumptions(QWEN / NAME)

    for file in ("sft", "grpo-lora", "grpo-full"):
        job = read_job(QWEN / f"{file}.toml")
        found = estimate(job, None, None, accelerator=False, assumed=assumed)
        costs = fleet(job, found, assumed)
        hours = f"{costs.hours:.1f}" if costs.hours < 10 else f"{costs.hours:.0f}"
        assert found.parameters == PARAMETERS
        assert f"| `{file}.toml` | {costs.learner_gpu_hours:,.0f} | {costs.engine_gpu_hours:,.0f} | {hours} h |" in text


def test_every_figure_states_where_it_comes_from() -> None:
    assumed = read_assumptions(QWEN / NAME)

    assert all(re.match("(measured|assumed): ", figure.source) for figure in assumed.figures().values())
    assert json.loads(assumed.model_dump_json())
