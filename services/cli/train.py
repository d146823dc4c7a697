"""`wideseek train`: a training job on this machine, watched until it ends."""

from pathlib import Path
from typing import Annotated

import typer


def train(  # noqa: PLR0913  # one parameter an option
    job: Annotated[
        Path | None, typer.Argument(help="The job's configuration, a TOML file.", show_default=False)
    ] = None,
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="`key.key=value` on top of the file; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, estimate the cost, start nothing.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="With --dry-run: a job for other machines; nobody is asked, files may be away."),
    ] = False,
    assume: Annotated[
        Path | None,
        typer.Option(
            "--assume",
            help="With --dry-run: TOML file of what the estimate assumes.",
            show_default="assumptions.toml beside the job's file, where there is one",
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with this job from its last checkpoint.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="Name of the job: with it, the same command goes on with the job, whatever ended it.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text or json, of the dry run.")] = "text",
    home: Annotated[
        Path | None,
        typer.Option("--home", envvar="WIDESEEK_HOME", help="Folder of all state.", show_default="./.wideseek"),
    ] = None,
) -> None:
    """Train a policy through the running cluster, as `POST /v1/admin/training-jobs` does, without HTTP.

    Ctrl-C ends the job after its step; `--resume` goes on. Exit codes: 0 completed, 1 failed, 2 refused, 5 cancelled.
    """
    from services.cli.console import CommandError  # noqa: PLC0415
    from services.cli.training import Rehearsal, Started, run_training  # noqa: PLC0415

    if (offline or assume) and not dry_run:
        raise CommandError("--offline and --assume are of a dry run: add --dry-run", exit_code=2)
    if name and (resume or dry_run):
        raise CommandError("--as names a job that is started: leave out --resume and --dry-run", exit_code=2)
    folder, rehearsal = (home or Path(".wideseek")).absolute(), Rehearsal(offline, assume) if dry_run else None
    started = Started(overrides or [], name)
    raise typer.Exit(run_training(folder, job, started, rehearsal=rehearsal, resume=resume, form=form))
