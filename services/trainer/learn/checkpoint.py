"""Checkpoints that a killed learner goes on from, bit by bit, on any number of ranks.

    ckpt/<k>/state/            trained weights and optimiser (torch.distributed.checkpoint: re-sharded when read)
    ckpt/<k>/rng/<rank>.json   generators of each rank
    ckpt/<k>/checkpoint.json   `CheckpointState`
    ckpt/<k>/adapter/          the policy as engines load it
    ckpt/<k>/COMMITTED         written last; holds the manifest's hash

A folder is written under a hidden name, flushed and renamed; without its marker it counts for nothing and is removed
when the learner starts. The learning rate stands in each manifest, so a schedule has no state.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.optim import Optimizer

from services.kit.durable import sync_folder
from services.trainer.folder import COMMITTED, JobFolder, write_atomically, write_model
from services.trainer.learn.durable import sync_tree
from services.trainer.learn.ranks import Ranks
from services.trainer.learn.sharding import trainable
from wideseek.errors import ContractViolation
from wideseek.values import Frozen

Probe = Callable[[str], None]
"""Called with the name of a boundary just before or after it is crossed."""

BEFORE_COMMIT, AFTER_COMMIT = "committed.before_rename", "committed.after_rename"
_WEIGHT, _OPTIMIZER = "weight/", "optimizer/"


def silent(boundary: str) -> None:
    """A probe that does nothing."""


class CheckpointState(Frozen):
    """What a checkpoint says of itself."""

    step: int
    manifest_sha256: str
    config_sha256: str
    base_sha256: str
    world: int
    """Ranks that wrote it; another number may read it."""

    def check(self, *, base_sha256: str, config_sha256: str) -> None:
        """Refuse a checkpoint that belongs to another base or configuration. Raises `ContractViolation`."""
        if self.base_sha256 != base_sha256:
            raise ContractViolation(
                f"checkpoint {self.step} was made from base {self.base_sha256[:12]}, model.base is {base_sha256[:12]}: "
                "put the old weights back, or start a new job"
            )
        if self.config_sha256 != config_sha256:
            raise ContractViolation(
                f"checkpoint {self.step} was made with another configuration; start a new job for changed settings"
            )


def clean(folder: JobFolder) -> None:
    """Remove what a killed learner left half done: hidden folders, and checkpoints without a marker."""
    root = folder.path / "ckpt"
    root.mkdir(parents=True, exist_ok=True)
    for path in root.iterdir():
        if path.is_dir() and not (path.name.isdigit() and (path / COMMITTED).exists()):
            shutil.rmtree(path)


def stage(
    folder: JobFolder,
    state: CheckpointState,
    policy: nn.Module,
    optimizer: Optimizer,
    export: Callable[[Path], None],
    ranks: Ranks,
) -> None:
    """Write a checkpoint's folder, all but its marker. Every rank must call it.

    `export` writes the policy as engines load it; every rank calls it.
    """
    target = folder.checkpoint(state.step)
    part = target.with_name(f".{state.step}")
    if ranks.leads:
        for stale in (part, target):
            shutil.rmtree(stale, ignore_errors=True)
        (part / "rng").mkdir(parents=True)
    ranks.wait()
    with _together(ranks) as who:
        save(_state(policy, optimizer), checkpoint_id=part / "state", **who)
    (part / "rng" / f"{ranks.rank}.json").write_text(json.dumps(_generators(ranks)))
    export(part / "adapter")
    ranks.wait()
    if ranks.leads:
        write_model(part / "checkpoint.json", state)
        sync_tree(part)
        part.rename(target)
        sync_folder(target.parent)
    ranks.wait()


def commit(folder: JobFolder, state: CheckpointState, *, keep: int, probe: Probe = silent) -> None:
    """Make a staged checkpoint count, and remove all but the newest `keep`. For rank 0."""
    probe(BEFORE_COMMIT)
    write_atomically(folder.checkpoint(state.step) / COMMITTED, f"{state.manifest_sha256}\n".encode())
    probe(AFTER_COMMIT)
    for old in folder.committed()[:-keep]:
        # Renamed first: half a checkpoint never looks like one.
        hidden = folder.checkpoint(old).with_name(f".old-{old}")
        folder.checkpoint(old).rename(hidden)
        shutil.rmtree(hidden)


def read(folder: JobFolder, step: int, policy: nn.Module, optimizer: Optimizer, ranks: Ranks) -> CheckpointState:
    """Put a committed checkpoint into policy, optimiser and generators. Every rank must call it.

    Generators are restored where as many ranks wrote them. Raises `ContractViolation` for a checkpoint that does not
    belong to the step's manifest, or to this policy.
    """
    path = folder.checkpoint(step)
    state = CheckpointState.model_validate_json((path / "checkpoint.json").read_bytes())
    marker = (path / COMMITTED).read_text().strip()
    if state.step != step or marker != state.manifest_sha256:
        raise ContractViolation(f"checkpoint {step} is not what its marker says; remove {path} to go on from the last")
    read_weights(path, policy, ranks)
    _read_optimizer(path, policy, optimizer, ranks)
    if state.world == ranks.world:
        _set_generators(json.loads((path / "rng" / f"{ranks.rank}.json").read_text()))
    return state


def read_weights(path: Path, policy: nn.Module, ranks: Ranks) -> None:
    """Put the trained weights of a checkpoint's folder into the policy, in place. Every rank must call it.

    Raises `ContractViolation` when the checkpoint trains other parameters.
    """
    values: dict[str, Tensor] = {_WEIGHT + name: value.detach() for name, value in trainable(policy).items()}
    there = {name for name in _metadata(path) if name.startswith(_WEIGHT)}
    if there != values.keys():
        odd = min(there ^ values.keys())
        raise ContractViolation(f"{path} and the policy do not train the same parameters: {odd} is in one of them")
    _load(path, values, ranks)


def _state(policy: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, parameter in trainable(policy).items():
        state[_WEIGHT + name] = parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items():
            state[f"{_OPTIMIZER}{name}/{key}"] = value
    return state


def _read_optimizer(path: Path, policy: nn.Module, optimizer: Optimizer, ranks: Ranks) -> None:
    there = _metadata(path)
    parameters = trainable(policy)
    state: dict[str, Tensor] = {}
    for full in there:
        if full.startswith(_OPTIMIZER):
            name, _, key = full.removeprefix(_OPTIMIZER).rpartition("/")
            # Moments are laid out as their parameter is; the count of steps is one number, kept on the CPU.
            state[full] = torch.zeros(()) if key == "step" else torch.zeros_like(parameters[name].detach())
    _load(path, state, ranks)
    optimizer.state.clear()
    for full, value in state.items():
        name, _, key = full.removeprefix(_OPTIMIZER).rpartition("/")
        optimizer.state[parameters[name]][key] = value


def _metadata(path: Path) -> set[str]:
    return set(FileSystemReader(path / "state").read_metadata().state_dict_metadata)


def _load(path: Path, state: dict[str, Tensor], ranks: Ranks) -> None:
    if state:
        with _together(ranks) as who:
            load(state, checkpoint_id=path / "state", **who)


@contextmanager
def _together(ranks: Ranks) -> Iterator[dict[str, Any]]:
    """How torch's checkpoints are told who takes part; it warns of what is meant, that one process is alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        yield {"process_group": ranks.control, "no_dist": ranks.world == 1}


def _generators(ranks: Ranks) -> dict[str, str]:
    states = {"cpu": _hexadecimal(torch.get_rng_state())}
    if ranks.device.type == "cuda":
        states["cuda"] = _hexadecimal(torch.cuda.get_rng_state(ranks.device))
    return states


def _set_generators(states: dict[str, str]) -> None:
    torch.set_rng_state(_tensor(states["cpu"]))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(_tensor(states["cuda"]))


def _hexadecimal(state: Tensor) -> str:
    return bytes(state.tolist()).hex()


def _tensor(text: str) -> Tensor:
    return torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8)
