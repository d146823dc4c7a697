"""What an estimate assumes where nothing can be looked at: a model's shape, speeds, and the size of a rollout.

A TOML file beside the job file (`assumptions.toml`). Every figure states its source, which the dry run prints, so
that whoever reads an estimate can put a measured figure in its place.
"""

from pathlib import Path

from pydantic import Field, ValidationError

from services.kit.toml import read_toml
from services.trainer.jobs.files import complaint
from wideseek.values import Frozen

NAME = "assumptions.toml"


class Assumed(Frozen):
    """One figure."""

    value: float = Field(gt=0, allow_inf_nan=False)
    source: str = Field(min_length=10)
    """`measured: …` with where, or `assumed: …` with why."""


class Architecture(Frozen):
    """A decoder with grouped-query attention and a gated MLP, as in a model's `config.json`."""

    source: str = Field(min_length=10)
    hidden_size: int = Field(ge=1)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    vocabulary: int = Field(ge=1)
    tied: bool
    """Whether the head is the embedding."""
    qk_norm: bool
    """Whether queries and keys are normalised head by head (Qwen3)."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape by name of every weight, named as transformers names them."""
        hidden, queries, keys = self.hidden_size, self.heads * self.head_dim, self.kv_heads * self.head_dim
        table = (self.vocabulary, hidden)
        shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": table, "norm.weight": (hidden,)}
        if not self.tied:
            shapes["lm_head.weight"] = table
        layer: dict[str, tuple[int, ...]] = {
            "self_attn.q_proj": (queries, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries),
            "mlp.gate_proj": (self.intermediate_size, hidden),
            "mlp.up_proj": (self.intermediate_size, hidden),
            "mlp.down_proj": (hidden, self.intermediate_size),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        if self.qk_norm:
            layer |= {"self_attn.q_norm": (self.head_dim,), "self_attn.k_norm": (self.head_dim,)}
        for number in range(self.layers):
            shapes |= {f"layers.{number}.{name}.weight": shape for name, shape in layer.items()}
        return shapes


class Assumptions(Frozen):
    """All that an estimate of a job on machines that are not here stands on."""

    architecture: Architecture
    learner_flops: Assumed
    """Operations a second that one GPU of the learner achieves."""
    engine_gpus: Assumed
    """GPUs of the engine, all replicas together."""
    prefill_tokens_per_second: Assumed
    """Prompt tokens a second that one GPU of the engine reads."""
    decode_tokens_per_second: Assumed
    """Tokens a second that one GPU of the engine samples, its batch full."""
    utilisation: Assumed
    """Share of the rollout phase in which the engine's batch is full."""
    unique_tokens: Assumed
    """Tokens of a rollout, each counted once: what the learner reads, and what the engine reads or samples where it
    keeps prefixes."""
    sampled_tokens: Assumed
    """Of these, the tokens that the policy wrote."""
    demonstration_tokens: Assumed
    """Tokens of a demonstration, mode sft."""

    def figures(self) -> dict[str, Assumed]:
        """Every figure by its name."""
        return {name: value for name, value in self if isinstance(value, Assumed)}


def read_assumptions(path: Path) -> Assumptions:
    """The assumptions of a file. Raises `InvalidRequest` naming the file and every key that is wrong."""
    return read_toml(path, Assumptions, _complaints)


def _complaints(path: Path, error: ValidationError) -> str:
    return "; ".join(f"{path}: {complaint(item)}" for item in error.errors())
