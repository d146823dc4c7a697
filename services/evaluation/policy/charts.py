"""The report's plots, as files that stand alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.evaluation.policy.arms import Arm
from services.evaluation.policy.measures import DIFFICULTIES, LABELS, Estimate, costs, measured
from services.evaluation.policy.training import Stage, smoothed
from services.kit import plots

SMOOTHED = 10
"""Steps whose mean a noisy curve shows."""


@dataclass(frozen=True)
class Chart:
    """A plot by the name of its file."""

    file: str
    title: str
    svg: str


def headline_charts(arms: Sequence[Arm]) -> Iterator[Chart]:
    """Item F1 of every arm and difficulty."""
    found = {
        f"{arm.title}: {difficulty}": value
        for difficulty in DIFFICULTIES
        for arm in arms
        if (value := measured(arm, "item_f1", difficulty))
    }
    if found:
        means = {name: value.mean for name, value in found.items()}
        ends = {name: (value.low, value.high) for name, value in found.items()}
        yield _chart("item_f1.svg", "Item F1 by difficulty", plots.bars(means, x="item F1, 95 % interval", errors=ends))


def width_charts(arms: Sequence[Arm]) -> Iterator[Chart]:
    """Score and longest chain of model calls by the width that a lead may use."""
    scores: dict[str, list[plots.Point]] = {}
    chains: dict[str, list[plots.Point]] = {}
    for arm in arms:
        width, value = arm.setting("width"), measured(arm, "item_f1")
        if isinstance(width, int) and value:
            name = arm.spec.series or "item F1"
            scores.setdefault(name, []).append(_point(width, value))
            calls = costs(arm)["critical_path_calls"]
            chains.setdefault(arm.spec.series or "model calls", []).append((width, calls, calls, calls))
    if scores:
        yield _chart("width.svg", "Item F1 by width", plots.curves(scores, x="width", y="item F1, 95 % interval"))
        yield _chart("width_calls.svg", "Critical path by width", plots.curves(chains, x="width", y="calls in a row"))


def stage_charts(stage: Stage) -> Iterator[Chart]:
    """What a stage of training did, step by step."""
    if stage.curve("reward/mean"):
        yield _rewards(stage)
    if loss := stage.curve("loss/value"):
        shown = {"loss": loss, f"mean of {SMOOTHED} steps": smoothed(loss, SMOOTHED)}
        yield _chart(f"{stage.name}_loss.svg", f"{stage.title}: loss", plots.lines(shown, x="step", y="loss"))
    held_out = {LABELS.get(name, name): points for name, points in stage.held_out().items()}
    if held_out:
        svg = plots.curves(held_out, x="step", y="held-out score, 95 % interval")
        yield _chart(f"{stage.name}_held_out.svg", f"{stage.title}: held-out tasks", svg)


def cost_charts(arms: Sequence[Arm]) -> Iterator[Chart]:
    """What each arm spends on a task, and what it gets for it."""
    found = {
        arm.title: [(costs(arm)["tokens"] / 1_000, value.mean)] for arm in arms if (value := measured(arm, "item_f1"))
    }
    if found:
        svg = plots.scatter(found, x="thousand tokens a task", y="item F1")
        yield _chart("cost.svg", "Tokens and score", svg)


def column_charts(accuracies: dict[str, Estimate], title: str) -> Iterator[Chart]:
    """Right cells by column, best first."""
    ranked = sorted(accuracies, key=lambda name: (-accuracies[name].mean, name))
    if ranked:
        means = {name: accuracies[name].mean for name in ranked}
        ends = {name: (accuracies[name].low, accuracies[name].high) for name in ranked}
        svg = plots.bars(means, x="right cells, 95 % interval", errors=ends)
        yield _chart("columns.svg", f"{title}: right cells by column", svg)


def _rewards(stage: Stage) -> Chart:
    reward, answer = stage.curve("reward/mean"), stage.curve("reward/answer")
    shown = {"reward": reward, f"mean of {SMOOTHED} steps": smoothed(reward, SMOOTHED)}
    if answer:
        shown["answer's part"] = smoothed(answer, SMOOTHED)
    return _chart(f"{stage.name}_reward.svg", f"{stage.title}: reward", plots.lines(shown, x="step", y="reward"))


def _point(x: float, value: Estimate) -> plots.Point:
    return (x, value.mean, value.low, value.high)


def _chart(file: str, title: str, svg: str) -> Chart:
    """A plot on white: as a file it may be shown on any background."""
    head, _, rest = svg.partition(">")
    return Chart(file, title, f'{head}><rect width="100%" height="100%" fill="#ffffff"/>{rest}\n')
