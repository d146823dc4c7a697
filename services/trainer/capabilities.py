"""Combinations of settings that no code serves: each is refused at start, with what to write instead."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.trainer.config import JobConfig


def unsupported(job: "JobConfig") -> list[str]:
    """Combinations that no code serves, each as `key: why, and what to write instead`."""
    return [message for wrong, message in (*_sampling(job), *_objective(job), *_data(job), *_layout(job)) if wrong]


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
            sampling.temperature != 1,
            "rollouts.sampling.temperature: must be 1; the engine logs log-probabilities of the unscaled distribution",
        ),
        (rollouts.min_group > rollouts.group_size, "rollouts.min_group: larger than group_size; lower it"),
    )


def _objective(job: "JobConfig") -> tuple[tuple[bool, str], ...]:
    loss, weights, advantage = job.objective.policy_loss, job.objective.weights, job.objective.advantage
    compat = weights.scheme == "reference_compat"
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
            loss.sequence_band is not None and loss.sequence_band[0] >= loss.sequence_band[1],
            "objective.policy_loss.sequence_band: must rise, for example [0.99, 1.01]",
        ),
        (
            loss.kind != "ppo" and loss.tv_mask is not None,
            "objective.policy_loss.tv_mask: a trust region of ppo; leave it out with gspo or cispo",
        ),
        (
            loss.kind == "gspo" and loss.correction in {"tis", "mis"},
            "objective.policy_loss.correction: token-level, gspo's ratio is of the sequence; set it to none",
        ),
        (
            compat and (job.hardware.processes > 1 or job.hardware.nodes > 1),
            "objective.weights.scheme: reference_compat weights depend on the layout; hardware.processes must be 1",
        ),
        (
            compat and weights.failed_subagent == "count",
            "objective.weights.failed_subagent: count is not what the reference does; choose mask or train",
        ),
        (
            advantage.per_role and weights.scheme == "reference_compat",
            "objective.advantage.per_role: the reference has one advantage a rollout; set it to false",
        ),
    )


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
    batching, hardware = job.batching, job.hardware
    return (
        (
            batching.layout == "packed" and hardware.device == "cpu",
            "batching.layout: packed needs varlen attention of an accelerator; choose sorted or auto",
        ),
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
