"""Sums over trained tokens that add up over micro-batches and ranks, and the numbers a step reports made of them.

    ratio/mean = sum r / n
    mismatch/kl = sum (rho - 1 - ln rho) / n
    mismatch/ess = (sum rho)^2 / (n sum rho^2)
    rho = exp(pi0 - mu): the recomputed over the logged probability of a token

Source of the estimate: k3 of J. Schulman, "Approximating KL divergence". Names: `services.trainer.metrics.names`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tally:
    """What some micro-batches came to; `a + b` is what both came to."""

    sums: Mapping[str, float] = field(default_factory=dict)
    """`tokens`, `ratio`, `rho`, `rho_squared`, `k3`, `masked`, `correction`, `entropy`, `loss`, `kl`, and for each role
    `<role>`, `<role>/above`, `<role>/below`, `<role>/dual` in tokens."""
    ratio_max: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        sums = Counter(self.sums)
        sums.update(other.sums)
        return Tally(dict(sums), max(self.ratio_max, other.ratio_max))

    def scalars(self) -> dict[str, float]:
        """The metrics by name; a share of no tokens is left out."""
        sums, tokens = self.sums, self.sums.get("tokens", 0.0)
        found = {"loss/value": sums.get("loss", 0.0), "loss/kl": sums.get("kl", 0.0), "tokens/trained": tokens}
        if not tokens:
            return found
        for role in (name.removesuffix("/dual") for name in sums if name.endswith("/dual") and sums[name[:-5]]):
            for side in ("above", "below", "dual"):
                found[f"clip/{role}/{side}"] = sums[f"{role}/{side}"] / sums[role]
        return found | {
            "ratio/mean": sums["ratio"] / tokens,
            "ratio/max": self.ratio_max,
            "mismatch/kl": sums["k3"] / tokens,
            "mismatch/ess": sums["rho"] ** 2 / (tokens * sums["rho_squared"]),
            "correction/masked": sums["masked"] / tokens,
            "correction/mean": sums["correction"] / tokens,
            "loss/entropy": sums["entropy"] / tokens,
        }
