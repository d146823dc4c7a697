"""Log-probabilities of sampled tokens, without ever holding the logits of a whole row.

    log pi_j = z_j[token] - log sum_v exp z_j[v],    z_j = W h_j / T

Only hidden states that predict a trained token are projected, a chunk at a time, and a chunk's logits are computed
again in the backward pass: at any time the logits of one chunk exist. The softmax is taken in 32 bits at least.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache, PreTrainedModel

from services.trainer.learn.model import causal_of


def chunked_logprobs(
    head: Callable[[Tensor], Tensor], hidden: Tensor, targets: Tensor, chunk: int, temperature: float = 1.0
) -> Tensor:
    """Log-probability of each target at a temperature T above 0.

    `head` maps hidden states `[n, h]` to logits `[n, v]`; `hidden` is `[n, h]`, `targets` `[n]`. Gradients flow into
    `hidden` and into whatever `head` holds.
    """
    parts = [
        checkpoint(_logprobs, head, part, target, temperature, use_reentrant=False, preserve_rng_state=False)
        for part, target in zip(torch.split(hidden, chunk), torch.split(targets, chunk), strict=True)
    ]
    return torch.cat(parts)


def _logprobs(head: Callable[[Tensor], Tensor], hidden: Tensor, targets: Tensor, temperature: float) -> Tensor:
    logits = head(hidden)
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    if temperature != 1:
        logits = logits / temperature
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)


def _read(causal: Any, shared: Tensor, rows: int) -> DynamicCache:
    """Keys and values of what `rows` rows begin with, gradients attached: each row's flow back into the one pass."""
    cache = DynamicCache(config=causal.config)
    causal.base_model(input_ids=shared, attention_mask=None, past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(rows)
    return cache


class SampledLogprobs(nn.Module):
    """A causal language model seen as what the objective needs of it; sharding wraps this module as the root."""

    def __init__(self, model: nn.Module, *, chunk: int, precision: str = "float32") -> None:
        """`model`: one of transformers' causal models, or PEFT's wrapping of it; computed in `precision`."""
        super().__init__()
        self.model = model
        self.chunk = chunk
        self.precision = precision

    @property
    def causal(self) -> PreTrainedModel:
        """The causal language model, adapters in place."""
        return causal_of(self.model)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.model.parameters()).device

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None,
        sources: Tensor,
        targets: Tensor,
        shared: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Log-probabilities `[n]` of `targets` at a temperature, each predicted at its place of `sources`.

        `input_ids` is `[rows, slots]`; `position_ids` has its shape in a packed row and is None otherwise; `sources`
        counts places row after row. `shared`, `[1, tokens]`, stands before every row and is computed once. No mask is
        needed: padding stands on the right, where nothing attends to it.
        """
        causal: Any = self.causal
        mixed = self.precision == "bfloat16"
        with torch.autocast(input_ids.device.type, dtype=torch.bfloat16, enabled=mixed):
            before = None if shared is None else _read(causal, shared, len(input_ids))
            out = causal.base_model(
                input_ids=input_ids,
                position_ids=position_ids,
                attention_mask=None,
                past_key_values=before,
                use_cache=before is not None,
            )
            hidden = out.last_hidden_state.flatten(0, 1)[sources]
            return chunked_logprobs(causal.get_output_embeddings(), hidden, targets, self.chunk, temperature)
