"""One step of the learner: forward and backward over all micro-batches, then the optimiser.

    loss of a micro-batch = ranks * sum_j w_j l_j          summed over micro-batches, averaged over ranks by sharding

The weights are those of the whole step, computed before anything was cut, so nothing is divided by tokens, rows,
micro-batches or ranks. In supervised mode l_j = -log pi_j.
"""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from services.trainer.config import BatchingConfig, JobConfig, OptimConfig, PolicyLossConfig
from services.trainer.learn.batch import Batch, collate
from services.trainer.learn.layout import MicroBatch, TrainRow, padding_share, plan, unique_tokens
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import VARLEN, attention_of, quadratic_cost, reference
from services.trainer.learn.statistics import Tally
from services.trainer.objective.losses import token_loss


def loss_config(job: JobConfig) -> PolicyLossConfig | None:
    """The surrogate of a job, `auto` resolved; None in supervised mode.

    Sampling differs from training where staleness is allowed, or where engine and learner round to bfloat16.
    """
    if job.mode == "sft":
        return None
    loss = job.objective.policy_loss
    if loss.correction != "auto":
        return loss
    differs = job.rollouts.max_staleness > 0 or job.model.precision == "bfloat16"
    # gspo's ratio is of a whole sequence; a factor by token would undo that.
    return loss.model_copy(update={"correction": "tis" if differs and loss.kind != "gspo" else "none"})


class Update:
    """Optimiser and objective of a policy on one rank. Build it once; its state is the optimiser's."""

    def __init__(
        self,
        policy: SampledLogprobs,
        *,
        optim: OptimConfig,
        batching: BatchingConfig,
        loss: PolicyLossConfig | None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """`policy` is sharded already where there are several ranks; `loss` is None in supervised mode."""
        self.policy = policy
        self.optimizer = adamw(policy, optim)
        self.packed = packs(policy, batching)
        self._optim, self._batching, self._loss = optim, batching, loss
        self._rank, self._ranks = rank, ranks
        self._quadratic = quadratic_cost(policy.model)

    def step(self, rows: Sequence[TrainRow], *, lr: float) -> dict[str, float]:
        """Train on the rows of a manifest; scalars by name.

        Every rank is given all rows. Where none is trained on, weights and optimiser stay as they are. Raises
        `FloatingPointError` for a gradient that is not finite, before any weight has changed by it.
        """
        started = time.perf_counter()
        slices = [[row for row in rows if row.minibatch == number] for number in sorted({r.minibatch for r in rows})]
        slices = [part for part in slices if any(any(row.trained) for row in part)]
        tally = Tally(self.policy.device)
        frozen = [self._frozen(part) if len(slices) > 1 and self._loss else None for part in slices]
        norms = []
        for part, proximal in zip(slices, frozen, strict=True):
            self.accumulate(part, tally, proximal)
            norms.append(self._apply(lr))
        told = tally.scalars(len(slices))
        if norms:
            told |= {"loss/grad_norm": sum(norms) / len(norms), "optim/lr": lr}
        return told | self._layout(slices, time.perf_counter() - started)

    def accumulate(
        self, rows: Sequence[TrainRow], tally: Tally | None = None, proximal: Sequence[Tensor] | None = None
    ) -> None:
        """Add this rank's part of the gradient of the loss to the parameters' gradients.

        `proximal`: log-probabilities under the weights of the step's start, by micro-batch; None where these are the
        current ones.
        """
        tally = tally or Tally(self.policy.device)
        for place, batch in enumerate(self._batches(rows)):
            current = self.policy(batch.input_ids, batch.position_ids, batch.sources, batch.targets)
            loss = self._of(batch, current, proximal[place] if proximal else None, tally)
            torch.autograd.backward(self._ranks * loss)

    def plan(self, rows: Sequence[TrainRow]) -> list[list[MicroBatch]]:
        """Micro-batches of each rank."""
        whole = self._loss is not None and (self._loss.kind == "gspo" or self._loss.sequence_band is not None)
        return plan(
            rows,
            self._batching,
            ranks=self._ranks,
            packed=self.packed,
            together=whole,
            quadratic=self._quadratic,
        )

    def _batches(self, rows: Sequence[TrainRow]) -> list[Batch]:
        mine = self.plan(rows)[self._rank]
        return [collate(rows, one, packed=self.packed, device=self.policy.device) for one in mine]

    def _of(self, batch: Batch, current: Tensor, proximal: Tensor | None, tally: Tally) -> Tensor:
        weights, advantages = batch.weights.to(current.dtype), batch.advantages.to(current.dtype)
        if self._loss is None:
            loss = -(weights * current).sum()
            if not batch.dummy:
                tally.add_tokens(batch, current, loss)
            return loss
        proximal = current.detach() if proximal is None else proximal
        base = self._reference(batch) if self._loss.kl_beta > 0 else None
        told = token_loss(
            current,
            batch.behaviour.to(current.dtype),
            proximal,
            advantages,
            weights,
            self._loss,
            sequence_ids=batch.sequences,
            reference=base,
        )
        if not batch.dummy:
            tally.add_tokens(batch, current, told.total)
            tally.add_surrogate(batch, proximal, told)
            if base is not None:
                tally.add_reference(batch.weights * told.kl)
        return told.total

    @torch.no_grad()
    def _reference(self, batch: Batch) -> Tensor:
        with reference(self.policy):
            return self._forward(batch)

    @torch.no_grad()
    def _frozen(self, rows: Sequence[TrainRow]) -> list[Tensor]:
        return [self._forward(batch) for batch in self._batches(rows)]

    def _forward(self, batch: Batch) -> Tensor:
        logprobs: Tensor = self.policy(batch.input_ids, batch.position_ids, batch.sources, batch.targets)
        return logprobs

    def _apply(self, lr: float) -> float:
        """Clip the whole gradient, step, forget the gradient; its norm before clipping."""
        trained = [parameter for parameter in self.policy.parameters() if parameter.requires_grad]
        norm = torch.nn.utils.clip_grad_norm_(trained, self._optim.max_grad_norm)
        # A sharded norm is a distributed tensor: each rank holds a part of the sum.
        value = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        if not math.isfinite(value):
            self.optimizer.zero_grad(set_to_none=True)
            raise FloatingPointError(f"the gradient's norm is {value}; nothing was updated")
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value

    def _layout(self, slices: Sequence[Sequence[TrainRow]], seconds: float) -> dict[str, float]:
        rows = [row for part in slices for row in part if any(row.trained)]
        if not rows:
            return {}
        shares = [padding_share(part, [b for rank in self.plan(part) for b in rank]) for part in slices]
        tokens = sum(len(row.token_ids) for row in rows)
        return {
            "tokens/padding": sum(shares) / len(shares),
            "tokens/unique": float(unique_tokens(rows)),
            "tokens/repeat": tokens / unique_tokens(rows),
            "tokens/per_second": tokens / seconds,
        }


def packs(policy: SampledLogprobs, batching: BatchingConfig) -> bool:
    """Whether rows are laid end to end: where it is asked for, or attention has kernels for it."""
    return batching.layout == "packed" or (batching.layout == "auto" and attention_of(policy.model) in VARLEN)


def adamw(policy: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over what is trained; vectors (norms, biases) do not decay. Source: Loshchilov and Hutter, 1711.05101."""
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps)
