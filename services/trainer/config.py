"""A training job's configuration: one TOML file, every key known, every unsupported combination refused.

What cannot be judged from the file alone (a corpus that is not served, a base that differs) is judged by
`services.trainer.jobs.checks` before anything is started.
"""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from services.trainer.capabilities import unsupported
from wideseek.contracts import Limits, Mode, PromptProfile
from wideseek.rewards import RewardRule
from wideseek.values import Frozen

POLICY_NAME = r"^[a-z][a-z0-9-]{0,39}$"


class ModelConfig(Frozen):
    """What is trained."""

    base: str = Field(default="smollm2", min_length=1)
    """`smollm2`, the bundled model, or a folder with a model that transformers loads."""
    adaptation: Literal["lora", "full"] = "lora"
    lora_rank: int = Field(default=16, ge=1, le=512)
    lora_alpha: float = Field(default=32, gt=0)
    lora_targets: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), min_length=1
    )
    """Linear layers of attention and MLP; embeddings may be tied to the head and are left alone."""
    precision: Literal["float32", "bfloat16", "fastest"] = "bfloat16"
    """Number format of forward and backward; optimiser state and trained weights are float32.

    `fastest`: what the machine computes fastest in, as an engine with `MODEL_DTYPE=fastest` serves; settled when the
    job is made."""
    start: Literal["current", "base"] = "current"
    """Where a job without `init_adapter` starts: at the policy's current version, or at the base. Decided once, when
    the job is made."""
    init_adapter: Path | None = None
    """Folder of an adapter to start from."""


class DataConfig(Frozen):
    """What is trained on."""

    wide: tuple[Path, ...] = ()
    """JSONL files of wide tasks in WideSearch's instance format."""
    questions: tuple[Path, ...] = ()
    """JSONL files of questions."""
    wide_share: float = Field(default=0.5, ge=0, le=1)
    """Share of groups that are wide tasks, where both kinds are given."""
    demonstrations: tuple[str, ...] = ()
    """Supervised mode: files of length-delimited rollouts, or `job:<id>` for what that job has stored."""
    subagents: int | None = Field(default=None, ge=1)
    """Supervised mode: subagents of a demonstration that are learnt from, drawn anew by its id; None: all of them."""
    max_context: int | None = Field(default=None, ge=64)
    """Supervised mode: turns whose prompt and completion have more tokens together are not learnt from, and what is
    computed of an agent ends before them; None: however long they are."""
    corpora: tuple[str, ...] = ()
    """Corpora to search; empty means the default corpus."""


class SamplingConfig(Frozen):
    """How rollouts are drawn. What cuts the distribution is refused: its log-probabilities are not logged."""

    temperature: float = Field(default=1.0, gt=0, le=2)
    """Rollouts are learnt from at this temperature too: what is improved is the distribution they are drawn from. One
    other than 1 needs `max_staleness` 0."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=-1, ge=-1)
    seed: int | None = Field(default=None, ge=0)
    """What the seed of each rollout is derived from, in training and on held-out tasks; None sends no seed. One seed
    holds for a whole run, so subagents that are asked alike draw alike, and vLLM on a CPU can die of a seeded request
    that is prefilled in pieces ("CPU Generator does not use offset")."""


class RolloutsConfig(Frozen):
    """How groups are collected."""

    group_size: int = Field(default=8, ge=2, le=256)
    """Rollouts of one task, G."""
    groups_per_step: int = Field(default=4, ge=1, le=4_096)
    """Tasks of one step; B = groups_per_step * group_size."""
    max_staleness: int = Field(default=1, ge=0, le=64)
    """Steps a rollout's policy may be behind the step that trains on it; 0 is strictly on-policy."""
    min_group: int = Field(default=2, ge=2)
    """Rollouts a group must keep after outages; a smaller one is dropped as a whole."""
    max_attempts: int = Field(default=3, ge=1, le=20)
    """Times a rollout that outages end is asked for in all before it leaves its group; likewise groups of a task."""
    replace_zero_variance: bool = False
    """Ask for another group where all rewards are equal (DAPO's dynamic sampling)."""
    max_replacements: int = Field(default=8, ge=0)
    """Groups of one step that may be replaced so."""
    over_provision: int = Field(default=0, ge=0, le=2)
    """Rollouts asked for beyond G; the last to finish are cancelled, which favours short rollouts."""
    concurrency: int | None = Field(default=None, ge=1)
    """Rollouts in flight at most; None: as many as the staleness bound admits."""
    timeout_s: float = Field(default=1_800, gt=0)
    """Seconds after which a group that is not complete is closed with what it has."""
    mode: Mode = Mode.MULTI_AGENT
    prompt_profile: PromptProfile = PromptProfile.FULL
    limits: Limits = Limits()
    sampling: SamplingConfig = SamplingConfig()


