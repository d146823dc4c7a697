"""The training record of a run: what was sampled, token by token, and by which weights.

A rollout is written once, when its run ends, and never changed; rewards are records of their own,
because only who holds the gold answers can give them. A turn keeps its full prompt: compression
removes the repetition, and an early corrupted turn cannot poison the later ones. Twin of
`proto/wideseek/v1/rollout.proto`.
"""

import hashlib
import math
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from wideseek.trajectory import Role, Source
from wideseek.values import Frozen

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning; a new field alone does not raise it."""


class RolloutSource(StrEnum):
    """Who acted. Policy-gradient training takes `policy` only."""

    POLICY = "policy"
    DEMONSTRATION = "demonstration"


class RolloutStatus(StrEnum):
    """How a rollout ended; only `ok` and `failed_task` say something about the policy."""

    OK = "ok"
    FAILED_TASK = "failed_task"
    INFRA_ERROR = "infra_error"
    CANCELLED = "cancelled"


class LogprobMode(StrEnum):
    """Which distribution log-probabilities belong to."""

    RAW = "raw"
    PROCESSED = "processed"


class AgentStatus(StrEnum):
    """Why an agent stopped: a `StopReason`, or `error` when the cluster failed it."""

    ANSWERED = "answered"
    TURN_LIMIT = "turn_limit"
    CONTEXT_LIMIT = "context_limit"
    DEADLINE = "deadline"
    BUDGET = "budget"
    CANCELLED = "cancelled"
    ERROR = "error"


class WeightSpan(Frozen):
    """Sampled tokens `[start, end)` were drawn under one version of the weights."""

    version: int = Field(ge=0)
    """The policy's version; 0 is the base model."""
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class SamplingRecord(Frozen):
    """Everything that shaped the distribution the tokens were drawn from."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logit_bias: dict[str, float] = Field(default_factory=dict)

    @property
    def reshapes(self) -> bool:
        """Whether raw log-probabilities are not those of the distribution sampled from, temperature and cuts aside."""
        penalties = (self.presence_penalty or 0, self.frequency_penalty or 0, (self.repetition_penalty or 1) - 1)
        return any(penalties) or bool(self.logit_bias)


class ToolRecord(Frozen):
    """One tool call, without its texts: they stand in the run log, found by hash."""

    call_id: str = ""
    name: str
    args_hash: str
    ok: bool
    error: str = ""
    seconds: float = 0.0
    result_hash: str
    result_start: int | None = None
    """First token of the result in the next turn's prompt; None when no turn followed or ids are not exact."""
    result_end: int | None = None
    sources: tuple[Source, ...] = ()
    subtask_ids: tuple[str, ...] = ()


class Timings(Frozen):
    """Where a turn's time went, in seconds."""

    queued_s: float = 0.0
    first_token_s: float = 0.0
    generate_s: float = 0.0
    tools_s: float = 0.0


class TurnRecord(Frozen):
    """One turn, token-exact."""

    turn_index: int = Field(ge=0)
    request_id: str = ""
    engine_id: str = ""
    model_name: str
    base_model_hash: str = ""
    adapter_hash: str = ""
    tokenizer_hash: str = ""
    template_hash: str = ""
    prompt_token_ids: tuple[int, ...]
    """The full prompt."""
    sampled_token_ids: tuple[int, ...]
    sampled_logprobs: tuple[float, ...]
    """Natural logarithms in 32 bits, one per sampled token, each finite and at most 0."""
    logprob_mode: LogprobMode = LogprobMode.RAW
    weight_version_spans: tuple[WeightSpan, ...]
    """Cover the sampled tokens without gap or overlap, in order."""
    sampling: SamplingRecord
    finish_reason: str
    stop_token: str = ""
    truncated: bool = False
    trainable: bool = False
    mask_reason: str = ""
    """Why the turn is not trained on, when it is not."""
    tool_calls: tuple[ToolRecord, ...] = ()
    timings: Timings = Timings()
    cached_tokens: int = 0
    text: str | None = None
    """The decoded completion, only where texts may be stored."""

    @model_validator(mode="after")
    def _exact(self) -> Self:
        num_sampled = len(self.sampled_token_ids)
        if len(self.sampled_logprobs) != num_sampled:
            raise ValueError(f"{len(self.sampled_logprobs)} log-probabilities for {num_sampled} tokens")
        if any(not math.isfinite(value) or value > 0 for value in self.sampled_logprobs):
            raise ValueError("a log-probability is not finite or above 0")
        position = 0
        for span in self.weight_version_spans:
            if span.start != position or span.end < span.start:
                raise ValueError(f"weight spans leave a gap or overlap at token {position}")
            position = span.end
        if position != num_sampled:
            raise ValueError(f"weight spans cover {position} of {num_sampled} tokens")
        if self.trainable and self.sampling.reshapes and self.logprob_mode is LogprobMode.RAW:
            raise ValueError(
                "penalties or biases reshaped the distribution: raw log-probabilities cannot be trained on"
            )
        return self


