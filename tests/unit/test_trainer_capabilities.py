"""Combinations of a job's settings that no code serves: each is refused at start, with what to write."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from services.trainer.config import JobConfig
from services.trainer.objective.correction import resolved

Settings = dict[str, Any]
TASKS: Settings = {"data": {"wide": ["tasks.jsonl"]}}
DEMONSTRATIONS: Settings = {"mode": "sft", "data": {"demonstrations": ["job:tj_1"]}}


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> Settings:
    result = dict(base)
    for key, value in more.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return result


def nested(path: str, **settings: Any) -> Settings:
    for key in reversed(path.split(".")):
        settings = {key: settings}
    return settings


def loss(**settings: Any) -> Settings:
    return nested("objective.policy_loss", **settings)


def weights(**settings: Any) -> Settings:
    return nested("objective.weights", **settings)


def complaint(settings: Settings) -> str:
    with pytest.raises(ValidationError) as refused:
        JobConfig.model_validate(settings)
    (error,) = refused.value.errors()
    return str(error["msg"]).removeprefix("Value error, ")


REFUSED = [
    (nested("rollouts.sampling", top_p=0.9), "rollouts.sampling.top_p", "must be 1"),
    (nested("rollouts.sampling", top_k=20), "rollouts.sampling.top_k", "must be -1"),
    (nested("rollouts.sampling", temperature=0.7), "rollouts.sampling.temperature", "max_staleness to 0"),
    (nested("rollouts", min_group=9), "rollouts.min_group", "lower it"),
    (nested("rollouts", replace_zero_variance=True, max_replacements=0), "rollouts.max_replacements", "raise it"),
    (nested("rollouts", max_replacements=3), "rollouts.max_replacements", "leave it out"),
    (loss(kl_beta=0.1), "objective.policy_loss.kl", "choose k2 or k3"),
    (loss(kl="k3"), "objective.policy_loss.kl_beta", "set it or kl: none"),
    (
        merged(loss(kl="k2", kl_beta=0.1), nested("model", adaptation="full")),
        "objective.policy_loss.kl",
        "must be lora",
    ),
    (loss(correction="mis", mis_low=3), "objective.policy_loss.mis_low", "below mis_high"),
    (loss(sequence_band=[1.1, 0.9]), "objective.policy_loss.sequence_band", "for example [0.99, 1.01]"),
    (loss(sequence_band=[-1, 0.9]), "objective.policy_loss.sequence_band", "from 0 or more"),
    (loss(kind="gspo", tv_mask=0.2), "objective.policy_loss.tv_mask", "leave it out"),
    (loss(kind="cispo", tv_mask=0.2), "objective.policy_loss.tv_mask", "leave it out"),
    (loss(kind="gspo", correction="tis"), "objective.policy_loss.correction", "set it to none"),
    (loss(kind="gspo", correction="mis"), "objective.policy_loss.correction", "set it to none"),
    (loss(kind="gspo", dual_clip=5), "objective.policy_loss.dual_clip", "leave it out"),
    (loss(kind="cispo", dual_clip=5), "objective.policy_loss.dual_clip", "leave it out"),
    (loss(kind="gspo", tis_cap=3), "objective.policy_loss.tis_cap", "leave it out"),
    (loss(correction="none", tis_cap=3), "objective.policy_loss.tis_cap", "set correction to tis"),
    (loss(correction="mis", tis_cap=3), "objective.policy_loss.tis_cap", "set correction to tis"),
    (loss(correction="tis", mis_high=3), "objective.policy_loss.mis_low, mis_high", "set correction to mis"),
    (loss(mis_low=0.25), "objective.policy_loss.mis_low, mis_high", "set correction to mis"),
    (weights(lead_share=0.3), "objective.weights.lead_share", "set scheme to role"),
    (weights(token_budget=100), "objective.weights.token_budget", "set scheme to dr_grpo"),
    (weights(scheme="reference_compat", subagents=2), "objective.weights.subagents", "leave it out"),
    (
        nested("batching", layout="shared") | nested("hardware", processes=2),
        "batching.layout",
        "shared is of one process",
    ),
    (nested("batching", layout="shared", activation_checkpointing=True), "batching.activation_checkpointing", "one of"),
    (
        nested("batching", layout="shared") | nested("objective.policy_loss", kind="gspo"),
        "batching.layout",
        "choose sorted",
    ),
    (
        nested("batching", layout="shared") | weights(scheme="reference_compat"),
        "batching.layout",
        "choose sorted",
    ),
    (weights(scheme="global", failed_subagent="count"), "objective.weights.failed_subagent", "choose another"),
    (weights(scheme="rollout", failed_subagent="count"), "objective.weights.failed_subagent", "choose another"),
    (
        weights(scheme="reference_compat", failed_subagent="count"),
        "objective.weights.failed_subagent",
        "choose mask or train",
    ),
    (
        weights(scheme="reference_compat", failed_subagent="blame"),
        "objective.weights.failed_subagent",
        "choose mask or train",
    ),
    (
        merged(weights(scheme="reference_compat"), nested("hardware", processes=2)),
        "objective.weights.scheme",
        "hardware.processes must be 1",
    ),
    (
        merged(weights(scheme="reference_compat"), nested("objective.advantage", per_role=True)),
        "objective.advantage.per_role",
        "set it to false",
    ),
    (nested("objective.advantage", estimator="rloo", epsilon=1e-3), "objective.advantage.epsilon", "leave it out"),
    (nested("objective.advantage", estimator="mean", epsilon=0), "objective.advantage.epsilon", "leave it out"),
    (nested("model", adaptation="full", lora_rank=8), "model.lora_rank, lora_alpha, lora_targets", "leave them out"),
    (nested("publish", canary_share=0.2), "publish.canary_share", "set promote to canary"),
    (nested("publish", every=0), "publish.every", "set it to 1 or more"),
    (nested("publish", every=3), "publish.every", "rollouts.max_staleness"),
    (nested("evaluation", every=5), "evaluation.tasks", "name JSONL files"),
    (
        merged(nested("batching", layout="packed"), nested("hardware", device="cpu")),
        "batching.layout",
        "choose sorted or auto",
    ),
    (nested("hardware", nodes=2), "hardware.nodes", "launcher trainjob"),
    (nested("hardware", nodes=2, launcher="kubernetes"), "hardware.nodes", "launcher trainjob"),
    (nested("optim", minibatches=5), "optim.minibatches", "a group is never cut"),
    (nested("optim", warmup_steps=100), "optim.warmup_steps", "lower it"),
    (nested("data", demonstrations=["job:tj_1"]), "data.demonstrations", "leave them out"),
]


@pytest.mark.parametrize(("settings", "key", "advice"), REFUSED)
def test_a_combination_that_no_code_serves_is_refused_with_what_to_write(
    settings: Settings, key: str, advice: str
) -> None:
    said = complaint(merged(TASKS, settings))

    assert said.startswith(f"{key}: ")
    assert advice in said


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"mode": "sft"}, "data.demonstrations"),
        (merged(DEMONSTRATIONS, TASKS), "data.wide, data.questions"),
        (merged(DEMONSTRATIONS, nested("objective.advantage", estimator="mean")), "objective.advantage"),
        (merged(DEMONSTRATIONS, loss(kind="cispo")), "objective.policy_loss"),
        (merged(DEMONSTRATIONS, weights(failed_subagent="train")), "objective.weights.failed_subagent"),
        (merged(DEMONSTRATIONS, weights(subagents=2)), "objective.weights.subagents"),
        ({}, "data.wide"),
    ],
)
def test_a_mode_refuses_what_belongs_to_the_other(settings: Settings, key: str) -> None:
    said = complaint(settings)

    assert said.startswith(f"{key}: ")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        loss(kind="gspo", dual_clip=None),
        loss(kind="cispo", correction="tis", tis_cap=3),
        loss(correction="mis", mis_low=0.25, mis_high=4),
        loss(kl="k3", kl_beta=0.01, sequence_band=[0.99, 1.01], tv_mask=0.2),
        weights(scheme="role", lead_share=0.3, failed_subagent="count"),
        weights(scheme="dr_grpo", token_budget=100),
        weights(scheme="reference_compat", failed_subagent="train"),
        nested("objective.advantage", epsilon=0, per_role=True),
        nested("rollouts", replace_zero_variance=True, max_replacements=3),
        nested("rollouts", sampling={"temperature": 0.6}, max_staleness=0),
        nested("publish", promote="canary", canary_share=0.2),
    ],
)
def test_what_the_code_serves_is_taken_and_taken_again_as_it_was_resolved(settings: Settings) -> None:
    job = JobConfig.model_validate(merged(TASKS, settings))

    again = JobConfig.model_validate_json(job.model_dump_json())

    assert again == job


@pytest.mark.parametrize(
    ("kind", "asked", "staleness", "precision", "decided"),
    [
        ("ppo", "auto", 0, "float32", "none"),
        ("ppo", "auto", 1, "float32", "tis"),
        ("cispo", "auto", 0, "bfloat16", "tis"),
        ("gspo", "auto", 1, "bfloat16", "none"),
        ("ppo", "none", 1, "bfloat16", "none"),
        ("ppo", "mis", 0, "float32", "mis"),
    ],
)
def test_the_correction_is_decided_by_staleness_and_precision(
    kind: str, asked: str, staleness: int, precision: str, decided: str
) -> None:
    settings = merged(loss(kind=kind, correction=asked), nested("rollouts", max_staleness=staleness))
    job = JobConfig.model_validate(merged(TASKS, merged(settings, nested("model", precision=precision))))

    found = resolved(job)

    assert found.correction == decided
    assert found.kind == kind
