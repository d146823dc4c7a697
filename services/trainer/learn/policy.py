"""The policy of a job in this process's memory: weights, optimiser, and the manifest they come from."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder
from services.trainer.learn import checkpoint
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import attention_for, load_policy
from services.trainer.learn.ranks import Ranks
from services.trainer.learn.sharding import Kept, like, local, shard, trainable
from services.trainer.learn.update import Update, loss_config
from services.trainer.ledger.manifest import FIRST
from wideseek.errors import ContractViolation


@dataclass
class Policy:
    """What a learner learns; `step` and `manifest_sha256` move with the weights."""

    folder: JobFolder
    config: JobConfig
    base: Path
    base_sha256: str
    ranks: Ranks
    scorer: SampledLogprobs
    update: Update
    start: Kept | None
    """The adapter that the job began with; None with full fine-tuning, whose start is the base's folder."""
    step: int = 0
    manifest_sha256: str = FIRST

    @contextmanager
    def at(self, step: int) -> Iterator[None]:
        """Compute with the weights of a step inside; those in memory are back, bit by bit, afterwards.

        Raises `ContractViolation` for a step whose weights are neither in memory nor in a checkpoint.
        """
        if step == self.step:
            yield
            return
        if step and step not in self.ranks.tell(self.folder.committed()):
            raise ContractViolation(f"step {step} has no checkpoint; the weights in memory are of step {self.step}")
        kept = Kept(self.scorer)
        try:
            if step:
                checkpoint.read_weights(self.folder.checkpoint(step), self.scorer, self.ranks)
            else:
                self._put_start()
            yield
        finally:
            kept.restore(self.scorer)

    def _put_start(self) -> None:
        if self.start is not None:
            self.start.restore(self.scorer)
            return
        first = _loaded(self.config, self.base, self.ranks)
        values = trainable(first)
        with torch.no_grad():
            for name, parameter in trainable(self.scorer).items():
                local(parameter).copy_(local(like(values[name].detach(), parameter)))


def open_policy(folder: JobFolder, config: JobConfig, base: Path, base_sha256: str, ranks: Ranks) -> Policy:
    """The policy as the job's newest checkpoint has it, or as the job starts.

    Raises `ContractViolation` for a checkpoint of another base, configuration or manifest.
    """
    torch.manual_seed(config.seed)
    scorer = _loaded(config, base, ranks)
    shard(scorer, ranks)
    update = Update(
        scorer,
        optim=config.optim,
        batching=config.batching,
        loss=loss_config(config),
        by_layout=config.objective.weights.scheme == "reference_compat",
        temperature=1.0 if config.mode == "sft" else config.rollouts.sampling.temperature,
        rank=ranks.rank,
        ranks=ranks.world,
    )
    start = Kept(scorer) if config.model.adaptation == "lora" else None
    policy = Policy(folder, config, base, base_sha256, ranks, scorer, update, start)
    committed = ranks.tell(folder.committed())
    if committed:
        state = checkpoint.read(folder, committed[-1], scorer, update.optimizer, ranks)
        state.check(base_sha256=base_sha256, config_sha256=config.sha256)
        policy.step, policy.manifest_sha256 = state.step, state.manifest_sha256
    return policy


def _loaded(config: JobConfig, base: Path, ranks: Ranks) -> SampledLogprobs:
    """The policy as the job starts, not sharded: on this rank's device, or in memory where it is yet to be sharded."""
    model = load_policy(
        base,
        config.model,
        seed=config.seed,
        device=ranks.device if ranks.world == 1 else torch.device("cpu"),
        activation_checkpointing=config.batching.activation_checkpointing,
        attention=attention_for(ranks.device, config.model),
    )
    return SampledLogprobs(model, chunk=config.batching.logprob_chunk, precision=config.model.precision)
