"""How `wideseek train` starts a job, shows it, and ends it."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.console import CommandError, notes, results
from services.cli.dry_run import assumptions_of, show_dry_run
from services.cli.state import read_state
from services.trainer.config import JobConfig
from services.trainer.folder import ENDED, JobFolder
from services.trainer.jobs.assumptions import Assumptions
from services.trainer.jobs.book import shown_status
from services.trainer.jobs.desk import JobDesk
from services.trainer.jobs.files import read_job
from services.trainer.jobs.launchers import LocalLauncher
from services.trainer.jobs.names import name_job, named_job
from services.trainer.jobs.stream import lines_after
from services.trainer.jobs.views import DryRun
from services.trainer.parts import make_parts
from services.trainer.settings import TrainerSettings
from wideseek.errors import InvalidRequest

EXIT_CODES = {"completed": 0, "failed": 1, "interrupted": 1, "cancelled": 5}
_LOOK_S = 0.5
_CLOSING_S = 60.0


@dataclass(frozen=True)
class Rehearsal:
    """What a dry run may look at."""

    offline: bool = False
    """Whether the job is for other machines: nobody is asked, and files may lie elsewhere."""
    assume: Path | None = None
    """File of the assumptions that its estimate is made with."""


@dataclass(frozen=True)
class Started:
    """How a job is started."""

    overrides: Sequence[str] = ()
    """`key.key=value` on top of its file."""
    name: str | None = None
    """What it is called; one that exists is gone on with."""


def run_training(
    home: Path,
    job: Path | None,
    started: Started,
    *,
    rehearsal: Rehearsal | None,
    resume: str | None,
    form: str,
) -> int:
    """Do what the command line asks; the exit code comes back. Raises CommandError and WideseekError.

    With a `rehearsal`, a dry run, nothing is started.
    """
    if (job is None) == (resume is None):
        raise CommandError("name a job's TOML file, or a job to --resume", exit_code=2)
    if form not in {"text", "json"}:
        raise CommandError(f"--format {form!r}: expected text or json", exit_code=2)
    if resume is not None and (started.overrides or rehearsal):
        raise CommandError("--resume goes on with the job as it is: leave out --set and --dry-run", exit_code=2)
    _know_cluster(home)
    try:
        config = read_job(job, started.overrides) if job is not None else None
        settings = TrainerSettings(home=home, launcher="local")
        if job is not None and config is not None and rehearsal:
            assumed = assumptions_of(job, rehearsal.assume)
            dry = asyncio.run(_rehearse(settings, config, rehearsal, assumed))
            show_dry_run(config, dry, assumed, form)
            return 0
        return asyncio.run(_train(settings, config, resume, started.name))
    except ValidationError as error:
        raise CommandError(f"settings: {error.errors()[0]['msg']}", exit_code=2) from error
    except InvalidRequest as error:
        raise CommandError(str(error), exit_code=2) from error


def _know_cluster(home: Path) -> None:
    """Take the addresses of the cluster that `up` started in this home; variables that are set win."""
    os.environ["WIDESEEK_HOME"] = str(home)
    state = read_state(home) if home.is_dir() else None
    if state is None:
        return
    service = state.plan.service("trainer")
    for name, value in service.env.items():
        if name.endswith("_URL") or name == "WIDESEEK_ENV":
            os.environ.setdefault(name, value)


async def _rehearse(
    settings: TrainerSettings, config: JobConfig, rehearsal: Rehearsal, assumed: Assumptions | None
) -> DryRun:
    parts = make_parts(settings, LocalLauncher())
    try:
        return await parts.desk.dry_run(config, offline=rehearsal.offline, assumed=assumed)
    finally:
        await parts.close()


async def _train(settings: TrainerSettings, config: JobConfig | None, resume: str | None, name: str | None) -> int:
    parts = make_parts(settings, LocalLauncher())
    try:
        if config is not None and name is not None:
            folder = await _named(parts.desk, settings.jobs_folder.absolute(), config, name)
        else:
            folder = await (parts.desk.start(config) if config is not None else parts.desk.resume(resume or ""))
        return await _watch(parts.desk, folder)
    finally:
        await parts.close()


async def _named(desk: JobDesk, jobs: Path, config: JobConfig, name: str) -> JobFolder:
    """The job of this name, at work or at its end: started, gone on with, or found so.

    Raises `InvalidRequest` when the job of this name was made with another configuration.
    """
    folder = named_job(jobs, name)
    if folder is None:
        folder = await desk.start(config)
        name_job(jobs, name, folder)
        return folder
    record = folder.record()
    if _as_asked(record.config, config) != config.sha256:
        raise InvalidRequest(f"--as {name}: {record.job_id} was made with another configuration; choose another name")
    if shown_status(folder) == "completed" or folder.conducted():
        return folder
    return await desk.resume(record.job_id)


def _as_asked(made: JobConfig, asked: JobConfig) -> str:
    """Hash of a job's configuration without the adapter that was looked up when the job was made."""
    adapter = {"init_adapter": asked.model.init_adapter}
    return made.model_copy(update={"model": made.model.model_copy(update=adapter)}).sha256


