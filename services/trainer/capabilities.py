"""Combinations of settings that no code serves: each is refused at start, with what to write instead."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.trainer.config import JobConfig
    from wideseek.values import Frozen


def unsupported(job: "JobConfig") -> list[str]:
    """Combinations that no code serves, each as `key: why, and what to write instead`."""
    parts = (_sampling, _surrogate, _unused, _weights, _data, _layout)
    return [message for part in parts for wrong, message in part(job) if wrong]


def _sampling(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    sampling, rollouts = job.rollouts.sampling, job.rollouts
    return (
        (
            sampling.top_p < 1,
            "rollouts.sampling.top_p: must be 1; the kept set is not logged, so ratios would be wrong",
        ),
        (
            sampling.top_k > 0,
            "rollouts.sampling.top_k: must be -1; the kept set is not logged, so ratios would be wrong",
        ),
        (
            job.mode == "grpo" and sampling.temperature != 1 and rollouts.max_staleness > 0,
            "rollouts.sampling.temperature: not 1, and engines log probabilities at 1, so those of older policies are "
            "unknown; set rollouts.max_staleness to 0",
        ),
        (rollouts.min_group > rollouts.group_size, "rollouts.min_group: larger than group_size; lower it"),
        (
            rollouts.replace_zero_variance and rollouts.max_replacements == 0,
            "rollouts.max_replacements: 0, so replace_zero_variance does nothing; raise it",
        ),
        (
            not rollouts.replace_zero_variance and _changed(rollouts, "max_replacements"),
            "rollouts.max_replacements: of replace_zero_variance only; switch that on or leave it out",
        ),
    )


def _surrogate(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    loss = job.objective.policy_loss
    return (
        (
            loss.kl == "none" and loss.kl_beta > 0,
            "objective.policy_loss.kl: none, but kl_beta is above 0; choose k2 or k3",
        ),
        (
            loss.kl != "none" and loss.kl_beta == 0,
            "objective.policy_loss.kl_beta: 0, so kl does nothing; set it or kl: none",
        ),
        (
            loss.kl != "none" and job.model.adaptation == "full",
            "objective.policy_loss.kl: the reference is the base with the adapter off; model.adaptation must be lora",
        ),
        (loss.mis_low >= loss.mis_high, "objective.policy_loss.mis_low: must be below mis_high"),
        (
            loss.sequence_band is not None and not 0 <= loss.sequence_band[0] < loss.sequence_band[1],
            "objective.policy_loss.sequence_band: must rise from 0 or more, for example [0.99, 1.01]",
        ),
        (
            loss.kind != "ppo" and loss.tv_mask is not None,
            "objective.policy_loss.tv_mask: a trust region of ppo; leave it out with gspo or cispo",
        ),
        (
            loss.kind == "gspo" and loss.correction in {"tis", "mis"},
            "objective.policy_loss.correction: token-level, gspo's ratio is of the sequence; set it to none",
        ),
    )


def _unused(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    """Settings that were changed and that nothing reads under the others."""
    loss, weights, advantage = job.objective.policy_loss, job.objective.weights, job.objective.advantage
    return (
        (
            loss.kind != "ppo" and loss.dual_clip is not None and _changed(loss, "dual_clip"),
            "objective.policy_loss.dual_clip: of ppo only; leave it out with gspo or cispo",
        ),
        (
            (loss.correction not in {"auto", "tis"} or loss.kind == "gspo") and _changed(loss, "tis_cap"),
            "objective.policy_loss.tis_cap: of the tis correction only; set correction to tis or leave it out",
        ),
        (
            loss.correction != "mis" and (_changed(loss, "mis_low") or _changed(loss, "mis_high")),
            "objective.policy_loss.mis_low, mis_high: of the mis correction; set correction to mis or leave them out",
        ),
        (
            weights.scheme != "role" and _changed(weights, "lead_share"),
            "objective.weights.lead_share: of the role scheme only; set scheme to role or leave it out",
        ),
        (
            weights.scheme != "dr_grpo" and _changed(weights, "token_budget"),
            "objective.weights.token_budget: of the dr_grpo scheme only; set scheme to dr_grpo or leave it out",
        ),
        (
            advantage.estimator != "grpo" and _changed(advantage, "epsilon"),
            "objective.advantage.epsilon: of the grpo estimator only; leave it out with mean or rloo",
        ),
        (
            job.mode == "sft" and job.objective.advantage != type(advantage)(),
            "objective.advantage: mode sft has no rewards; leave it out",
        ),
        (
            job.mode == "sft" and loss != type(loss)(),
            "objective.policy_loss: mode sft maximises the likelihood itself; leave it out",
        ),
    )


def _weights(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    weights, compat = job.objective.weights, job.objective.weights.scheme == "reference_compat"
    return (
        (
            weights.scheme in {"rollout", "global"} and weights.failed_subagent == "count",
            "objective.weights.failed_subagent: count keeps a place in N, the scheme has no N; choose another",
        ),
        (
            job.mode == "sft" and weights.failed_subagent != "mask",
            "objective.weights.failed_subagent: mode sft leaves agents that failed out; set it to mask",
        ),
        (
            compat and (job.hardware.processes > 1 or job.hardware.nodes > 1),
            "objective.weights.scheme: reference_compat weights depend on the layout; hardware.processes must be 1",
        ),
        (
            compat and weights.failed_subagent in {"count", "blame"},
            f"objective.weights.failed_subagent: {weights.failed_subagent} is not what the reference does; choose mask "
            "or train",
        ),
        (
            job.mode == "sft" and weights.subagents is not None,
            "objective.weights.subagents: of mode grpo; mode sft takes as many as data.subagents says",
        ),
        (
            compat and weights.subagents is not None,
            "objective.weights.subagents: the reference trains on all of them; leave it out",
        ),
        (
            compat and job.objective.advantage.per_role,
            "objective.advantage.per_role: the reference has one advantage a rollout; set it to false",
        ),
    )


def _changed(settings: "Frozen", name: str) -> bool:
    """Whether a setting differs from its default; a file that states the default has changed nothing."""
    return bool(getattr(settings, name) != type(settings).model_fields[name].default)


def _data(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    data, sft = job.data, job.mode == "sft"
    return (
        (sft and not data.demonstrations, "data.demonstrations: mode sft learns from them; name files or job:<id>"),
        (
            sft and bool(data.wide or data.questions),
            "data.wide, data.questions: not asked in mode sft; leave them out (held-out tasks: evaluation.tasks)",
        ),
        (
            not sft and not (data.wide or data.questions),
            "data.wide: mode grpo needs tasks; name JSONL files here or in data.questions",
        ),
        (not sft and bool(data.demonstrations), "data.demonstrations: used in mode sft only; leave them out"),
        (
            not sft and job.publish.every == 0,
            "publish.every: 0, but mode grpo draws its rollouts from the published policy; set it to 1 or more",
        ),
        (
            not sft and job.publish.every > 0 and job.publish.every > job.rollouts.max_staleness + 1,
            "publish.every: rollouts would grow staler than rollouts.max_staleness; lower it or raise the bound",
        ),
        (
            job.evaluation.every > 0 and not job.evaluation.tasks,
            "evaluation.tasks: empty, but evaluation.every is above 0; name JSONL files",
        ),
    )


def _layout(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    batching, hardware, model = job.batching, job.hardware, job.model
    return (
        (
            model.adaptation == "full"
            and any(_changed(model, name) for name in ("lora_rank", "lora_alpha", "lora_targets")),
            "model.lora_rank, lora_alpha, lora_targets: of adaptation lora only; leave them out with full",
        ),
        (
            job.publish.promote != "canary" and _changed(job.publish, "canary_share"),
            "publish.canary_share: of promote canary only; set promote to canary or leave it out",
        ),
        (
            batching.layout == "packed" and hardware.device == "cpu",
            "batching.layout: packed needs varlen attention of an accelerator; choose sorted or auto",
        ),
        *_sharing(job),
        (
            hardware.launcher == "local" and hardware.nodes > 1,
            "hardware.nodes: more than one needs hardware.launcher trainjob",
        ),
        (
            hardware.launcher == "kubernetes" and hardware.nodes > 1,
            "hardware.nodes: a Job has one node; choose hardware.launcher trainjob",
        ),
        (
            job.optim.minibatches > job.rollouts.groups_per_step and job.mode == "grpo",
            "optim.minibatches: more than rollouts.groups_per_step; a group is never cut",
        ),
        (job.optim.warmup_steps >= job.steps > 1, "optim.warmup_steps: as long as the job; lower it"),
    )


def _sharing(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    loss, shared = job.objective.policy_loss, job.batching.layout == "shared"
    return (
        (
            shared and (job.hardware.processes > 1 or job.hardware.nodes > 1),
            "batching.layout: shared is of one process; choose sorted or auto",
        ),
        (
            shared and job.batching.activation_checkpointing,
            "batching.activation_checkpointing: keeps no keys, which layout shared needs; choose one of them",
        ),
        (
            shared and (loss.kind == "gspo" or loss.sequence_band is not None),
            "batching.layout: shared parts rows of a sequence, which gspo and sequence_band need whole; choose sorted",
        ),
        (
            shared and job.objective.weights.scheme == "reference_compat",
            "batching.layout: reference_compat weights are of the reference's layouts; choose sorted",
        ),
    )
