"""What tests of the learner process share that needs torch: a base with a tokenizer, a policy of a job, its bytes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from services.trainer.folder import JobFolder
from services.trainer.learn.base import base_sha256
from services.trainer.learn.checkpoint import Probe, silent
from services.trainer.learn.main import learn
from services.trainer.learn.orders import Orders
from services.trainer.learn.policy import Policy, open_policy
from services.trainer.learn.ranks import Ranks
from services.trainer.learn.sharding import trainable
from tests.learn_parts import tiny_model

TOKENIZER = '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}\n'


def base_folder(path: Path, **options: str | bool | int) -> Path:
    """A tiny model with what a base must have beside weights."""
    tiny_model(path, **options)  # type: ignore[arg-type]
    (path / "tokenizer.json").write_text(TOKENIZER)
    return path


def opened(folder: JobFolder) -> Policy:
    """The policy of a job as its newest checkpoint has it, in this process."""
    base = Path(folder.record().config.model.base)
    return open_policy(folder, folder.record().config, base, base_sha256(base), Ranks())


def drain(folder: JobFolder, probe: Probe = silent) -> None:
    """Train and answer all there is, in this process."""
    learn(folder, folder.path, Orders(folder, lambda: True, drain=True), probe=probe)


def everything(policy: Policy) -> dict[str, torch.Tensor]:
    """Trained weights, optimiser state and generator: what must be the same bit by bit."""
    held = {f"weight/{name}": value.detach().clone() for name, value in trainable(policy.scorer).items()}
    for name, parameter in trainable(policy.scorer).items():
        for key, value in policy.update.optimizer.state[parameter].items():
            held[f"optimizer/{name}/{key}"] = value.clone()
    return {**held, "generator": torch.get_rng_state()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Largest |difference| of two sets of tensors, relative to the largest entry of each tensor."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max() / one[name].abs().max()) for name in one)


def adapter_of(folder: JobFolder, step: int, file: str = "adapter_model.safetensors") -> dict[str, torch.Tensor]:
    """The tensors that a step has exported."""
    return load_file(folder.adapter(step) / file)


def direct(policy: Policy, token_ids: Sequence[int], start: int) -> torch.Tensor:
    """Log-probabilities from a plain forward pass and a whole softmax."""
    model = policy.scorer.model
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(token_ids)])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    return torch.stack([logprobs[place - 1, token_ids[place]] for place in range(start, len(token_ids))])
