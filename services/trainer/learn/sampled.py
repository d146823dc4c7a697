"""How much was sampled and how much of it is masked, for steps that no collector has measured: demonstrations.

The definitions are those of `services.trainer.collect.tally`. Imports no torch.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from services.trainer.objective.credit import masked_tokens
from wideseek.rollout import Rollout, TurnMask


class Sampled:
    """Counts over the rollouts of a step; all agents count, trained on or not."""

    def __init__(self) -> None:
        self._masked: Counter[str] = Counter()
        self._sizes: dict[str, list[float]] = defaultdict(list)
        self._tokens = 0

    def add(self, rollout: Rollout, masked: Iterable[TurnMask]) -> None:
        """A rollout of the step, with the turns of it that are context only."""
        self._masked += masked_tokens(rollout, masked)
        for agent in rollout.agents:
            tokens = sum(len(turn.sampled_token_ids) for turn in agent.turns)
            self._tokens += tokens
            self._sizes[f"tokens/{agent.role}"].append(float(tokens))
            self._sizes[f"turns/{agent.role}"].append(float(len(agent.turns)))

    def scalars(self) -> dict[str, float]:
        """Shares of sampled tokens by name; of no tokens there are none."""
        if not self._tokens:
            return {}
        shares = {f"tokens/masked/{reason}": count / self._tokens for reason, count in self._masked.items()}
        return {"tokens/masked": self._masked.total() / self._tokens, **shares}

    def histograms(self) -> dict[str, tuple[float, ...]]:
        """One number an agent, by role."""
        return {name: tuple(values) for name, values in self._sizes.items()}
