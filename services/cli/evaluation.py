"""What `wideseek eval` does with its options: tasks read, the cluster driven, numbers printed, a report written."""

import asyncio
import hashlib
import signal
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from services.cli.ask import orchestrator_url
from services.cli.console import CommandError, notes, results
from services.cli.measured import print_measured
from services.cli.probes import probe
from services.evaluation.budgets import budgets_from, budgets_name
from services.evaluation.cost import Rates
from services.evaluation.drive import Means, evaluate
from services.evaluation.judges import REPLIES, compared_with_rules, open_judge
from services.evaluation.options import Plan, Setting, Sweep, make_setting, make_sweep
from services.evaluation.results import Summary
from services.evaluation.sweep import evaluate_sweep
from services.evaluation.trials import Marking
from services.kit.asking import Patience, Stop
from services.kit.tasks import load_tasks
from wideseek.clients.orchestrator import Orchestrator
from wideseek.errors import InvalidRequest
from wideseek.instances import Task
from wideseek.judging import AgreementJudge
from wideseek.ports import Judge
from wideseek.values import Frozen

UNFINISHED, INTERRUPTED = 3, 130
"""Exit codes of an evaluation that is not at its end; the same command goes on with it."""

_BAD_INPUT = 2
_NAMED = 10
"""Trials unfinished for one reason that are named on the terminal; the summary names them all."""

_WIDE = 240
"""Columns of a printed table that goes to no terminal: enough for all of it."""


class Asked(Frozen):
    """Which tasks, how often and how: all that is no part of the setting."""

    tasks: Path
    out: Path
    gold: Path | None = None
    url: str | None = None
    home: Path | None = None
    trials: int = 1
    concurrency: int = 4
    retries: int = 4
    limit: int | None = None
    only: str | None = None
    sweep: str | None = None
    budget_from: Path | None = None


def run(asked: Asked, options: Mapping[str, Any]) -> int:
    """Evaluate, print the numbers, and say where they are; the exit code. `options` are those of the setting.

    Raises `CommandError` for what has to be put right first.
    """
    stop, console = Stop(), notes()
    try:
        plan, sweep = make_plan(asked, options)
        summary = asyncio.run(_interruptible(_evaluated(asked, plan, sweep, stop, console), stop, console))
        _print(summary)
        report = _report(plan.directory)
    except InvalidRequest as error:
        raise CommandError(str(error), exit_code=_BAD_INPUT) from error
    except OSError as error:
        raise CommandError(f"{error.filename or asked.out}: {error.strerror or error}") from error
    except asyncio.CancelledError:
        raise CommandError("left at once; runs in flight may go on", exit_code=INTERRUPTED) from None
    return _close(plan, summary, report, stop)


def make_plan(asked: Asked, options: Mapping[str, Any]) -> tuple[Plan, Sweep | None]:
    """The evaluation these options describe. Raises `InvalidRequest` naming the option or line that is wrong."""
    every = _read_tasks(asked)
    tasks = selected(every, asked.only, asked.limit)
    budgets = budgets_from(asked.budget_from, tasks) if asked.budget_from else {}
    setting = make_setting(
        {
            **options,
            "budget_from": budgets_name(asked.budget_from, budgets) if asked.budget_from else None,
        }
    )
    plan = Plan(
        directory=asked.out,
        url=(asked.url or orchestrator_url((asked.home or Path(".wideseek")).absolute())).rstrip("/"),
        tasks=tasks,
        tasks_file=str(asked.tasks),
        tasks_sha256=hashlib.sha256(asked.tasks.read_bytes()).hexdigest(),
        gold_sha256=hashlib.sha256("\n".join(task.model_dump_json() for task in every).encode()).hexdigest(),
        setting=setting,
        trials=asked.trials,
        budgets=budgets,
    )
    return plan, make_sweep(asked.sweep, setting) if asked.sweep else None


def _read_tasks(asked: Asked) -> list[Task]:
    loaded = load_tasks(asked.tasks, gold=asked.gold)
    for note in (note for one in loaded for note in one.notes):
        notes().print(note, soft_wrap=True, markup=False)
    return [one.task for one in loaded]


