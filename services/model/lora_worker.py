"""vLLM's CPU worker with adapters multiplied by `grouped_lora`; it runs in vLLM's environment alone.

`--worker-cls services.model.lora_worker.GroupedLoraWorker` chooses it. Only for a model that is computed eagerly: a
compiled graph would keep the groups of the batch that it was traced with.
"""

from typing import Any

import torch
from torch import Tensor
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms.cpu import CpuPlatform
from vllm.v1.worker.cpu_worker import CPUWorker

from services.model.grouped_lora import Group, expand, grouped, shrink


class GroupedLora(PunicaWrapperCPU):  # type: ignore[misc]
    """What every layer with an adapter calls."""

    _groups: tuple[Group, ...] = ()
    _sampled: tuple[Group, ...] = ()
    """Of the tokens that logits are computed for."""

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Group the tokens of the next batch, once for all layers."""
        super().update_metadata(*args, **kwargs)
        self._groups = grouped(self.token_lora_indices)
        self._sampled = grouped(self.sampler_indices)

    def add_lora_logits(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: Tensor,
        lora_b_stacked: Tensor,
        scale: float,
        *,
        buffer: Tensor | None = None,
        **_: Any,
    ) -> None:
        """Add what an adapter has for the logits, (tokens, vocabulary) of y."""
        y, x = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
        if buffer is None:
            buffer = torch.zeros((x.shape[0], lora_b_stacked.shape[-1]), dtype=torch.float32)
        shrink(buffer, x, lora_a_stacked, self._sampled, scale)
        columns = slice(0, min(y.shape[-1], lora_b_stacked.shape[-2]))
        expand(y, buffer, lora_b_stacked[..., columns, :], self._sampled, columns, add=True)

    def _apply_shrink(self, y: Tensor, x: Tensor, w_t_all: Tensor, scale: float) -> None:
        shrink(y.view(-1, y.shape[-1]), x, w_t_all, self._groups, scale)

    def _apply_expand(
        self, y: Tensor, x: Tensor, w_t_all: Tensor, y_offset: int, y_slice_size: int, add_inputs: bool = True
    ) -> None:
        expand(y, x, w_t_all, self._groups, slice(y_offset, y_offset + y_slice_size), add=add_inputs)


class GroupedLoraWorker(CPUWorker):  # type: ignore[misc]
    """The worker that vLLM starts; nothing but the kernels of adapters is ours."""

    def load_model(self, **kwargs: Any) -> None:
        """Load the model, its layers bound to `GroupedLora`."""
        name = f"{GroupedLora.__module__}.{GroupedLora.__qualname__}"
        CpuPlatform.get_punica_wrapper = classmethod(lambda _: name)  # the platform is asked by name, nowhere else
        super().load_model(**kwargs)
