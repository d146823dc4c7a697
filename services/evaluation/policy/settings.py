"""Sections on what a score depends on and what it takes: settings, domains, training, cost, provenance."""

from collections.abc import Sequence

from services.evaluation.policy import markdown
from services.evaluation.policy.arms import Arm
from services.evaluation.policy.markdown import MISSING
from services.evaluation.policy.measures import LABELS, costs, measured
from services.evaluation.policy.parts import TABLE_METRICS, Report


def ablations(report: Report) -> str:
    """Arms under other settings: one agent, another token budget, another engine."""
    return _settings(report.group("ablation"))


def width(report: Report) -> str:
    """What the number of subtasks that a lead may hand out at once does."""
    return _settings(report.group("width"))


def _settings(arms: Sequence[Arm]) -> str:
    header = ["arm", "mode", "width", "token budget", "tasks x seeds", *(LABELS[one] for one in TABLE_METRICS)]
    rows = [
        [
            arm.title,
            _stated(arm, "mode", arm.spec.mode),
            _stated(arm, "width", arm.spec.width),
            budget(arm),
            f"{value.tasks} x {arm.num_trials}" if (value := measured(arm, "item_f1")) else MISSING,
            *(markdown.estimate(measured(arm, metric)) for metric in TABLE_METRICS),
            *(markdown.amount(costs(arm).get(name)) for name in ("tokens", "critical_path_calls")),
        ]
        for arm in arms
    ]
    return markdown.table([*header, "tokens", "calls in a row"], rows, right=4) if rows else ""


def _stated(arm: Arm, key: str, otherwise: object) -> str:
    value = arm.setting(key) if arm.summary else otherwise
    return "default" if value is None else str(value)


def budget(arm: Arm) -> str:
    """Tokens that a run of the arm may spend."""
    folder, tokens = arm.setting("budget_from"), arm.setting("max_tokens")
    if not arm.summary:
        return "none" if arm.spec.token_budget is None else str(arm.spec.token_budget)
    return f"as {folder}" if folder else "none" if tokens is None else f"{tokens:,}"


def domains(report: Report) -> str:
    """Tasks of another domain beside those of the domain that was trained on."""
    metrics = (*TABLE_METRICS, "em", "f1")
    rows = []
    for arm in report.group("ood"):
        inside = measured(report.arm(arm.spec.of), "item_f1") if arm.spec.of else None
        shown = [markdown.estimate(measured(arm, metric)) if arm.trials else MISSING for metric in metrics]
        tasks = f"{len({trial.instance_id for trial in arm.trials})} x {arm.num_trials}" if arm.trials else MISSING
        blank = ["–" if text == MISSING and arm.trials else text for text in shown]
        rows.append([arm.title, tasks, markdown.estimate(inside) if arm.spec.of else "–", *blank])
    header = ["arm", "tasks x seeds", "in domain, item F1", *(LABELS[metric] for metric in metrics)]
    return markdown.table(header, rows) if rows else ""


def learning(report: Report) -> str:
    """What the stages of training took."""
    rows = []
    for stage in report.stages:
        seconds = [stage.total(name) for name in ("time/collect_s", "time/learn_s", "time/publish_s")]
        known = [value for value in seconds if value is not None]
        rows.append(
            [
                stage.title,
                str(max(step.step for step in stage.steps)) if stage.steps else MISSING,
                markdown.amount(stage.total("tokens/trained")),
                markdown.amount(sum(known) / 60 if known else None),
                _ends(stage.curve("loss/value")),
                _ends(stage.curve("reward/mean")) if stage.curve("reward/mean") or not stage.steps else "–",
            ]
        )
    header = [
        "stage",
        "steps",
        "trained tokens",
        "minutes",
        "loss, first and last tenth",
        "reward, first and last tenth",
    ]
    return markdown.table(header, rows) if rows else ""


def _ends(curve: Sequence[tuple[float, float]]) -> str:
    """Means of the first and of the last tenth of a curve."""
    if not curve:
        return MISSING
    values, size = [value for _, value in curve], max(1, len(curve) // 10)
    return f"{sum(values[:size]) / size:.3f} → {sum(values[-size:]) / size:.3f}"


def cost(report: Report) -> str:
    """What a task took."""
    names = {
        "tokens": "tokens",
        "seconds": "seconds",
        "critical_path_s": "critical path, s",
        "critical_path_calls": "calls in a row",
        "model_calls": "model calls",
        "tool_calls": "tool calls",
        "subagents": "subagents",
    }
    rows = [[arm.title, *(markdown.amount(costs(arm).get(name)) for name in names)] for arm in report.arms]
    return markdown.table(["arm, mean a task", *names.values()], rows)


def provenance(report: Report) -> str:
    """What was asked, of whom, and the hashes of what it says so."""
    rows = []
    for arm in report.arms:
        seen = arm.summary
        unfinished = str(len(seen.unfinished)) if seen else MISSING
        rows.append(
            [
                arm.title,
                f"`{arm.name}`",
                arm.spec.model or "–",
                str(arm.setting("served") or MISSING),
                *(_stated(arm, key, None) if seen else MISSING for key in ("prompt_profile", "temperature", "seed")),
                unfinished,
                f"`{seen.tasks_sha256[:12]}`" if seen else MISSING,
                f"`{arm.results_sha256[:12]}`" if seen else MISSING,
            ]
        )
    header = [
        "arm",
        "folder",
        "model",
        "served",
        "prompts",
        "temperature",
        "seed",
        "unfinished",
        "tasks sha256",
        "results sha256",
    ]
    return markdown.table(header, rows, right=len(header))