class AgentRecord(Frozen):
    """One agent of a rollout."""

    agent_id: str
    role: Role
    parent_agent_id: str | None = None
    parent_turn_index: int | None = None
    parent_call_id: str | None = None
    wave: int = 0
    """Which hand-out of the parent this agent belongs to, counted from 0."""
    subtask_id: str = ""
    subtask: str
    """What the agent was asked: the subtask's text, or the query for a lead."""
    status: AgentStatus
    turns: tuple[TurnRecord, ...]


class Rollout(Frozen):
    """One rollout: the lead's turns and those of every subagent below it."""

    schema_version: int = Field(ge=1)
    run_id: str
    rollout_id: str
    group_id: str | None = None
    index_in_group: int | None = None
    attempt: int = 0
    """Grows only when the service itself ran the rollout again."""
    task_id: str | None = None
    task_hash: str
    split: str | None = None
    source: RolloutSource
    status: RolloutStatus
    error: str = ""
    started_at: float
    """Unix seconds."""
    finished_at: float
    started_monotonic: float = 0.0
    """Seconds of the writing machine's steady clock, for durations."""
    finished_monotonic: float = 0.0
    query: str
    answer_text: str
    """The lead's final text, verbatim: what is scored."""
    answer_hash: str
    code_version: str = ""
    corpus_hash: str = ""
    """Content hash of the corpora that were served."""
    tool_calls_used: int = 0
    policy_version_min: int = 0
    policy_version_max: int = 0
    agents: tuple[AgentRecord, ...]

    @model_validator(mode="after")
    def _versions(self) -> Self:
        seen = [s.version for agent in self.agents for turn in agent.turns for s in turn.weight_version_spans]
        if seen and (min(seen), max(seen)) != (self.policy_version_min, self.policy_version_max):
            raise ValueError(f"policy versions are {min(seen)} to {max(seen)} in the turns, not what the rollout says")
        return self


def rollout_id_of(run_id: str, group_id: str | None, index_in_group: int | None, attempt: int) -> str:
    """`ro_` and 26 hexadecimal digits: a hash of what makes a rollout the one it is."""
    index = "" if index_in_group is None else str(index_in_group)
    name = "\n".join((run_id, group_id or "", index, str(attempt)))
    return "ro_" + hashlib.sha256(name.encode()).hexdigest()[:26]


class JudgeRecord(Frozen):
    """Who judged, and what was said."""

    model: str
    prompt_hash: str
    raw: str


class TurnMask(Frozen):
    """A turn that is not trained on, and why."""

    agent_id: str
    turn_index: int = Field(ge=0)
    reason: str
    """`untrainable`, `failed_subagent`, `lead_failed`, `no_valid_answer` …"""


class Reward(Frozen):
    """A reward given to a rollout; immutable, a new scorer version is a new record."""

    rollout_id: str
    reward_version: str
    total: float
    components: dict[str, float] = Field(default_factory=dict)
    role_reward: dict[str, float] = Field(default_factory=dict)
    judge: JudgeRecord | None = None
    scorer_version: str
    answer_hash: str
    """Hash of the answer that was scored; equals the rollout's."""
    valid: bool = True
    """Whether the answer could be scored: a table with the columns asked for, a box with something in it."""
    masks: tuple[TurnMask, ...] = ()
    """Turns that the outcome excludes from training; every other turn that is `trainable` is trained on."""
