"""Gradients of one step on the ranks that torchrun started; rank 0 writes them whole, with how rows were dealt.

torchrun … sharded_gradient.py <folder with base models> <target>
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from services.trainer.config import HardwareConfig
from services.trainer.folder import JobFolder
from services.trainer.learn.layout import TrainRow
from services.trainer.learn.main import learn_on
from services.trainer.learn.orders import Orders
from services.trainer.learn.ranks import Ranks, joined
from services.trainer.learn.sharding import reshard, shard, trainable, whole
from tests.learn_parts import FULL, LORA, policy, some_rows, updater

FAMILIES = ("qwen3", "llama")
ADAPTATIONS = {"lora": LORA, "full": FULL}


def uneven_rows() -> list[TrainRow]:
    """Rows whose micro-batches two ranks cannot share equally: one of them computes dummies."""
    return some_rows(7, low=4, high=60)


def gradients(base: Path, adaptation: str, ranks: Ranks) -> dict[str, torch.Tensor]:
    """The gradient of every trained parameter, and the micro-batches of each rank."""
    scored = policy(base, ADAPTATIONS[adaptation], double=False)
    shard(scored, ranks)
    update = updater(scored, tokens=64, rank=ranks.rank, ranks=ranks.world)
    rows = uneven_rows()
    update.accumulate(rows)
    reshard(scored)
    found = {}
    for name, parameter in trainable(scored).items():
        assert parameter.grad is not None
        found[name] = whole(parameter.grad).clone()
    real = [sum(not one.dummy for one in part) for part in update.plan(rows)]
    return {**found, "micro_batches": torch.tensor(real)}


def main(bases: Path, target: Path, *jobs: Path) -> None:
    with joined(HardwareConfig(processes=2, device="cpu", threads=1)) as ranks:
        for family in FAMILIES:
            for adaptation in ADAPTATIONS:
                found = gradients(bases / family, adaptation, ranks)
                if ranks.leads:
                    save_file(found, target / f"{family}-{adaptation}.safetensors")
        for job in jobs:
            folder = JobFolder(job)
            learn_on(ranks, folder, job, Orders(folder, lambda: True, drain=True))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