class AdvantageConfig(Frozen):
    """One number a rollout, from the rewards of its group."""

    estimator: Literal["grpo", "mean", "rloo"] = "grpo"
    """`grpo`: (R - m) / (s + eps), s with ddof 1. `mean`: R - m (Dr.GRPO). `rloo`: R minus the others' mean."""
    epsilon: float = Field(default=1e-6, ge=0)
    per_role: bool = False
    """Groups by task and role, from role rewards; a rollout's subagents share one."""


class WeightsConfig(Frozen):
    """The weight of one trained token."""

    scheme: Literal["wideseek", "dr_grpo", "rollout", "global", "role", "reference_compat"] = "wideseek"
    """`wideseek`: 1/(B N L). `dr_grpo`: 1/(B N C). `rollout`: 1/(B sum L). `global`: 1/(sum of all L).
    `role`: lambda/(B L) for the lead, (1 - lambda)/(B n L) for each of n subagents."""
    lead_share: float = Field(default=0.5, gt=0, lt=1)
    """lambda of the `role` scheme."""
    token_budget: int = Field(default=1_024, ge=1)
    """C of the `dr_grpo` scheme."""
    failed_subagent: Literal["mask", "train", "count", "blame"] = "mask"
    """A subagent that ran into a limit below a lead that succeeded: left out; trained on; left out but kept in N; or
    trained on only where its rollout's advantage is negative, so that circles cost and are never paid."""
    subagents: int | None = Field(default=None, ge=1)
    """Subagents of a rollout that are trained on at most, each standing for those of its wave that were not drawn;
    None: all of them. Spares time where many lookups are alike; of a gradient's expectation it changes nothing."""


class PolicyLossConfig(Frozen):
    """The surrogate of one token."""

    kind: Literal["ppo", "gspo", "cispo"] = "ppo"
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    clip_high: float = Field(default=0.28, gt=0)
    dual_clip: float | None = Field(default=10.0, gt=1)
    """Bites for negative advantages only; None switches it off."""
    log_ratio_clamp: float = Field(default=20.0, gt=0)
    correction: Literal["auto", "none", "tis", "mis"] = "auto"
    """Of sampling by an older or differently computed policy. `auto`: `tis` where staleness is allowed or the
    precision is bfloat16, else `none`."""
    tis_cap: float = Field(default=2.0, gt=0)
    mis_low: float = Field(default=0.5, gt=0)
    mis_high: float = Field(default=2.0, gt=0)
    sequence_band: tuple[float, float] | None = None
    """Geometric mean ratio outside of which an agent's whole trajectory is left out; None: none is."""
    tv_mask: float | None = Field(default=None, gt=0, lt=1)
    """Tokens whose probability has moved by more than this in the advantage's direction are left out."""
    kl: Literal["none", "k2", "k3"] = "none"
    kl_beta: float = Field(default=0.0, ge=0)
    """Weight of the divergence from the reference: the base with the adapter switched off."""


class ObjectiveConfig(Frozen):
    """What is maximised."""

    advantage: AdvantageConfig = AdvantageConfig()
    weights: WeightsConfig = WeightsConfig()
    policy_loss: PolicyLossConfig = PolicyLossConfig()


