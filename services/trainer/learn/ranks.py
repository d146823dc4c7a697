"""The processes of one learner: their number, and the few things they tell one another.

What is said here goes over gloo, whatever gradients go over, so that waiting for an order keeps no accelerator
busy. With one process nothing is started and every call returns what it was given.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import distributed as dist

from services.trainer.config import HardwareConfig
from wideseek.errors import InvalidRequest, WideseekError

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others before it takes them for dead."""

CPU = torch.device("cpu")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """One process among those that train together."""

    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    control: Any = None
    """Process group for words between ranks; None where there is one process."""

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone reads orders and writes what is not sharded."""
        return self.rank == 0

    def tell(self, value: Value) -> Value:
        """What rank 0 gave, on every rank."""
        if self.control is None:
            return value
        box: list[Any] = [value if self.leads else None]
        dist.broadcast_object_list(box, src=0, group=self.control, device=CPU)
        told: Value = box[0]
        return told

    def first(self, find: Callable[[], Value]) -> Value:
        """What `find` returns on rank 0, on every rank; a `WideseekError` of it is raised on every rank."""
        found: Value | None = None
        failure: WideseekError | None = None
        if self.leads:
            try:
                found = find()
            except WideseekError as error:
                failure = error
        failure, found = self.tell((failure, found))
        if failure is not None:
            raise failure
        return cast("Value", found)

    def collect(self, value: Value) -> list[Value]:
        """What every rank gave, by rank, on every rank."""
        if self.control is None:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, group=self.control)
        return values

    def wait(self) -> None:
        """Return once every rank is here."""
        if self.control is not None:
            dist.barrier(group=self.control)


@contextmanager
def joined(hardware: HardwareConfig) -> Iterator[Ranks]:
    """This process among those torchrun started; alone where none were.

    Raises `InvalidRequest` where the configuration asks for a device that is not there or for other processes than
    were started.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    wanted = hardware.processes * hardware.nodes
    if world != wanted:
        raise InvalidRequest(
            f"hardware.processes: {hardware.processes} on {hardware.nodes} nodes, but {world} were started; "
            f"start the learner with torchrun --nproc-per-node {hardware.processes}",
            field="/hardware/processes",
        )
    device = _device(hardware)
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    if world == 1:
        yield Ranks(device=device)
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        control = dist.new_group(backend="gloo", timeout=TIMEOUT)
        yield Ranks(dist.get_rank(), world, device, control)
    finally:
        dist.destroy_process_group()


def _device(hardware: HardwareConfig) -> torch.device:
    present = torch.cuda.is_available()
    if hardware.device == "cuda" and not present:
        raise InvalidRequest("hardware.device: cuda, but torch sees no accelerator; set cpu or auto", field="/hardware")
    if hardware.device == "cpu" or not present:
        return CPU
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device
