"""A policy's parameters spread over ranks (torch's FSDP2), and got at as whole tensors where they are wanted whole.

Every transformer layer is a unit of its own; embedding, norm and head belong to the root, which is
`SampledLogprobs`, because the loss goes through its `forward`. Gradients are averaged over ranks, which `Update`
makes up for: a token's weight already is what it shall count in the whole step (trainer design, identity 13).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import causal_of
from services.trainer.learn.ranks import Ranks


def shard(scorer: SampledLogprobs, ranks: Ranks) -> None:
    """Spread the parameters over the ranks, in place; with one rank nothing changes.

    Every rank must hold the same values before.
    """
    if ranks.world == 1:
        return
    mesh = init_device_mesh(ranks.device.type, (ranks.world,))
    for layer in _layers(causal_of(scorer.model)):
        fully_shard(layer, mesh=mesh)
    fully_shard(scorer, mesh=mesh)
    for module in scorer.modules():
        if isinstance(module, FSDPModule):
            # Gloo knows no mean: summed first, divided after.
            module.set_force_sum_reduction_for_comms(enable=True)


def reshard(scorer: SampledLogprobs) -> None:
    """Give back what a forward pass without a backward pass has gathered."""
    for module in scorer.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name; one that stands in two places (a tied head) once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def whole(value: Tensor) -> Tensor:
    """A parameter's full value, detached; every rank must ask for it at the same time."""
    full: Tensor = value.detach()
    return full.full_tensor() if isinstance(full, DTensor) else full


def local(value: Tensor) -> Tensor:
    """This rank's part of a parameter, detached: writing into it changes the parameter."""
    part: Tensor = value.detach()
    return part.to_local() if isinstance(part, DTensor) else part


def like(value: Tensor, parameter: Tensor) -> Tensor:
    """A full tensor spread as a parameter is."""
    value = value.to(parameter.device, parameter.dtype)
    if isinstance(parameter, DTensor):
        return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
    return value


class Kept:
    """A copy of this rank's part of every trained parameter, put back by `restore` bit by bit."""

    def __init__(self, model: nn.Module) -> None:
        self._parts = {name: local(value).clone() for name, value in trainable(model).items()}

    def restore(self, model: nn.Module) -> None:
        """Write the copy back."""
        with torch.no_grad():
            for name, value in trainable(model).items():
                local(value).copy_(self._parts[name])


def _layers(causal: nn.Module) -> Iterator[nn.Module]:
    """The transformer layers: what transformers says must not be split over devices."""
    names: Any = getattr(causal, "_no_split_modules", None) or ()
    for module in causal.modules():
        if type(module).__name__ in names:
            yield module
