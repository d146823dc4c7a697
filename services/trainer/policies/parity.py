r"""Whether an engine serves the policy that was trained, judged from log-probabilities of sampled tokens.

Let e be what the engine states for the sampled tokens t of prompts p, c what the trainer computes with the candidate,
k what the trainer computes with another version (the parent, the base). Two questions are asked of each replica.

**How far is it off?**  mean |e - c| <= limit.  In float32 the limit is 1e-4: engine and trainer differ by 1e-6. In
bfloat16 their rounding alone makes 0.01 to 0.1, which depends on the model, so the limit is FACTOR times the mean
measured, on the same replica, with a version that both surely compute (the base); where no trainer of the base is at
hand, OWN_FACTOR times the mean between what the engine states in sampling the base and in reading it.

**Is it nearer to another version?**  Regress what the engine adds to the other version on what the candidate adds:

    u = c - k        y = e - k        position = sum(u y) / sum(u^2)

The position is 1 when the engine computes the candidate (y = u + noise), 0 when it computes the other version
(y = noise), and above 1/2 exactly when sum |e - k|^2 > sum |e - c|^2. Rounding of the trainer itself, of variance g^2 a
token, draws both towards 1/2 but never beyond it: (D^2 + g^2) / (D^2 + 2 g^2) for the candidate, g^2 / (D^2 + 2 g^2)
for the other version, D^2 being the true mean square of u. With the residuals r = y - position u, the standard error is
the larger of the heteroscedastic and the prompt-clustered sandwich (P prompts):

    error^2 = max( sum_t (u r)^2 ,  P / (P - 1) sum_p (sum_{t in p} u r)^2 ) / sum(u^2)^2

A position more than Z standard errors below 1/2 is read as `other` and refused, one as far above as `candidate`. What
lies between is `indistinguishable` and refuses nothing: the two versions differ by less than the noise, so that what is
served is within the noise of the candidate. A candidate is thus refused wrongly, and another version taken for it, with
a probability below 1e-4 each. `tests/unit/test_policies_parity.py` counts both on simulated engines.
Source: White (1980) and Liang and Zeger (1986) for the sandwich.
"""

import math
from collections.abc import Mapping, Sequence

from services.trainer.policies.report import Comparison, Reading, ReplicaReport

FLOAT32_LIMIT = 1e-4
"""Mean |difference| of float32 log-probabilities that is not rounding."""

FACTOR = 2.0
"""How much more a candidate may differ than what the limit was calibrated on; policies move the noise a little."""

OWN_FACTOR = 3.0
"""The same where the engine was only compared with itself (sampling against reading, on the base), which knows nothing
of the trainer's own rounding. Measured on vLLM 0.32 on a CPU with SmolLM2 in bfloat16: 0.034 against itself, 0.042
against the trainer on the base, 0.051 with an adapter."""

Z = 4.0
"""Standard errors that a position must be away from 1/2 to be read."""

Logprobs = Sequence[Sequence[float]]
"""By prompt and token."""


def compare(version: int, engine: Logprobs, candidate: Logprobs, other: Logprobs) -> Comparison:
    """Where the engine stands between another version (0) and the candidate (1)."""
    prompts = [
        [(c - k, e - k) for e, c, k in zip(*rows, strict=True)] for rows in zip(engine, candidate, other, strict=True)
    ]
    tokens = [pair for prompt in prompts for pair in prompt]
    squares = math.fsum(u * u for u, _ in tokens)
    gap = math.sqrt(squares / max(len(tokens), 1))
    if squares == 0:
        return Comparison(version=version, position=0.5, error=0.0, gap=0.0, reading="indistinguishable")
    position = math.fsum(u * y for u, y in tokens) / squares
    scores = [[u * (y - position * u) for u, y in prompt] for prompt in prompts]
    error = math.sqrt(_variance(scores)) / squares
    return Comparison(version=version, position=position, error=error, gap=gap, reading=_reading(position, error))


def measure(replica: str, engine: Logprobs, candidate: Logprobs) -> ReplicaReport:
    """The differences of one replica, with nothing judged yet. Raises `ValueError` where there are none."""
    by_prompt = [[e - c for e, c in zip(*rows, strict=True)] for rows in zip(engine, candidate, strict=True)]
    differences = [value for prompt in by_prompt for value in prompt]
    if not differences:
        raise ValueError("no token was sampled")
    if wrong := sum(not math.isfinite(value) for value in differences):
        reason = f"{wrong} of {len(differences)} log-probabilities are no numbers: the weights are broken"
        return ReplicaReport(replica=replica, reasons=(reason,))
    sizes = sorted(abs(value) for value in differences)
    return ReplicaReport(
        replica=replica,
        mean=math.fsum(sizes) / len(sizes),
        max=sizes[-1],
        quantiles={f"p{share}": sizes[min(len(sizes) - 1, len(sizes) * share // 100)] for share in (50, 90, 99)},
        worst_prompt=max(math.fsum(map(abs, prompt)) / len(prompt) for prompt in by_prompt if prompt),
        differences=tuple(differences),
    )


def judge(
    measured: ReplicaReport,
    engine: Logprobs,
    candidate: Logprobs,
    others: Mapping[int, Logprobs],
    *,
    limit: float,
    limit_from: str,
) -> ReplicaReport:
    """A replica's report with its verdict: `reasons` are empty when it serves the candidate.

    `limit` is of the mean |difference|, `limit_from` says where it comes from.
    """
    if measured.reasons:
        return measured
    comparisons = tuple(compare(version, engine, candidate, other) for version, other in others.items())
    reasons = [
        f"is nearer to version {one.version} than to the candidate: it stands at "
        f"{one.position:.2f} of the way between them (standard error {one.error:.2f})"
        for one in comparisons
        if one.reading == "other"
    ]
    if measured.mean > limit:
        reasons.append(
            f"mean |difference| of log-probabilities {measured.mean:.3g} is above {limit:.3g} ({limit_from}): the "
            "engine computes another base, other weights or in another precision than the trainer"
        )
    return measured.model_copy(
        update={"limit": limit, "limit_from": limit_from, "comparisons": comparisons, "reasons": tuple(reasons)}
    )


def _variance(scores: Sequence[Sequence[float]]) -> float:
    """The larger of the heteroscedastic and the clustered sum of squared scores."""
    single = math.fsum(score * score for prompt in scores for score in prompt)
    clusters = len(scores)
    if clusters < 2:
        return single
    return max(single, clusters / (clusters - 1) * math.fsum(math.fsum(prompt) ** 2 for prompt in scores))


def _reading(position: float, error: float) -> Reading:
    if abs(position - 0.5) <= Z * error:
        return "indistinguishable"
    return "candidate" if position > 0.5 else "other"
