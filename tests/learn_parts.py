"""Tiny random models and rows for tests of the learner: real architectures, no download."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from services.trainer.config import BatchingConfig, ModelConfig, OptimConfig, PolicyLossConfig
from services.trainer.learn.layout import TrainRow
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import load_policy
from services.trainer.learn.update import Update
from wideseek.trajectory import Role

VOCABULARY = 97
CPU = torch.device("cpu")
LORA = ModelConfig(base="tiny", precision="float32", lora_rank=4, lora_alpha=8)
FULL = ModelConfig(base="tiny", precision="float32", adaptation="full")
REFERENCE = PolicyLossConfig(correction="none")
_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tiny_model(folder: Path, *, family: str = "qwen3", tied: bool = True, seed: int = 7) -> Path:
    """A folder with a random model of the family, its weights far enough from 0 that attention matters.

    `neox` computes in the format of its weights throughout; the others round norms to 32 bits.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel
        if family == "qwen3":
            model = Qwen3ForCausalLM(Qwen3Config(**_SHAPE, head_dim=8, tie_word_embeddings=tied, initializer_range=0.3))
        elif family == "neox":
            shape = {name: value for name, value in _SHAPE.items() if name != "num_key_value_heads"}
            model = GPTNeoXForCausalLM(GPTNeoXConfig(**shape, tie_word_embeddings=tied, initializer_range=0.3))
        else:
            model = LlamaForCausalLM(LlamaConfig(**_SHAPE, tie_word_embeddings=tied, initializer_range=0.3))
    model.save_pretrained(folder)
    return folder


def policy(
    folder: Path, config: ModelConfig = LORA, *, double: bool = True, shaken: bool = True, chunk: int = 5
) -> SampledLogprobs:
    """The policy of a folder, in 64 bits for tight tolerances; `shaken`: an adapter that does something."""
    model = load_policy(folder, config, seed=3, device=CPU)
    if shaken and config.adaptation == "lora":
        shake(model)
    return SampledLogprobs(model.double() if double else model, chunk=chunk, precision=config.precision)


def shake(model: torch.nn.Module, scale: float = 0.1) -> None:
    """Give every adapter a B that is not 0."""
    generator = torch.Generator().manual_seed(11)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)


def updater(
    scored: SampledLogprobs,
    *,
    loss: PolicyLossConfig | None = REFERENCE,
    tokens: int = 128,
    layout: str = "auto",
    by_layout: bool = False,
    temperature: float = 1.0,
    rank: int = 0,
    ranks: int = 1,
    optim: OptimConfig | None = None,
) -> Update:
    """An update with a small token budget."""
    batching = BatchingConfig.model_validate({"tokens": tokens, "layout": layout})
    return Update(
        scored,
        optim=optim or OptimConfig(),
        batching=batching,
        loss=loss,
        by_layout=by_layout,
        temperature=temperature,
        rank=rank,
        ranks=ranks,
    )


def some_rows(count: int = 7, *, seed: int = 5, low: int = 4, high: int = 40) -> list[TrainRow]:
    """Rows of uneven length and random marks, two of each sequence's weights summing to less than one."""
    dice = random.Random(seed)
    rows = []
    for sequence in range(count):
        length = dice.randint(low, high)
        trained = (False, *(dice.random() < 0.4 for _ in range(length - 2)), True)
        rows.append(
            TrainRow(
                token_ids=tuple(dice.randrange(3, VOCABULARY) for _ in range(length)),
                trained=trained,
                behaviour=tuple(-dice.uniform(2, 8) if marked else 0.0 for marked in trained),
                weight=1 / (count * sum(trained)),
                advantage=dice.choice([-1.3, -0.4, 0.7, 1.9]),
                role=Role.LEAD if sequence % 3 == 0 else Role.SUBAGENT,
                sequence=sequence,
            )
        )
    return rows


def gradient(update: Update, rows: Sequence[TrainRow]) -> torch.Tensor:
    """All trained parameters' gradients end to end, taken and forgotten."""
    update.accumulate(rows)
    return taken(update)


def taken(update: Update) -> torch.Tensor:
    """The gradients that have gathered, end to end; they are forgotten."""
    trained = [p for p in update.policy.parameters() if p.requires_grad]
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trained])
    update.optimizer.zero_grad(set_to_none=True)
    return flat


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Relative distance of two vectors."""
    return float((found - wanted).norm() / wanted.norm())
