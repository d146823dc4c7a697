"""The charts of a job's report."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.kit import plots
from services.trainer.metrics.record import StepMetrics

_LAST = 20
"""Steps whose samples a histogram gathers."""
_MOST_BINS = 30


@dataclass(frozen=True)
class Chart:
    """A figure and what it shows."""

    title: str
    svg: str


@dataclass(frozen=True)
class _Lines:
    title: str
    y: str
    names: Mapping[str, str]
    """Label of a line by the scalar it draws."""


_CURVES = (
    _Lines("Lead's share of the token weights", "share", {"weights/lead_share": "lead"}),
    _Lines("Groups without a signal", "share of groups", {"groups/zero_variance": "all rewards equal"}),
    _Lines("Importance ratio", "ratio", {"ratio/mean": "mean", "ratio/max": "largest"}),
    _Lines("Mismatch with the logged log-probabilities", "k3 estimate", {"mismatch/kl": "KL"}),
    _Lines("Effective sample size", "share", {"mismatch/ess": "ESS"}),
    _Lines("Gradient norm before clipping", "norm", {"loss/grad_norm": "norm"}),
    _Lines("Loss", "loss", {"loss/value": "loss", "loss/kl": "divergence from the reference"}),
    _Lines("Entropy proxy", "nats a token", {"loss/entropy": "mean of -log p"}),
    _Lines("Staleness", "steps", {"staleness/mean": "mean", "staleness/max": "largest"}),
    _Lines("Agents and turns of a rollout", "mean", {"rollouts/agents": "agents", "rollouts/turns": "turns"}),
    _Lines(
        "Where a step's time goes",
        "seconds",
        {"time/collect_s": "collect", "time/learn_s": "learn", "time/publish_s": "publish"},
    ),
    _Lines("Tokens", "tokens", {"tokens/trained": "trained", "tokens/unique": "unique"}),
    _Lines("Padding", "share", {"tokens/padding": "padding"}),
)
_HISTOGRAMS = (
    ("advantage", "Advantages", "advantage"),
    ("reward", "Rewards", "reward"),
    ("parity/difference", "Parity probe: |difference of log-probabilities|", "|difference|"),
)
_COUNTS = (("staleness", "Staleness of rollouts", "steps"), ("agents", "Agents of a rollout", "agents"))


def charts(steps: Sequence[StepMetrics]) -> list[Chart]:
    """All that there is something to draw of, the learning curves first."""
    trained = [step for step in steps if step.scalars]
    drawn: list[Chart | None] = [_reward(trained), _terms(trained), _evaluation(steps)]
    drawn += [_curve(trained, curve) for curve in _CURVES]
    recent = trained[-_LAST:]
    drawn += [_histogram(recent, name, title, x) for name, title, x in _HISTOGRAMS]
    drawn += [_whole(recent, name, title, x) for name, title, x in _COUNTS]
    drawn += [_by_role(recent, "tokens/", "Sampled tokens of an agent", "tokens")]
    drawn += [_by_role(recent, "turns/", "Turns of an agent", "turns")]
    return [chart for chart in drawn if chart is not None]


def _series(steps: Sequence[StepMetrics], name: str) -> list[tuple[float, float]]:
    return [(step.step, step.scalars[name]) for step in steps if name in step.scalars]


def _reward(steps: Sequence[StepMetrics]) -> Chart | None:
    points = _series(steps, "reward/mean")
    if not points:
        return None
    spread = dict(_series(steps, "reward/std"))
    band = [(x, y - spread.get(x, 0), y + spread.get(x, 0)) for x, y in points]
    svg = plots.lines({"mean reward": points}, x="step", y="reward", bands={"mean reward": band})
    return Chart("Reward of training rollouts, one standard deviation shaded", svg)


def _terms(steps: Sequence[StepMetrics]) -> Chart | None:
    names = [f"reward/{term}" for term in ("answer", "format", "access", "length")]
    found = {name.removeprefix("reward/"): _series(steps, name) for name in names}
    found = {name: points for name, points in found.items() if points}
    return Chart("Terms of the reward", plots.lines(found, x="step", y="mean")) if found else None


def _evaluation(steps: Sequence[StepMetrics]) -> Chart | None:
    found: dict[str, list[plots.Point]] = {}
    for step in steps:
        for result in step.evaluation:
            found.setdefault(result.metric, []).append((step.step, result.mean, result.low, result.high))
    if not found:
        return None
    return Chart("Held-out tasks, 95 % intervals", plots.curves(found, x="step", y="score"))


def _curve(steps: Sequence[StepMetrics], curve: _Lines) -> Chart | None:
    found = {label: _series(steps, name) for name, label in curve.names.items()}
    found = {label: points for label, points in found.items() if points}
    return Chart(curve.title, plots.lines(found, x="step", y=curve.y)) if found else None


def _gathered(steps: Sequence[StepMetrics], wanted: Callable[[str], bool]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for step in steps:
        for name, values in step.histograms.items():
            if wanted(name) and values:
                found.setdefault(name, []).extend(values)
    return found


def _histogram(steps: Sequence[StepMetrics], name: str, title: str, x: str) -> Chart | None:
    values = _gathered(steps, lambda one: one == name).get(name)
    return Chart(_recent(title, steps), _drawn({x: values}, x)) if values else None


def _by_role(steps: Sequence[StepMetrics], prefix: str, title: str, x: str) -> Chart | None:
    found = _gathered(steps, lambda name: name.startswith(prefix))
    groups = {name.removeprefix(prefix): values for name, values in found.items()}
    return Chart(_recent(title, steps), _drawn(groups, x)) if groups else None


def _drawn(groups: Mapping[str, Sequence[float]], x: str) -> str:
    values = [value for group in groups.values() for value in group]
    low, high = min(values), max(values)
    width = (high - low) / _MOST_BINS or 1.0
    edges = [low + width * number for number in range(_MOST_BINS + 1)]
    return plots.histogram(groups, x=x, y="count", bins=edges)


def _whole(steps: Sequence[StepMetrics], name: str, title: str, x: str) -> Chart | None:
    values = _gathered(steps, lambda one: one == name).get(name)
    if not values:
        return None
    return Chart(_recent(title, steps), plots.counts({x: [round(value) for value in values]}, x=x, y="rollouts"))


def _recent(title: str, steps: Sequence[StepMetrics]) -> str:
    return f"{title}, steps {steps[0].step} to {steps[-1].step}"


def dropped(steps: Sequence[StepMetrics]) -> list[tuple[str, int]]:
    """Rollouts dropped by reason, the most frequent first."""
    total: Counter[str] = Counter()
    for step in steps:
        total.update(step.drops)
    return total.most_common()
