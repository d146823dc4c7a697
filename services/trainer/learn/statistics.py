"""What an update measured, gathered from micro-batches and ranks before anything is divided."""

from torch import Tensor, distributed

from services.trainer.learn.batch import ROLES, Batch
from services.trainer.objective.losses import TokenLoss, tally
from services.trainer.objective.tally import Tally
from wideseek.trajectory import Role


class Statistics:
    """Sums of one step on one rank; dummies count in nothing."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._weights = {"lead": 0.0, "subagent": 0.0}
        self._supervised = False

    def add(self, batch: Batch, current: Tensor, behaviour: Tensor, proximal: Tensor, loss: TokenLoss) -> None:
        """A micro-batch of rewarded rollouts; `current`, `behaviour` and `proximal` are `[n]`."""
        if batch.dummy:
            return
        roles = {role: batch.roles == place for place, role in enumerate(ROLES)}
        self._tally += tally(loss, current, behaviour, proximal, batch.weights, roles)
        self._weigh(batch)

    def add_supervised(self, batch: Batch, current: Tensor, loss: Tensor) -> None:
        """A micro-batch of demonstrations."""
        if batch.dummy:
            return
        self._supervised = True
        surprise = -current.detach().double().sum()
        self._tally += Tally({"tokens": float(len(current)), "entropy": surprise.item(), "loss": loss.item()})
        self._weigh(batch)

    def scalars(self, optimiser_steps: int) -> dict[str, float]:
        """Scalars of the step by name, the loss as the mean of its optimiser steps.

        Where a process group is up, every rank must call, and each is told the same.
        """
        found, weights = self._everywhere()
        tokens = found.sums.get("tokens", 0.0)
        if not tokens:
            return {"tokens/trained": 0.0}
        sums = found.sums
        told = {"tokens/trained": tokens, "loss/entropy": sums["entropy"] / tokens, "loss/value": sums["loss"]}
        told |= {} if self._supervised else found.scalars()
        for name in told.keys() & {"loss/value", "loss/kl"}:
            told[name] /= optimiser_steps
        if whole := sum(weights.values()):
            told["weights/lead_share"] = weights["lead"] / whole
        return told

    def _weigh(self, batch: Batch) -> None:
        # A single agent leads nobody, but its weight is not a subagent's either.
        subagent = batch.roles == ROLES.index(Role.SUBAGENT)
        self._weights["lead"] += batch.weights[~subagent].sum().item()
        self._weights["subagent"] += batch.weights[subagent].sum().item()

    def _everywhere(self) -> tuple[Tally, dict[str, float]]:
        if not distributed.is_initialized():
            return self._tally, self._weights
        parts: list[tuple[Tally, dict[str, float], bool] | None] = [None] * distributed.get_world_size()
        distributed.all_gather_object(parts, (self._tally, self._weights, self._supervised))
        tally_sum, weights = Tally(), dict.fromkeys(self._weights, 0.0)
        for part in parts:
            if part is not None:
                tally_sum, self._supervised = tally_sum + part[0], self._supervised or part[2]
                weights = {name: value + part[1][name] for name, value in weights.items()}
        return tally_sum, weights
