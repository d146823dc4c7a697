"""A setting in several variants: one evaluation each, in a folder of its own, and a summary of all.

Results stand in the folders `KEY=a/` only; the folder above holds `summary.json`, whose `sweep` maps `KEY=a`
to that variant's metrics. Variants run one after another, so that their times can be compared.
"""

from dataclasses import replace

from services.evaluation.drive import SUMMARY, Means, about, check_requests, evaluate
from services.evaluation.journal import take_up, write_atomically
from services.evaluation.options import Plan, Sweep
from services.evaluation.results import Group, Summary


async def evaluate_sweep(plan: Plan, sweep: Sweep, means: Means) -> Summary:
    """Evaluate every variant that is not finished, and write the summary of all.

    Raises as `evaluate` does. A variant of which no task is finished is left out of `sweep` and named in
    `unfinished`.
    """
    variants = {
        name: replace(plan, directory=plan.directory / name, setting=setting)
        for name, setting in sweep.variants.items()
    }
    for variant in variants.values():
        check_requests(variant)
    plan.directory.mkdir(parents=True, exist_ok=True)
    take_up(plan.directory, about(plan, sweep=sweep.key))
    summaries = {name: await evaluate(variant, means, name=name) for name, variant in variants.items()}
    summary = summarise_sweep(plan, sweep, summaries)
    write_atomically(plan.directory / SUMMARY, summary.model_dump_json(indent=2))
    return summary


def summarise_sweep(plan: Plan, sweep: Sweep, summaries: dict[str, Summary]) -> Summary:
    """The variants side by side; what they share is the setting."""
    shared = {name: value for name, value in plan.setting.model_dump(mode="json").items() if name != sweep.key}
    return Summary(
        tasks=len(plan.tasks),
        trials=plan.trials,
        setting={"sweep": sweep.key, "trials": plan.trials, **shared},
        tasks_sha256=plan.tasks_sha256,
        unfinished={
            f"{name}: {work}": why for name, summary in summaries.items() for work, why in summary.unfinished.items()
        },
        assumptions=next((summary.assumptions for summary in summaries.values()), {}),
        sweep={name: _group(summary) for name, summary in summaries.items() if summary.tasks},
    )


def _group(summary: Summary) -> Group:
    return Group.model_validate({name: getattr(summary, name) for name in Group.model_fields})