class OptimConfig(Frozen):
    """AdamW and its schedule."""

    lr: float = Field(default=1e-5, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = Field(default=0, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    minibatches: int = Field(default=1, ge=1)
    """Optimiser steps a manifest is cut into, each with weights of its own that sum to one."""


class BatchingConfig(Frozen):
    """How rows are laid out. None of it changes the gradient, unless `objective.weights.scheme` asks for the
    reference's weights, which depend on it."""

    layout: Literal["auto", "sorted", "packed", "shared"] = "auto"
    """`sorted`: rows of like length, right-padded. `packed`: varlen rows (needs flash attention). `shared`: what rows
    begin with is computed once. `auto`: `packed` on an accelerator that has it, else `sorted`."""
    tokens: int = Field(default=4_096, ge=16)
    """Tokens of a micro-batch, padding included; a longer row stands alone. Activations of all of them are in memory
    at once: about 1.5 GiB a thousand for 135 million parameters in float32, without activation checkpointing."""
    max_row_tokens: int = Field(default=32_000, ge=16)
    """A longer row is refused, not cut."""
    logprob_chunk: int = Field(default=256, ge=1)
    """Sampled positions whose logits exist at the same time."""
    activation_checkpointing: bool = False


class PublishConfig(Frozen):
    """What becomes of a trained policy."""

    every: int = Field(default=1, ge=0)
    """Steps between publications; 0: none is published, the adapters stay in the job's folder."""
    promote: Literal["promote", "canary", "hold"] = "promote"
    """Once the probe is passed: serve it to all new runs, to a share of them, or to those that name it."""
    canary_share: float = Field(default=0.1, gt=0, lt=1)
    probe_prompts: int = Field(default=24, ge=4, le=256)
    probe_tokens: int = Field(default=16, ge=1, le=256)
    max_mean_difference: float | None = Field(default=None, gt=0)
    """Mean |difference of log-probabilities| above which a policy is refused; None: 1e-4 in float32, calibrated
    against the base in bfloat16."""
    keep_versions: int = Field(default=3, ge=2)
    """Versions kept loaded at least, counted from the newest; pinned ones stay besides."""


class HardwareConfig(Frozen):
    """Where it runs."""

    launcher: Literal["local", "kubernetes", "trainjob"] = "local"
    processes: int = Field(default=1, ge=1, le=1_024)
    """Learner processes a node; more than one shard the model (FSDP2)."""
    nodes: int = Field(default=1, ge=1, le=1_024)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    """Threads of each learner process on a CPU; None leaves it to torch."""


class CheckpointConfig(Frozen):
    """What a killed job goes on from."""

    every: int = Field(default=1, ge=1)
    """Steps between checkpoints; the manifests of the steps since are run again."""
    keep: int = Field(default=3, ge=1)


class EvaluationConfig(Frozen):
    """Held-out tasks, asked of fixed versions."""

    tasks: tuple[Path, ...] = ()
    every: int = Field(default=0, ge=0)
    """Steps between evaluations; 0: none."""
    trials: int = Field(default=1, ge=1, le=64)


class JobConfig(Frozen):
    """A training job. `mode: sft` learns from demonstrations, `mode: grpo` from rewarded rollouts."""

    policy: str = Field(default="policy", pattern=POLICY_NAME)
    """The policy that is improved; its versions are served as `<policy>@v<N>`."""
    mode: Literal["grpo", "sft"] = "grpo"
    steps: int = Field(default=100, ge=1)
    seed: int = Field(default=0, ge=0)
    sft_rows_per_step: int = Field(default=16, ge=1)
    """Supervised mode: demonstrations (rollouts) of one step."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    rollouts: RolloutsConfig = RolloutsConfig()
    reward: RewardRule = RewardRule()
    objective: ObjectiveConfig = ObjectiveConfig()
    optim: OptimConfig = OptimConfig()
    batching: BatchingConfig = BatchingConfig()
    publish: PublishConfig = PublishConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    hardware: HardwareConfig = HardwareConfig()

    @model_validator(mode="after")
    def _supported(self) -> "JobConfig":
        for complaint in unsupported(self):
            raise ValueError(complaint)
        return self

    @property
    def planned(self) -> int:
        """B: rollouts of a step as planned."""
        return self.rollouts.groups_per_step * self.rollouts.group_size

    @property
    def sha256(self) -> str:
        """Hash of the resolved configuration, hardware aside (a job may go on elsewhere); part of every manifest."""
        return hashlib.sha256(self.model_dump_json(exclude={"hardware"}).encode()).hexdigest()
