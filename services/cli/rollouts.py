"""`wideseek rollouts`: what the rollout store holds, as tables, as files for analysis, and its upkeep.

Exit codes: 0 done; 1 the store or Redis cannot be reached, or something asked for is not there or is corrupt;
2 an option is wrong.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="List, show and export stored rollouts; mend and thin out the store.", no_args_is_help=True)

_Home = Annotated[
    Path | None, typer.Option("--home", envvar="WIDESEEK_HOME", help="Folder of all state.", show_default="./.wideseek")
]
_Store = Annotated[
    str | None,
    typer.Option("--store", envvar="ROLLOUT_STORE", help="Folder or s3://bucket/folder.", show_default="HOME/rollouts"),
]
_Job = Annotated[str | None, typer.Option(help="Only this training job (`unassigned`: rollouts of none).")]
_Format = Annotated[str, typer.Option("--format", help="table or json (a line a rollout).")]


@app.command("list")
def list_rollouts(
    *,
    job: _Job = None,
    group: Annotated[str | None, typer.Option(help="Only this group.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    status: Annotated[str | None, typer.Option(help="ok, failed_task, infra_error or cancelled.")] = None,
    form: _Format = "table",
    store: _Store = None,
    home: _Home = None,
) -> None:
    """List stored rollouts with their groups, versions, trained tokens and rewards."""
    from services.cli.rollout_list import Wanted, show_list  # noqa: PLC0415
    from services.cli.rollout_place import open_store  # noqa: PLC0415

    wanted = Wanted.read(job=job, group=group, task=task, status=status)
    show_list(open_store(store, home), wanted, form)


@app.command("show")
def show_rollout(
    rollout_id: Annotated[str, typer.Argument(help="As `list` shows it.", show_default=False)],
    *,
    job: _Job = None,
    form: Annotated[str, typer.Option("--format", help="table or json (with every token).")] = "table",
    store: _Store = None,
    home: _Home = None,
) -> None:
    """Show one rollout: agents, turns, tokens, tool calls, masks and rewards."""
    from services.cli.rollout_place import open_store  # noqa: PLC0415
    from services.cli.rollout_show import show  # noqa: PLC0415

    show(open_store(store, home), rollout_id, job, form)


@app.command("export")
def export_rollouts(
    *,
    out: Annotated[Path, typer.Option(help="FILE.parquet or FILE.jsonl.", show_default=False)],
    level: Annotated[str, typer.Option(help="A row a rollout, agent, turn or token.")] = "rollout",
    job: _Job = None,
    reward_version: Annotated[
        str | None, typer.Option(help="Rewards of this version.", show_default="the highest a rollout has")
    ] = None,
    store: _Store = None,
    home: _Home = None,
) -> None:
    """Export rollouts with their reward components for analysis."""
    from services.cli.rollout_export import Export, export  # noqa: PLC0415
    from services.cli.rollout_place import open_store  # noqa: PLC0415

    asked = Export.read(out, level, job, reward_version)
    export(open_store(store, home), asked)


@app.command("scan")
def scan_rollouts(
    *,
    job: _Job = None,
    redis: Annotated[
        str | None,
        typer.Option(envvar="REDIS_URL", help="Redis of the deployment.", show_default="the local cluster's"),
    ] = None,
    env: Annotated[str | None, typer.Option(envvar="WIDESEEK_ENV", help="Name of the deployment.")] = None,
    store: _Store = None,
    home: _Home = None,
) -> None:
    """Verify every object, put corrupt ones into quarantine, and index again what the index has lost."""
    from services.cli.rollout_place import open_store  # noqa: PLC0415
    from services.cli.rollout_upkeep import scan  # noqa: PLC0415

    scan(open_store(store, home), job, redis, env, home)


@app.command("prune")
def prune_rollouts(
    *,
    older_than: Annotated[float, typer.Option(min=0, help="Days since the rollout ended.")] = 14,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted.")] = False,
    job: _Job = None,
    store: _Store = None,
    home: _Home = None,
) -> None:
    """Delete old rollouts that a job's last checkpoint covers; those of no job only with `--job unassigned`."""
    from services.cli.rollout_place import open_store  # noqa: PLC0415
    from services.cli.rollout_upkeep import prune_jobs  # noqa: PLC0415

    prune_jobs(open_store(store, home), job, older_than, home, dry_run=dry_run)
