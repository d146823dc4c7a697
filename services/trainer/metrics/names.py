"""Every number a step may report, with its unit; a test fails on a name that is not here.

Names with `{…}` are families: the braces stand for a role, an estimator's side, a replica or a reason.
"""

import re

SCALARS: dict[str, str] = {
    "reward/mean": "Mean reward of the step's rollouts.",
    "reward/std": "Standard deviation of it.",
    "reward/{term}": "Mean of one term of the reward: answer, format, access, length.",
    "groups/zero_variance": "Share of collected groups whose rewards were all equal.",
    "groups/replaced": "Groups replaced for that.",
    "rollouts/agents": "Agents a rollout, mean (N).",
    "rollouts/turns": "Turns a rollout, mean.",
    "rollouts/utilisation": "Share of the rollout phase in which the engine had as much to do as it may (eta).",
    "rollouts/seconds": "Seconds a rollout took, median.",
    "tokens/trained": "Tokens trained on.",
    "tokens/unique": "Unique tokens of the rows, each counted once a rollout.",
    "tokens/repeat": "Trained-on row tokens over unique tokens; 1 when every turn merges.",
    "tokens/padding": "Share of padding in the micro-batches.",
    "tokens/spared": "Share of row tokens that were computed with another row that begins alike.",
    "tokens/merge_saving": "Tokens of one row a turn over tokens of merged rows.",
    "tokens/masked": "Share of sampled tokens that are masked.",
    "tokens/masked/{reason}": "Share of sampled tokens masked for one reason.",
    "tokens/without_advantage": "Share of row tokens that were not computed: the rewards of their groups were equal.",
    "tokens/per_second": "Row tokens a second of the update.",
    "weights/lead_share": "Share of the token weights that leads have.",
    "ratio/mean": "Mean importance ratio of trained tokens.",
    "ratio/max": "Largest of them.",
    "clip/{role}/{side}": "Share of a role's trained tokens clipped above, below or dual.",
    "mismatch/kl": "k3 estimate of the divergence between the logged and the recomputed log-probabilities.",
    "mismatch/ess": "Effective sample size, (sum rho)^2 / (n sum rho^2).",
    "correction/masked": "Share of trained tokens that the correction or the trust region leaves out.",
    "correction/mean": "Mean correction factor.",
    "loss/value": "Value of the loss.",
    "loss/kl": "Divergence from the reference, weighted as tokens are.",
    "loss/entropy": "Mean negative log-probability of trained tokens, a proxy of entropy.",
    "loss/grad_norm": "Gradient norm before it is clipped.",
    "optim/lr": "Learning rate.",
    "staleness/mean": "Steps a rollout's policy was behind, mean.",
    "staleness/max": "Largest of them.",
    "forks/per_1000_turns": "Turns whose prompt does not extend the turn before, per thousand.",
    "agents/truncated": "Share of agents that ran into a limit.",
    "time/collect_s": "Seconds the step waited for rollouts.",
    "time/learn_s": "Seconds of the update, checkpoint included.",
    "time/publish_s": "Seconds from checkpoint to the policy verified on every replica.",
    "time/idle_share": "Share of the step that the learner waited.",
    "parity/mean/{replica}": "Mean |difference of log-probabilities| on a replica.",
    "parity/max/{replica}": "Largest of them.",
}

HISTOGRAMS: dict[str, str] = {
    "reward": "Rewards of the step's rollouts.",
    "advantage": "Their advantages.",
    "agents": "Agents a rollout.",
    "tokens/{role}": "Sampled tokens of one agent.",
    "turns/{role}": "Turns of one agent.",
    "staleness": "Steps a rollout's policy was behind.",
    "parity/difference": "|Differences of log-probabilities| of the probe, all replicas.",
}

_FAMILIES = [re.compile(re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(name)) + r"\Z") for name in (*SCALARS, *HISTOGRAMS)]


def is_known(name: str) -> bool:
    """Whether a scalar or histogram of this name is in the tables above."""
    return any(family.match(name) for family in _FAMILIES)