async def _watch(desk: JobDesk, folder: JobFolder) -> int:
    """Show the job until it ends; an interrupt asks it to end after its step, a second one ends it at once."""
    console, record = notes(), folder.record()
    console.print(f"job {record.job_id}: {record.config.mode} of {record.config.policy!r}; files in {folder.path}")
    with _interrupts() as pressed, _bar(console) as bar:
        task = bar.add_task("starting", total=record.config.steps, completed=folder.state().step)
        seen = 0
        while (status := shown_status(folder)) not in ENDED | {"interrupted"}:
            seen = _show_steps(folder, seen, console)
            bar.update(task, completed=folder.state().step, description=status)
            if pressed:
                await desk.cancel(record.job_id)
                if len(pressed) > 1:
                    await desk.launcher.stop(record, folder)
                bar.update(task, description="ending after this step")
            await asyncio.sleep(_LOOK_S)
        _show_steps(folder, seen, console)
        bar.update(task, completed=folder.state().step, description=status)
        # The report is written once everything else has ended.
        for _ in range(int(_CLOSING_S / _LOOK_S)):
            if not folder.conducted():
                break
            await asyncio.sleep(_LOOK_S)
    return _end(folder, console)


def _end(folder: JobFolder, console: Console) -> int:
    state, status = folder.state(), shown_status(folder)
    job_id = folder.record().job_id
    if status == "completed":
        results().print(f"{job_id} completed: {state.step} steps, policy version {state.policy_version}")
    else:
        why = state.error or f"see {folder.logs / 'conductor.log'}"
        console.print(f"{job_id} {status} after step {state.step}: {why}", soft_wrap=True)
        console.print(f"go on with: wideseek train --resume {job_id}", soft_wrap=True)
    if folder.report_file.exists():
        console.print(f"report: {folder.report_file}", soft_wrap=True)
    return EXIT_CODES[status]


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that grows by one with every Ctrl-C."""
    pressed: list[int] = []
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, pressed.append, number)
    try:
        yield pressed
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _show_steps(folder: JobFolder, seen: int, console: Console) -> int:
    """One line for every step that is new; the number of the last one comes back."""
    for number, line in lines_after(folder.metrics_file, seen):
        seen = number
        console.print(step_line(line), soft_wrap=True)
    return seen


_SHOWN = (
    ("reward/mean", "reward"),
    ("groups/zero_variance", "equal groups"),
    ("loss/value", "loss"),
    ("loss/grad_norm", "grad"),
    ("ratio/mean", "ratio"),
    ("staleness/max", "stale"),
    ("tokens/trained", "tokens"),
)


def step_line(line: dict[str, Any]) -> str:
    """A step in one line: what people look at first."""
    scalars = line.get("scalars", {})
    parts = [f"{label} {scalars[name]:.4g}" for name, label in _SHOWN if name in scalars]
    parts += [f"{item['metric']} {item['mean']:.3f} (v{item['version']})" for item in line.get("evaluation", ())]
    return f"step {line['step']:>4}  v{line['policy_version']}  " + "  ".join(parts)
