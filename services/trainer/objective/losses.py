"""The surrogate of a token and its weighted sum, on torch.

    mu, pi0, pi   log-probability of a token when it was sampled, at the start of the step, and now
    r = exp(clamp(pi - mu))           or exp(clamp(pi - pi0)) where a correction takes care of mu against pi0
    ppo:    f = min(r A, clip(r, 1 - low, 1 + high) A);  if A < 0: f = max(f, dual A)
    gspo:   r = exp(clamp(mean over an agent's trajectory of pi - mu)),  f = min(r A, clip(r) A) on every token
    cispo:  f = sg[clip(r, 1 - low, 1 + high)] A pi
    tis:    f = f sg[min(rho, C)],    mis: f = f sg[rho if low <= rho <= high else 0],    rho = exp(clamp(pi0 - mu))
    loss = - sum of w (f - beta k),   k2 = (pi - ref)^2 / 2,   k3 = exp(ref - pi) - (ref - pi) - 1

Nothing is divided by a number of tokens, rows, micro-batches or ranks: weights are computed once on the whole step
(`weights`), and what is left out by a mask is not made up for. Outside the clamp of the log ratio the gradient is 0.
Sources: PPO (arXiv:1707.06347) with the dual clip of arXiv:1912.09729 and DAPO's clip-higher (arXiv:2503.14476), GSPO
(arXiv:2507.18071), CISPO (arXiv:2506.13585), IcePop's and the truncated correction (arXiv:2510.18855), k2 and k3 after
J. Schulman, "Approximating KL divergence".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from services.trainer.config import PolicyLossConfig
from services.trainer.objective.tally import Tally
from wideseek.trajectory import Role


@dataclass(frozen=True)
class TokenLoss:
    """The loss of some tokens; all but `total` have a number a token and carry no gradient."""

    total: Tensor
    """Weighted sum, a scalar: what to call `backward` on."""
    ratio: Tensor
    """r, of the token or (gspo) of its sequence."""
    clipped_low: Tensor
    """Held at 1 - clip_low: with ppo and gspo only where the advantage is negative."""
    clipped_high: Tensor
    """Held at 1 + clip_high: with ppo and gspo only where the advantage is positive."""
    dual: Tensor
    """Held by the dual clip."""
    masked: Tensor
    """Left out by the correction, the sequence band or the trust region."""
    correction: Tensor
    """What the surrogate is multiplied by: 0 where masked, 1 without a correction."""
    kl: Tensor
    """Divergence from the reference; 0 without one."""


@dataclass(frozen=True)
class _Surrogate:
    value: Tensor
    low: Tensor
    high: Tensor
    dual: Tensor


def token_loss(  # noqa: PLR0913  # the parts of one formula
    current: Tensor,
    behaviour: Tensor,
    proximal: Tensor | None,
    advantages: Tensor,
    weights: Tensor,
    config: PolicyLossConfig,
    *,
    sequence_ids: Tensor | None = None,
    sequence_log_ratio: Tensor | None = None,
    reference: Tensor | None = None,
) -> TokenLoss:
    """The loss of trained tokens, all tensors of one shape and of one floating type.

    `proximal` None means that this is the step's only update: pi0 is `current` without its gradient. `gspo` and
    `sequence_band` need `sequence_ids`, one whole number an agent trajectory, and all trained tokens of a trajectory in
    one call; where a trajectory's rows are dealt out to several calls, give `sequence_log_ratio` instead: for each
    token its trajectory's mean of pi - mu, as `sequence_means` over the whole step says. Tokens of weight 0
    belong to no trajectory.

    Raises ValueError for an input that the configuration needs and that is missing, and for a correction that is
    still `auto`.
    """
    proximal = current.detach() if proximal is None else proximal.detach()
    log_rho = proximal - behaviour
    factor = _correction(log_rho, config)
    masked = factor == 0
    if config.sequence_band is not None:
        band = sequence_log_ratio if sequence_log_ratio is not None else _means(log_rho, sequence_ids, weights)
        masked |= _outside(_exp(band, config), config.sequence_band)
    if config.tv_mask is not None:
        moved = (torch.exp(current.detach()) - torch.exp(behaviour)) * torch.sign(advantages)
        masked |= moved > config.tv_mask
    ratio = _ratio(current, behaviour, proximal, weights, config, (sequence_ids, sequence_log_ratio))
    surrogate = (
        _cispo(current, ratio, advantages, config) if config.kind == "cispo" else _clip(ratio, advantages, config)
    )
    factor = factor.masked_fill(masked, 0.0)
    divergence = _divergence(current, reference, config)
    return TokenLoss(
        total=-(weights * (surrogate.value * factor - config.kl_beta * divergence)).sum(),
        ratio=ratio.detach(),
        clipped_low=surrogate.low & ~masked,
        clipped_high=surrogate.high & ~masked,
        dual=surrogate.dual & ~masked,
        masked=masked,
        correction=factor,
        kl=divergence.detach(),
    )


def sequence_means(values: Tensor, sequence_ids: Tensor) -> Tensor:
    """For each token the mean of `values` over the tokens of its sequence."""
    _, place = torch.unique(sequence_ids, return_inverse=True)
    sums = torch.zeros(int(place.max()) + 1 if len(place) else 0, dtype=values.dtype, device=values.device)
    counts = torch.zeros_like(sums).index_add(0, place, torch.ones_like(values))
    return (sums.index_add(0, place, values) / counts)[place]


def _means(values: Tensor, sequence_ids: Tensor | None, weights: Tensor) -> Tensor:
    """Means over trajectories; tokens of weight 0 belong to none and get 0."""
    if sequence_ids is None:
        raise ValueError("gspo and sequence_band are of a trajectory: sequence_ids are missing")
    trained = weights > 0
    means = torch.zeros_like(values)
    means[trained] = sequence_means(values[trained], sequence_ids[trained])
    return means


def _ratio(
    current: Tensor,
    behaviour: Tensor,
    proximal: Tensor,
    weights: Tensor,
    config: PolicyLossConfig,
    sequences: tuple[Tensor | None, Tensor | None],
) -> Tensor:
    if config.kind != "gspo":
        return _exp(current - (behaviour if config.correction == "none" else proximal), config)
    ids, given = sequences
    mean = _means((current - behaviour).detach(), ids, weights) if given is None else given
    # The sequence's ratio with the token's own gradient: summed over a trajectory, whose tokens share weight and
    # advantage, that is the gradient through the mean, and it holds where its rows lie in several micro-batches.
    return _exp(mean.detach() + (current - current.detach()), config)


def _clip(ratio: Tensor, advantages: Tensor, config: PolicyLossConfig) -> _Surrogate:
    free = ratio * advantages
    held = ratio.clamp(1 - config.clip_low, 1 + config.clip_high) * advantages
    clipped = held < free
    value = torch.where(clipped, held, free)
    dual = torch.zeros_like(clipped)
    if config.dual_clip is not None and config.kind == "ppo":
        dual = (advantages < 0) & (value < config.dual_clip * advantages)
        value = torch.where(dual, config.dual_clip * advantages, value)
    return _Surrogate(value, clipped & (advantages < 0) & ~dual, clipped & (advantages > 0), dual)


def _cispo(current: Tensor, ratio: Tensor, advantages: Tensor, config: PolicyLossConfig) -> _Surrogate:
    low, high = 1 - config.clip_low, 1 + config.clip_high
    value = ratio.detach().clamp(low, high) * advantages * current
    return _Surrogate(value, ratio.detach() < low, ratio.detach() > high, torch.zeros_like(ratio, dtype=torch.bool))


def _correction(log_rho: Tensor, config: PolicyLossConfig) -> Tensor:
    if config.correction == "auto":
        raise ValueError("correction: auto has not been decided; see services.trainer.objective.correction")
    rho = _exp(log_rho, config)
    if config.correction == "tis":
        return rho.clamp(max=config.tis_cap)
    if config.correction == "mis":
        return rho.masked_fill(_outside(rho, (config.mis_low, config.mis_high)), 0.0)
    return torch.ones_like(rho)


def _divergence(current: Tensor, reference: Tensor | None, config: PolicyLossConfig) -> Tensor:
    if config.kl == "none":
        return torch.zeros_like(current)
    if reference is None:
        raise ValueError(f"kl: {config.kl} needs the log-probabilities of the reference")
    if config.kl == "k2":
        return (current - reference.detach()) ** 2 / 2
    log_ratio = (reference.detach() - current).clamp(-config.log_ratio_clamp, config.log_ratio_clamp)
    return torch.exp(log_ratio) - log_ratio - 1


def _exp(log_ratio: Tensor, config: PolicyLossConfig) -> Tensor:
    return torch.exp(log_ratio.clamp(-config.log_ratio_clamp, config.log_ratio_clamp))


def _outside(values: Tensor, band: tuple[float, float]) -> Tensor:
    return (values < band[0]) | (values > band[1])


class Evaluated(NamedTuple):
    """The loss of some tokens as plain numbers."""

    loss: float
    gradient: list[float]
    """Of the loss, with respect to each token's current log-probability."""
    clipped: int
    """Tokens held by the clip, the dual clip's not among them."""
    dual: int


