"""What the weight of a token comes to under the layout-dependent weighting, and how fast leads learn under each scheme.

Run as `python -m benchmarks.objective_weights`. Two tables, from one run:

1. A simulated step of 128 rollouts with 0 to 10 subagents: trained tokens of agents are log-normal (median 2 000, of
   leads 3 200, spread 0.9), rows of at most 32 000 tokens are dealt evenly into micro-batches of 32 000 tokens.
   Implemented over intended weight of a token, by percentile of agents, and the lead's share of all weight.
2. Plain gradient ascent on a softmax over the widths 1, 2, 5 and 10 with values 0.2 to 0.5, exact baseline: updates
   until width 10 has a probability above 0.9.
"""

import argparse
import heapq
import json
import math
import random
import sys
from collections.abc import Sequence
from typing import NamedTuple

from services.trainer.config import WeightsConfig
from services.trainer.objective.batch import AgentShape, RolloutShape
from services.trainer.objective.compat import RowOf, reference_compat_weights
from services.trainer.objective.weights import lead_share, token_weights
from wideseek.trajectory import Role

WIDTHS, VALUES = (1, 2, 5, 10), (0.2, 0.3, 0.4, 0.5)
_BUDGET = 32_000
"""Tokens of a micro-batch, and of the longest row."""
_CONTEXT = 4
"""Tokens of a row for each trained one; the others are prompts and tool results."""


def width_gradient(policy: Sequence[float], values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Expected gradient of a softmax over widths: p_k (w_k A_k - sum of p_m w_m A_m), A the value less the mean."""
    baseline = math.fsum(share * value for share, value in zip(policy, values, strict=True))
    pulls = [weight * (value - baseline) for weight, value in zip(weights, values, strict=True)]
    mean = math.fsum(share * pull for share, pull in zip(policy, pulls, strict=True))
    return [share * (pull - mean) for share, pull in zip(policy, pulls, strict=True)]


def climb(values: Sequence[float], weights: Sequence[float], *, rate: float = 0.05, until: float = 0.9) -> int:
    """Updates of plain ascent from the uniform policy until the last width is chosen with probability `until`."""
    logits, updates = [0.0] * len(values), 0
    while (policy := _softmax(logits))[-1] <= until:
        steps = width_gradient(policy, values, weights)
        logits = [logit + rate * step for logit, step in zip(logits, steps, strict=True)]
        updates += 1
    return updates


def _softmax(logits: Sequence[float]) -> list[float]:
    shares = [math.exp(logit) for logit in logits]
    return [share / sum(shares) for share in shares]


def simulated(seed: int, *, rollouts: int = 128) -> list[RolloutShape]:
    """A step with log-normal lengths, the same for the same seed."""
    dice = random.Random(seed)
    return [_rollout(dice, number) for number in range(rollouts)]


def _rollout(dice: random.Random, number: int) -> RolloutShape:
    width = dice.randint(0, 10)
    agents = tuple(
        AgentShape(
            agent_id=str(place),
            role=Role.SUBAGENT if place else Role.LEAD,
            trained_tokens=min(
                _BUDGET // _CONTEXT, 1 + int(dice.lognormvariate(math.log(2_000 if place else 3_200), 0.9))
            ),
        )
        for place in range(1 + width)
    )
    return RolloutShape(rollout_id=str(number), group_id=str(number // 8), reward=0.0, agents=agents)


def micro_batches(rollouts: Sequence[RolloutShape]) -> list[list[RowOf]]:
    """Rows dealt evenly by tokens, the longest first to the emptiest of as few micro-batches as hold them."""
    rows = [RowOf(one.rollout_id, agent.agent_id, agent.trained_tokens) for one in rollouts for agent in one.agents]
    rows.sort(key=lambda row: -row.trained_tokens)
    count = math.ceil(sum(map(_length, rows)) / _BUDGET)
    while True:
        loads, batches = [(0, place) for place in range(count)], [list[RowOf]() for _ in range(count)]
        for row in rows:
            load, place = heapq.heappop(loads)
            batches[place].append(row)
            heapq.heappush(loads, (load + _length(row), place))
        if max(loads)[0] <= _BUDGET:
            return batches
        count += 1


def _length(row: RowOf) -> int:
    return min(_BUDGET, _CONTEXT * row.trained_tokens)


class Skew(NamedTuple):
    """Implemented over intended weight."""

    rows: int
    batches: int
    percentiles: dict[int, float]
    lead_intended: float
    lead_implemented: float


def skew(seed: int) -> Skew:
    """How far the layout-dependent weights of a simulated step are from the intended ones."""
    rollouts = simulated(seed)
    batches = micro_batches(rollouts)
    intended = token_weights(rollouts, WeightsConfig(), len(rollouts))
    implemented = reference_compat_weights(rollouts, len(rollouts), microbatches=batches)
    pairs = [
        (row, weight)
        for batch, weights in zip(batches, implemented, strict=True)
        for row, weight in zip(batch, weights, strict=True)
    ]
    ratios = sorted(weight / intended[row.rollout_id, row.agent_id] for row, weight in pairs)
    own = {(row.rollout_id, row.agent_id): weight for row, weight in pairs}
    return Skew(
        rows=len(pairs),
        batches=len(batches),
        percentiles={share: ratios[min(len(ratios) - 1, share * len(ratios) // 100)] for share in (0, 5, 50, 95, 100)},
        lead_intended=lead_share(rollouts, intended),
        lead_implemented=lead_share(rollouts, own),
    )


def main() -> None:
    """Print both tables, or with `--json` one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = skew(asked.seed)
    schemes = {"unweighted": [1.0] * 4, "1/N": [1 / width for width in WIDTHS], "role, lambda 1/2": [0.5] * 4}
    updates = {name: climb(VALUES, weights) for name, weights in schemes.items()}
    if asked.json:
        sys.stdout.write(json.dumps({"skew": found._asdict(), "updates": updates}) + "\n")
        return
    print(f"{found.rows} rows in {found.batches} micro-batches: implemented / intended weight of a token")
    print("| " + " | ".join(f"p{share}" for share in found.percentiles) + " |")
    print("|" + " --- |" * len(found.percentiles))
    print("| " + " | ".join(f"{value:.2f}" for value in found.percentiles.values()) + " |")
    print(f"lead's share of all weight: {found.lead_intended:.3f} intended, {found.lead_implemented:.3f} implemented\n")
    print("| weight of a lead's token | updates to p(10) > 0.9 | times |\n| --- | --- | --- |")
    for name, count in updates.items():
        print(f"| {name} | {count} | {count / updates['unweighted']:.2f} |")


if __name__ == "__main__":
    main()