def selected(tasks: Sequence[Task], only: str | None, limit: int | None) -> list[Task]:
    """The tasks asked for. Raises `InvalidRequest` for an id that is not there, or when none is left."""
    wanted = [name.strip() for name in only.split(",")] if only else [task.instance_id for task in tasks]
    unknown = sorted(set(wanted) - {task.instance_id for task in tasks})
    if unknown:
        raise InvalidRequest(f"--only {unknown[0]}: no such task")
    chosen = [task for task in tasks if task.instance_id in set(wanted)][:limit]
    if not chosen:
        raise InvalidRequest("--tasks: holds no task")
    return chosen


async def _evaluated(asked: Asked, plan: Plan, sweep: Sweep | None, stop: Stop, console: Console) -> Summary:
    """Connect, and do the work."""
    setting = plan.setting
    rates = _rates(setting)
    async with AsyncExitStack() as stack:
        judge: Judge = await stack.enter_async_context(open_judge(setting, replies=asked.out / REPLIES))
        compared = compared_with_rules(judge)
        means = Means(
            runs=await stack.enter_async_context(Orchestrator(plan.url)),
            mark=Marking(compared or judge, rates).mark,
            stop=stop,
            console=console,
            concurrency=asked.concurrency,
            patience=Patience(tries=asked.retries + 1),
            check=lambda: _check_cluster(plan.url),
            assumptions=lambda: {**rates.assumptions(), **_agreement(compared)},
        )
        return await (evaluate_sweep(plan, sweep, means) if sweep else evaluate(plan, means))


def _agreement(compared: AgreementJudge | None) -> dict[str, float | str]:
    """Equal verdicts of the judge and of the deterministic one, on what this call has scored."""
    agreement = compared.agreement() if compared else None
    if agreement is None or not agreement.asked:
        return {}
    kappas = {f"judge_kappa {one.kind} {one.column}".strip(): one.kappa for one in agreement.verdicts}
    return {"judge_agreement": agreement.share, "judge_verdicts_compared": agreement.asked, **kappas}


def _rates(setting: Setting) -> Rates:
    given = {name: getattr(setting, name) for name in Rates.model_fields if name in Setting.model_fields}
    return Rates.model_validate({name: value for name, value in given.items() if value is not None})


def _check_cluster(url: str) -> None:
    answer = probe(f"{url}/healthz")
    if not answer.ready:
        advice = "start a cluster with `wideseek up --detach`, or give --url"
        raise CommandError(f"no orchestrator at {url} ({answer.detail}): {advice}")


async def _interruptible(work: Coroutine[Any, Any, Summary], stop: Stop, console: Console) -> Summary:
    """The work's result; the first Ctrl-C stops it in order, a second one at once."""
    working = asyncio.ensure_future(work)

    def pressed() -> None:
        if stop.is_set:
            working.cancel()
        else:
            console.print("stopping: cancelling the runs in flight (Ctrl-C again leaves them)")
            stop.set("interrupted")

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, pressed)
    try:
        return await working
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _report(directory: Path) -> Path:
    from services.evaluation.report import write_report  # noqa: PLC0415  # plots, which a wrong option need not wait for

    return write_report(directory)


def _print(summary: Summary) -> None:
    output = results()
    if not output.is_terminal:
        output.width = _WIDE
    print_measured(summary, output)


def _by_reason(unfinished: Mapping[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, why in unfinished.items():
        names.setdefault(why, []).append(name)
    return names


def _close(plan: Plan, summary: Summary, report: Path, stop: Stop) -> int:
    """Say what is missing and where everything is."""
    console = notes()
    for why, names in _by_reason(summary.unfinished).items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        console.print(f"unfinished: {', '.join(names[:_NAMED])}{more}: {why}", soft_wrap=True, markup=False)
    console.print(f"{plan.directory / 'summary.json'} and {report}", soft_wrap=True, markup=False)
    if stop.why == "interrupted":
        console.print("interrupted; the same command goes on where this one stopped")
        return INTERRUPTED
    return UNFINISHED if summary.unfinished else 0
