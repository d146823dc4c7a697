"""`wideseek data demonstrate`: runs of a demonstrating engine recorded, and the good ones written for training.

Exit codes: 0 all recorded; 3 an outage ended it: the same command goes on; 130 interrupted, likewise; 1 no cluster;
2 a wrong option or file, or a refused request.
"""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.console import CommandError, notes
from services.cli.demonstrated import make_room, write_demonstrations

if TYPE_CHECKING:
    from services.trainer.collect.record import Kept, Recording
    from wideseek.contracts import PromptProfile
    from wideseek.instances import Task

UNFINISHED, INTERRUPTED = 3, 130
_BAD_INPUT = 2


def demonstrate(  # noqa: PLR0913  # one parameter an option
    *,
    tasks: Annotated[list[Path], typer.Option(help="Files of tasks; repeatable.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where the rollouts go, length-delimited records.", show_default=False)],
    job: Annotated[str, typer.Option(help="What the trainer's record keeps the runs under.")] = "demonstrations",
    url: Annotated[str | None, typer.Option(envvar="WIDESEEK_URL", help="Address of the orchestrator.")] = None,
    home: Annotated[Path | None, typer.Option(envvar="WIDESEEK_HOME", help="Folder of all state.")] = None,
    store: Annotated[str | None, typer.Option(envvar="ROLLOUT_STORE", help="Rollout store; else the home's.")] = None,
    admin_key: Annotated[str | None, typer.Option(envvar="WIDESEEK_ADMIN_KEY", help="Key of the admin doors.")] = None,
    model: Annotated[str | None, typer.Option(help="The engine's model; else the cluster's default.")] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="Search these; else the cluster's default.")] = None,
    profile: Annotated[str, typer.Option(help="Prompt profile: compact or full.")] = "compact",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tasks of each file.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=512, help="Runs side by side.")] = 8,
    retries: Annotated[int, typer.Option(min=0, max=20, help="Further tries after an outage.")] = 4,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Least item F1 (tables) or exact match.")] = 0.95,
    max_agent_tokens: Annotated[int, typer.Option(min=64, help="Longest context of an agent of it.")] = 2_048,
) -> None:
    """Ask a cluster whose engine demonstrates, and keep what scored well: `data.demonstrations` of a job learns it.

    All runs stay in the trainer's record; the same command goes on where an earlier one was ended. Beside OUT,
    OUT.json says how many were kept and why others were not.
    """
    options = dict(locals())
    from wideseek.errors import InvalidRequest  # noqa: PLC0415

    try:
        asked = _read(tasks, limit)
        make_room(out)
        asyncio.run(_recorded(asked, _profile(profile), options))
        kept = asyncio.run(_written(asked, options))
    except InvalidRequest as error:
        raise CommandError(str(error), exit_code=_BAD_INPUT) from error
    except OSError as error:
        raise CommandError(f"{error.filename or out}: {error.strerror or error}", exit_code=_BAD_INPUT) from error
    except KeyboardInterrupt:
        raise _interrupted() from None
    left = ", ".join(f"{reason} {count:,}" for reason, count in kept.left_out.items())
    said = f"{kept.kept:,} of {kept.recorded:,} kept in {out}" + (f"; left out: {left}" if left else "")
    notes().print(said, markup=False, soft_wrap=True)


def _read(paths: Sequence[Path], limit: int | None) -> "list[Task]":
    from services.kit.tasks import read_tasks  # noqa: PLC0415

    found = [task for path in paths for task in read_tasks(path)[:limit]]
    seen: set[str] = set()
    for task in found:
        if task.instance_id in seen:
            raise CommandError(f"--tasks: {task.instance_id} stands there twice", exit_code=_BAD_INPUT)
        seen.add(task.instance_id)
    return found


def _profile(name: str) -> "PromptProfile":
    from wideseek.contracts import PromptProfile  # noqa: PLC0415

    if name not in set(PromptProfile):
        raise CommandError(f"--profile {name}: use {' or '.join(PromptProfile)}", exit_code=_BAD_INPUT)
    return PromptProfile(name)


async def _recorded(tasks: "Sequence[Task]", profile: "PromptProfile", options: Mapping[str, Any]) -> None:
    """Ask all tasks. Raises `CommandError` for an outage that lasts or Ctrl-C, `InvalidRequest` for a refusal."""
    from services.cli.ask import orchestrator_url  # noqa: PLC0415
    from services.cli.probes import probe  # noqa: PLC0415
    from services.kit.asking import Patience, Stop  # noqa: PLC0415
    from services.trainer.collect.record import Recording  # noqa: PLC0415
    from wideseek.clients.orchestrator import Orchestrator  # noqa: PLC0415

    url, stop = (options["url"] or orchestrator_url(_root(options))).rstrip("/"), Stop()
    answer = probe(f"{url}/healthz")
    if not answer.ready:
        advice = "start a cluster with `wideseek up --model expert --detach`, or give --url"
        raise CommandError(f"no orchestrator at {url} ({answer.detail}): {advice}")
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set, "interrupted")
    async with Orchestrator(url, admin_key=options["admin_key"]) as runs:
        recording = Recording(
            job_id=options["job"],
            runs=runs,
            profile=profile,
            model=options["model"],
            corpora=tuple(options["corpus"] or ()),
            concurrency=options["concurrency"],
            patience=Patience(tries=options["retries"] + 1),
            stop=stop,
        )
        await _watched(recording, tasks)


async def _watched(recording: "Recording", tasks: "Sequence[Task]") -> None:
    """Record under a progress bar; what ends it before its time is said in one line."""
    from services.kit.asking import Interrupted  # noqa: PLC0415
    from wideseek.errors import UpstreamError  # noqa: PLC0415

    shown = (TextColumn("Demonstrating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = notes()
    try:
        with Progress(*shown, console=console, disable=not console.is_terminal) as bar:
            line = bar.add_task("", total=len(tasks))
            await recording.record(tasks, lambda _: bar.advance(line))
    except UpstreamError as error:
        said = f"demonstrating stopped: {error.service}: {error}; the same command goes on"
        raise CommandError(said, exit_code=UNFINISHED) from error
    except Interrupted:
        raise _interrupted() from None


async def _written(tasks: "Sequence[Task]", options: Mapping[str, Any]) -> "Kept":
    """Select and write what is good enough, and its count beside it."""
    from services.kit.rollouts.store import RolloutStore  # noqa: PLC0415
    from services.trainer.collect.record import Selection, select  # noqa: PLC0415

    out: Path = options["out"]
    store = RolloutStore.open(options["store"] or str(_root(options) / "rollouts"))
    selection = Selection(min_score=options["min_score"], max_agent_tokens=options["max_agent_tokens"])
    kept, counted = await select(store, options["job"], tasks, selection)
    write_demonstrations(out, kept)
    out.with_name(out.name + ".json").write_text(counted.model_dump_json(indent=2) + "\n", "utf-8")
    return counted


def _root(options: Mapping[str, Any]) -> Path:
    return Path(options["home"] or ".wideseek").absolute()


def _interrupted() -> CommandError:
    return CommandError("interrupted: the same command goes on", exit_code=INTERRUPTED)
