"""`wideseek data demonstrate`: runs of a demonstrating engine recorded, and the good ones written for training."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.console import CommandError, notes

if TYPE_CHECKING:
    from services.trainer.collect.record import Kept, Selection
    from wideseek.instances import Task


def demonstrate(  # one parameter an option
    *,
    tasks: Annotated[list[Path], typer.Option(help="Files of tasks; repeatable.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where the rollouts go, length-delimited records.", show_default=False)],
    job: Annotated[str, typer.Option(help="What the trainer's record keeps the runs under.")] = "demonstrations",
    url: Annotated[str | None, typer.Option(envvar="WIDESEEK_URL", help="Address of the orchestrator.")] = None,
    home: Annotated[Path | None, typer.Option(envvar="WIDESEEK_HOME", help="Folder of all state.")] = None,
    store: Annotated[str | None, typer.Option(envvar="ROLLOUT_STORE", help="Rollout store; else the home's.")] = None,
    model: Annotated[str | None, typer.Option(help="The engine's model; else the cluster's default.")] = None,
    profile: Annotated[str, typer.Option(help="Prompt profile: compact or full.")] = "compact",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tasks of each file.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=512, help="Runs side by side.")] = 8,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Least item F1 (tables) or exact match.")] = 0.95,
    max_agent_tokens: Annotated[int, typer.Option(min=64, help="Longest context of an agent of it.")] = 2_048,
) -> None:
    """Ask a cluster whose engine demonstrates, and keep what scored well: `data.demonstrations` of a job learns it.

    All runs stay in the trainer's record; the same command goes on where an earlier one was ended. Beside OUT,
    OUT.json says how many were kept and why others were not.
    """
    from services.trainer.collect.record import Selection  # noqa: PLC0415
    from wideseek.contracts import PromptProfile  # noqa: PLC0415

    if profile not in set(PromptProfile):
        raise CommandError(f"--profile {profile}: use {' or '.join(PromptProfile)}", exit_code=2)
    asked = _read(tasks, limit)
    settings: dict[str, object] = {"job_id": job, "profile": PromptProfile(profile), "model": model, "concurrency": concurrency}
    selection = Selection(min_score=min_score, max_agent_tokens=max_agent_tokens)
    root = (home or Path(".wideseek")).absolute()
    try:
        asyncio.run(_recorded(asked, root, url, settings))
        kept = asyncio.run(_written(asked, out, store or str(root / "rollouts"), job, selection))
    except KeyboardInterrupt:
        raise CommandError("interrupted: the same command goes on", exit_code=130) from None
    left = ", ".join(f"{reason} {count}" for reason, count in kept.left_out.items())
    notes().print(f"{kept.kept:,} of {kept.recorded:,} kept in {out}" + (f"; left out: {left}" if left else ""))


def _read(paths: list[Path], limit: int | None) -> "list[Task]":
    from services.kit.tasks import read_tasks  # noqa: PLC0415

    found = [task for path in paths for task in read_tasks(path)[:limit]]
    names = [task.instance_id for task in found]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice:
        raise CommandError(f"--tasks: {twice} stands there twice", exit_code=2)
    return found


async def _recorded(tasks: "list[Task]", home: Path, url: str | None, settings: dict[str, object]) -> None:
    """Ask all tasks under a progress bar. Raises CommandError for an outage that lasts or a refusal."""
    from services.cli.ask import orchestrator_url  # noqa: PLC0415
    from services.kit.asking import Stop  # noqa: PLC0415
    from services.trainer.collect.record import Recording  # noqa: PLC0415
    from wideseek.clients.orchestrator import Orchestrator  # noqa: PLC0415
    from wideseek.errors import InvalidRequest, UpstreamError  # noqa: PLC0415

    stop, console = Stop(), notes()
    shown = (TextColumn("Demonstrating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with Orchestrator((url or orchestrator_url(home)).rstrip("/")) as runs:
        recording: Recording = Recording(runs=runs, stop=stop, **settings)  # type: ignore[arg-type]
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set, "interrupted")
        with Progress(*shown, console=console, disable=not console.is_terminal) as bar:
            line = bar.add_task("", total=len(tasks))
            try:
                await recording.record(tasks, lambda _: bar.advance(line))
            except (InvalidRequest, UpstreamError) as error:
                raise CommandError(f"demonstrating stopped: {error}; the same command goes on") from error


async def _written(tasks: "list[Task]", out: Path, store: str, job: str, selection: "Selection") -> "Kept":
    from services.kit.rollouts.store import RolloutStore  # noqa: PLC0415
    from services.trainer.collect.record import select  # noqa: PLC0415
    from wideseek.codec import write_rollouts  # noqa: PLC0415

    kept, counted = await select(RolloutStore.open(store), job, tasks, selection)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    with part.open("wb") as stream:
        write_rollouts(kept, stream)
    part.replace(out)
    out.with_name(out.name + ".json").write_text(counted.model_dump_json(indent=2) + "\n")
    return counted
