"""What an update measured, by the names of `services.trainer.metrics.names`.

Sums over trained tokens, added up over micro-batches and ranks before anything is divided:

    mismatch/kl   mean of rho - 1 - log rho          rho = exp(pi0 - mu); the k3 estimate of KL(mu || pi0)
    mismatch/ess  (sum rho)^2 / (n sum rho^2)        1 where engine and learner agree

mu: the log-probability logged when the token was sampled; pi0: the learner's, under the weights of the step's start.
"""

import torch
from torch import Tensor, distributed

from services.trainer.learn.batch import ROLES, Batch
from services.trainer.objective.losses import TokenLoss
from wideseek.trajectory import Role

SIDES = ("above", "below", "dual")
_CLIPPED = tuple(f"clip/{role}/{side}" for role in ROLES for side in SIDES)
_OF_ROLE = tuple(f"of/{role}" for role in ROLES)
_SUMS = (
    *("tokens", "loss", "surprise", "kl", "weight", "lead_weight"),
    *("ratio", "k3", "rho", "rho2", "masked", "correction"),
    *_OF_ROLE,
    *_CLIPPED,
)
_PLACE = {name: place for place, name in enumerate(_SUMS)}


class Tally:
    """Sums of one step on one rank."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(len(_SUMS), dtype=torch.float64, device=device)
        self._largest_ratio = torch.zeros(1, dtype=torch.float64, device=device)
        self._surrogate = False
        self._reference = False

    def add_tokens(self, batch: Batch, current: Tensor, loss: Tensor) -> None:
        """What every mode has: tokens, their weights, the loss and how unlikely the tokens are. `current` is `[n]`."""
        lead = batch.roles != ROLES.index(Role.SUBAGENT)
        self._add("tokens", torch.ones_like(batch.weights))
        self._add("loss", loss.detach())
        self._add("surprise", -current.detach())
        self._add("weight", batch.weights)
        self._add("lead_weight", batch.weights * lead)
        for place, name in enumerate(_OF_ROLE):
            self._add(name, batch.roles == place)

    def add_surrogate(self, batch: Batch, proximal: Tensor, loss: TokenLoss) -> None:
        """What a ratio has: clipping, correction and mismatch. `proximal` is `[n]`, without gradient."""
        self._surrogate = True
        log_rho = (proximal.double() - batch.behaviour).clamp(-20, 20)
        rho = log_rho.exp()
        ratio = loss.ratio.detach().double()
        self._add("ratio", ratio)
        self._add("k3", rho - 1 - log_rho)
        self._add("rho", rho)
        self._add("rho2", rho * rho)
        self._add("masked", loss.masked)
        self._add("correction", loss.correction)
        self._largest_ratio = torch.maximum(self._largest_ratio, ratio.max()[None])
        for place, role in enumerate(ROLES):
            of_role = batch.roles == place
            for side, clipped in zip(SIDES, (loss.clipped_high, loss.clipped_low, loss.dual), strict=True):
                self._add(f"clip/{role}/{side}", clipped & of_role)

    def add_reference(self, divergence: Tensor) -> None:
        """Weighted divergence from the reference, one number a token."""
        self._reference = True
        self._add("kl", divergence)

    def scalars(self, optimiser_steps: int) -> dict[str, float]:
        """Scalars of the step, of all ranks where a process group is up: then every rank must call."""
        if distributed.is_initialized():
            distributed.all_reduce(self._sums)
            distributed.all_reduce(self._largest_ratio, op=distributed.ReduceOp.MAX)
        sums = dict(zip(_SUMS, self._sums.tolist(), strict=True))
        tokens = sums["tokens"]
        if not tokens:
            return {"tokens/trained": 0.0}
        told = {
            "tokens/trained": tokens,
            "loss/value": sums["loss"] / optimiser_steps,
            "loss/entropy": sums["surprise"] / tokens,
            "weights/lead_share": sums["lead_weight"] / sums["weight"] if sums["weight"] else 0.0,
        }
        if self._surrogate:
            told |= self._of_surrogate(sums)
        if self._reference:
            told["loss/kl"] = sums["kl"] / optimiser_steps
        return told

    def _of_surrogate(self, sums: dict[str, float]) -> dict[str, float]:
        tokens = sums["tokens"]
        told = {
            "ratio/mean": sums["ratio"] / tokens,
            "ratio/max": self._largest_ratio.item(),
            "mismatch/kl": sums["k3"] / tokens,
            "mismatch/ess": sums["rho"] ** 2 / (tokens * sums["rho2"]),
            "correction/masked": sums["masked"] / tokens,
            "correction/mean": sums["correction"] / tokens,
        }
        for name in _CLIPPED:
            if of_role := sums[f"of/{name.split('/')[1]}"]:
                told[name] = sums[name] / of_role
        return told

    def _add(self, name: str, values: Tensor) -> None:
        self._sums[_PLACE[name]] += values.double().sum()