def evaluate(
    current: Sequence[float],
    behaviour: Sequence[float],
    advantages: Sequence[float],
    weights: Sequence[float],
    config: PolicyLossConfig,
) -> Evaluated:
    """`token_loss` and its gradient in double precision, for numbers."""
    logprobs = torch.tensor(current, dtype=torch.float64, requires_grad=True)
    fixed = (torch.tensor(values, dtype=torch.float64) for values in (behaviour, advantages, weights))
    old, advantage, weight = fixed
    loss = token_loss(logprobs, old, None, advantage, weight, config)
    (gradient,) = torch.autograd.grad(loss.total, logprobs)
    return Evaluated(
        loss.total.item(),
        gradient.tolist(),
        int((loss.clipped_low | loss.clipped_high).sum()),
        int(loss.dual.sum()),
    )


def tally(  # the tensors of `token_loss` and its result
    loss: TokenLoss,
    current: Tensor,
    behaviour: Tensor,
    proximal: Tensor | None,
    weights: Tensor,
    roles: Mapping[Role, Tensor],
) -> Tally:
    """The sums of a micro-batch for the step's metrics; `roles` says of each role which tokens are its agents'.

    Tokens of weight 0 are fill and count in nothing.
    """
    trained = weights > 0
    if not bool(trained.any()):
        return Tally()
    now = current.detach()[trained].double()
    log_rho = ((current if proximal is None else proximal).detach() - behaviour)[trained].double()
    # Only for the statistics: keeps one broken token from making the whole step's estimate infinite.
    log_rho = log_rho.clamp(-20, 20)
    rho, ratio = torch.exp(log_rho), loss.ratio[trained].double()
    sums = {
        "tokens": trained.sum(),
        "ratio": ratio.sum(),
        "rho": rho.sum(),
        "rho_squared": (rho**2).sum(),
        "k3": (torch.expm1(log_rho) - log_rho).sum(),
        "masked": loss.masked[trained].sum(),
        "correction": loss.correction[trained].double().sum(),
        "entropy": -now.sum(),
        "loss": loss.total.detach(),
        "kl": (weights * loss.kl)[trained].double().sum(),
    }
    for role, tokens in roles.items():
        own = tokens & trained
        sides = {"above": loss.clipped_high, "below": loss.clipped_low, "dual": loss.dual}
        sums |= {str(role): own.sum(), **{f"{role}/{side}": (own & held).sum() for side, held in sides.items()}}
    return Tally({name: float(value) for name, value in sums.items()}, float(ratio.max()))
