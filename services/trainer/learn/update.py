"""One step of the learner: forward and backward over all micro-batches, then the optimiser.

    loss of a micro-batch = ranks * sum_j w_j l_j          summed over micro-batches, averaged over ranks by sharding

The weights are those of the whole step, computed before anything was cut, so nothing is divided by tokens, rows,
micro-batches or ranks. In supervised mode l_j = -log pi_j. Only the `reference_compat` scheme lets the layout of an
optimiser step multiply w_j (`services.trainer.objective.compat`).

Rollouts drawn at a temperature T are learnt from at T: pi_j is the distribution they were drawn from. Engines state
log-probabilities of T = 1, so for another T mu is computed here, with the weights of the start of the step, which are
those that have sampled it (`rollouts.max_staleness` is 0 then).
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from services.trainer.config import BatchingConfig, JobConfig, OptimConfig, PolicyLossConfig
from services.trainer.learn.batch import Batch, collate
from services.trainer.learn.checks import check_packing, check_sharing
from services.trainer.learn.layout import MicroBatch, TrainRow, padding_share, plan, spared_tokens, unique_tokens
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import VARLEN, attention_of, quadratic_cost, reference
from services.trainer.learn.statistics import Statistics
from services.trainer.objective.compat import layout_factors
from services.trainer.objective.correction import resolved
from services.trainer.objective.losses import token_loss
from wideseek.errors import InvalidRequest


def loss_config(job: JobConfig) -> PolicyLossConfig | None:
    """The surrogate of a job, its correction decided; None in supervised mode."""
    return None if job.mode == "sft" else resolved(job)


class Update:
    """Optimiser and objective of a policy on one rank. Build it once; its state is the optimiser's."""

    def __init__(
        self,
        policy: SampledLogprobs,
        *,
        optim: OptimConfig,
        batching: BatchingConfig,
        loss: PolicyLossConfig | None,
        by_layout: bool = False,
        temperature: float = 1.0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """`policy` is sharded already where there are several ranks; `loss` is None in supervised mode.

        `temperature` is what rollouts are drawn at. `by_layout`: the layout multiplies the weights, as the
        `reference_compat` scheme wants it. Raises `InvalidRequest` for that on several ranks, and where rows would be
        packed or share their beginnings and attention does not bear it.
        """
        if by_layout and ranks > 1:
            raise InvalidRequest(
                "objective.weights.scheme: reference_compat weights depend on the layout; hardware.processes must be 1",
                field="/objective/weights/scheme",
            )
        self.policy = policy
        self.optimizer = adamw(policy, optim)
        self.packed, self.shared = packs(policy, batching), batching.layout == "shared"
        self._optim, self._batching, self._loss = optim, batching, loss
        self._by_layout, self._rank, self._ranks = by_layout, rank, ranks
        self._temperature = temperature
        self._quadratic = quadratic_cost(policy.model)
        if self.packed:
            check_packing(policy, batching)
        if self.shared:
            check_sharing(policy)

    def step(self, rows: Sequence[TrainRow], *, lr: float) -> dict[str, float]:
        """Train on the rows of a manifest; scalars by name.

        Every rank is given all rows. Where none is trained on, weights and optimiser stay as they are; rows that can
        give no gradient, of groups whose rewards are equal, are not computed. Raises `FloatingPointError` for a
        gradient that is not finite, before any weight has changed by it.
        """
        started = time.perf_counter()
        moving = self._moving(rows)
        slices = self._slices(moving)
        statistics = Statistics()
        # With several optimiser steps the first moves what the others must be measured against.
        before = [self._logprobs(one) if len(slices) > 1 and self._loss else None for one in slices]
        norms = []
        for one, proximal in zip(slices, before, strict=True):
            self._accumulate(one, statistics, proximal)
            norms.append(self._apply(lr))
        told = statistics.scalars(len(slices))
        if norms:
            told |= {"loss/grad_norm": sum(norms) / len(norms), "optim/lr": lr}
        if self._loss is not None and (tokens := _row_tokens(rows)):
            told["tokens/without_advantage"] = 1 - _row_tokens(moving) / tokens
        if self._temperature != 1:  # nothing that was sampled elsewhere was compared
            told = {name: value for name, value in told.items() if not name.startswith("mismatch/")}
        return told | _layout(slices, time.perf_counter() - started)

    def accumulate(self, rows: Sequence[TrainRow]) -> None:
        """Add this rank's part of the gradient to the parameters' gradients, and do not step."""
        self._accumulate(self._slice(rows), Statistics(), None)

    def plan(self, rows: Sequence[TrainRow]) -> list[list[MicroBatch]]:
        """Micro-batches of each rank."""
        whole = self._loss is not None and (self._loss.kind == "gspo" or self._loss.sequence_band is not None)
        return plan(
            rows,
            self._batching,
            ranks=self._ranks,
            packed=self.packed,
            shared=self.shared,
            together=whole,
            quadratic=self._quadratic,
        )

    def _moving(self, rows: Sequence[TrainRow]) -> Sequence[TrainRow]:
        """The rows whose gradient is not zero whatever the policy: a divergence has one of its own, and where the
        layout makes the weights every row takes part in them."""
        if self._loss is None or self._loss.kl != "none" or self._by_layout:
            return rows
        return [row for row in rows if row.advantage]

    def _slices(self, rows: Sequence[TrainRow]) -> list["_Slice"]:
        parts = [[row for row in rows if row.minibatch == number] for number in sorted({r.minibatch for r in rows})]
        return [self._slice(part) for part in parts if any(any(row.trained) for row in part)]

    def _slice(self, rows: Sequence[TrainRow]) -> "_Slice":
        made = self.plan(rows)
        return _Slice(weighed_by_layout(rows, made[0]) if self._by_layout else rows, made)

    def _accumulate(self, one: "_Slice", statistics: Statistics, proximal: Sequence[Tensor] | None) -> None:
        for place, batch in enumerate(self._batches(one)):
            current = self._forward(batch)
            before = current.detach() if proximal is None else proximal[place]
            torch.autograd.backward(self._ranks * self._objective(batch, current, before, statistics))

    def _batches(self, one: "_Slice", *, pad: int = 0) -> Iterator[Batch]:
        for micro_batch in one.plan[self._rank]:
            yield collate(one.rows, micro_batch, packed=self.packed, device=self.policy.device, pad=pad)

    def _objective(self, batch: Batch, current: Tensor, proximal: Tensor, statistics: Statistics) -> Tensor:
        behaviour, advantages, weights = (
            values.to(current.dtype) for values in (batch.behaviour, batch.advantages, batch.weights)
        )
        if self._loss is None:
            loss = -(weights * current).sum()
            statistics.add_supervised(batch, current, loss)
            return loss
        if self._temperature != 1:
            behaviour = proximal
        told = token_loss(
            current,
            behaviour,
            proximal,
            advantages,
            weights,
            self._loss,
            sequence_ids=batch.sequences,
            reference=self._reference(batch) if self._loss.kl != "none" else None,
        )
        statistics.add(batch, current, behaviour, proximal, told)
        return told.total

    @torch.no_grad()
    def _reference(self, batch: Batch) -> Tensor:
        with reference(self.policy):
            return self._forward(batch)

    @torch.no_grad()
    def _logprobs(self, one: "_Slice") -> list[Tensor]:
        return [self._forward(batch) for batch in self._batches(one)]

    def _forward(self, batch: Batch) -> Tensor:
        logprobs: Tensor = self.policy(
            batch.input_ids, batch.position_ids, batch.sources, batch.targets, batch.shared, self._temperature
        )
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


@dataclass(frozen=True)
class _Slice:
    """What one optimiser step is made of."""

    rows: Sequence[TrainRow]
    plan: list[list[MicroBatch]]


def weighed_by_layout(rows: Sequence[TrainRow], micro_batches: Sequence[MicroBatch]) -> list[TrainRow]:
    """The rows of one optimiser step, the weights of those in its micro-batches times (L / n) (S / M).

    L is the row's number of trained tokens, n its micro-batch's; S rows, M micro-batches. Source: `layout_factors`.
    """
    factors = layout_factors([[sum(rows[place].trained) for place in batch.rows] for batch in micro_batches])
    weighed = list(rows)
    for batch, given in zip(micro_batches, factors, strict=True):
        for place, factor in zip(batch.rows, given, strict=True):
            weighed[place] = replace(rows[place], weight=rows[place].weight * factor)
    return weighed


def _row_tokens(rows: Sequence[TrainRow]) -> int:
    return sum(len(row.token_ids) for row in rows if any(row.trained))


def _layout(slices: Sequence[_Slice], seconds: float) -> dict[str, float]:
    rows = [row for one in slices for row in one.rows if any(row.trained)]
    if not rows:
        return {}
    tokens, unique = _row_tokens(rows), unique_tokens(rows)
    made = [[batch for rank in one.plan for batch in rank] for one in slices]
    shares = [padding_share(one.rows, batches) for one, batches in zip(slices, made, strict=True)]
    return {
        "tokens/spared": sum(map(spared_tokens, made)) / tokens,
        "tokens/padding": sum(shares) / len(shares),
        "tokens/unique": float(unique),
        "tokens/repeat": tokens / unique,
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
