"""Sections on what was scored: headline, targets, pairs, columns. What is missing is named."""

from services.evaluation.policy import markdown
from services.evaluation.policy.columns import accuracy, accuracy_of, columns_of, kind
from services.evaluation.policy.compare import paired
from services.evaluation.policy.markdown import MISSING
from services.evaluation.policy.measures import DIFFICULTIES, LABELS, measured
from services.evaluation.policy.parts import TABLE_METRICS, Report


def headline(report: Report) -> str:
    """Scores over all tasks, then by difficulty."""
    arms = report.group("headline")
    header = ["arm", "tasks x seeds", *(LABELS[metric] for metric in (*TABLE_METRICS, "valid_calls")), "each seed"]
    rows = [
        [
            arm.title,
            f"{value.tasks} x {arm.num_trials}" if (value := measured(arm, "item_f1")) else MISSING,
            *(markdown.estimate(measured(arm, metric)) for metric in (*TABLE_METRICS, "valid_calls")),
            markdown.seeds(value),
        ]
        for arm in arms
    ]
    parts = [markdown.table(header, rows)]
    for metric in TABLE_METRICS:
        by = [[arm.title, *(markdown.estimate(measured(arm, metric, one)) for one in DIFFICULTIES)] for arm in arms]
        parts += [f"By difficulty, {LABELS[metric]}:", markdown.table(["arm", *DIFFICULTIES], by)]
    return "\n\n".join(parts)


def targets(report: Report) -> str:
    """What was aimed at, and whether it was reached: by the mean, not by the interval's lower end."""
    rows = []
    for target in report.described.targets:
        arm = report.arm(target.arm)
        value = measured(arm, target.metric, target.difficulty)
        reached = MISSING if value is None else "yes" if value.mean >= target.at_least else "no"
        what = f"{LABELS[target.metric]}, {target.difficulty or 'all tasks'}"
        rows.append([arm.title, what, f"{target.at_least:g}", markdown.estimate(value), reached])
    return markdown.table(["arm", "what", "at least", "measured", "reached"], rows, right=2) if rows else ""


def comparisons(report: Report) -> str:
    """Pairs of arms, task by task."""
    rows = []
    for pair in report.described.compare:
        first, second = report.arm(pair.first), report.arm(pair.second)
        for metric in TABLE_METRICS:
            found = paired(first, second, metric)
            verdict, tasks = (found.verdict, str(found.tasks)) if found else (MISSING, "0")
            named = f"{first.title} - {second.title}" + (f" ({pair.why})" if pair.why else "")
            rows.append([named, LABELS[metric], tasks, markdown.difference(found), verdict])
    header = ["first - second", "metric", "tasks", "mean difference", "interval"]
    return markdown.table(header, rows, right=2) if rows else ""


def difficulties(report: Report) -> str:
    """The same pairs by difficulty, item F1."""
    rows = []
    for pair in report.described.compare:
        first, second = report.arm(pair.first), report.arm(pair.second)
        by = [markdown.difference(paired(first, second, "item_f1", one)) for one in DIFFICULTIES]
        rows.append([f"{first.title} - {second.title}", *by])
    return markdown.table(["item F1, first - second", *DIFFICULTIES], rows) if rows else ""


def paired_section(report: Report) -> str:
    """Both tables of pairs."""
    return "\n\n".join(part for part in (comparisons(report), difficulties(report)) if part)


def columns(report: Report) -> str:
    """Right cells by column, those that training never asks for named."""
    arms = report.group("headline")
    names = columns_of(arms)
    if not names:
        return ""
    held_out = [name for name in names if report.trained.get(name) is False]
    said = f"Columns that no training task asks for: {', '.join(held_out) or 'none'}."
    sums = [
        [words, "", *(markdown.estimate(accuracy_of(arm, report.trained, in_training=flag)) for arm in arms)]
        for words, flag in (("**columns in training**", True), ("**held-out columns**", False))
    ]
    rows = [
        [name, kind(name, report.trained), *(markdown.estimate(accuracy(arm, name)) for arm in arms)] for name in names
    ]
    return said + "\n\n" + markdown.table(["column", "", *(arm.title for arm in arms)], [*sums, *rows], right=2)
