"""The command `wideseek`. Every command imports what it needs when it runs, so that `--help` is quick."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.console import CommandError
from services.cli.data import app as data
from services.cli.evaluate import evaluate
from services.cli.objective import objective
from services.cli.policies import app as policies
from services.cli.reproduce import reproduce
from services.cli.rollouts import app as rollouts
from services.cli.score import score
from services.cli.train import train
from wideseek.errors import WideseekError

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What every mistake on the command line derives from; typer exports only this one of its subclasses."""

app = typer.Typer(
    name="wideseek",
    help="Broad questions in, tables out: a local cluster, and questions to it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_HomeOption = Annotated[
    Path | None, typer.Option("--home", envvar="WIDESEEK_HOME", help="Folder of all state.", show_default="./.wideseek")
]


_UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="WIDESEEK_URL", help="Address of the orchestrator.", show_default=False)
]


def _home(given: Path | None) -> Path:
    return (given or Path(".wideseek")).absolute()


def _port(variable: str, what: str) -> Any:
    return typer.Option(envvar=variable, min=1, max=65_535, help=what, rich_help_panel="Ports")


@app.command()
def up(  # noqa: PLR0913  # one parameter an option
    *,
    model: Annotated[
        str, typer.Option(help="`expert`, `smollm2`, or the address of an OpenAI-compatible endpoint.")
    ] = "expert",
    policy: Annotated[
        str | None,
        typer.Option(help="Adapter to merge into smollm2: a folder, or `none`.", show_default="the shipped one"),
    ] = None,
    lora: Annotated[
        bool | None,
        typer.Option("--lora/--no-lora", help="Let smollm2 load adapters while it serves.", show_default="no policy"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    slots: Annotated[
        int | None, typer.Option(envvar="WORKER_SLOTS", min=1, max=4_096, help="Subagents side by side in a worker.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when the cluster is ready.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds the start may take.")] = 1_800,
    home: _HomeOption = None,
    env: Annotated[
        str, typer.Option(envvar="WIDESEEK_ENV", help="Name of the deployment, part of Redis keys.")
    ] = "dev",
    orchestrator_port: Annotated[int, _port("ORCHESTRATOR_PORT", "API, events, tables.")] = 8080,
    retrieval_port: Annotated[int, _port("RETRIEVAL_PORT", "Search and pages.")] = 8081,
    model_port: Annotated[int, _port("MODEL_PORT", "Model engine.")] = 8082,
    trainer_port: Annotated[int, _port("TRAINER_PORT", "Training jobs, policies.")] = 8083,
    worker_port: Annotated[int, _port("WORKER_PORT", "Metrics of the first worker; the next count up.")] = 8084,
    redis_port: Annotated[int, _port("REDIS_PORT", "Queue and run log.")] = 6380,
) -> None:
    """Start the whole cluster on this machine: Redis, retrieval, model, orchestrator, workers, trainer."""
    from services.cli.cluster import up as start  # noqa: PLC0415
    from services.cli.plan import Options, make_plan  # noqa: PLC0415

    options = Options(
        home=_home(home),
        model=model,
        policy=policy,
        lora=lora,
        workers=workers,
        slots=slots,
        orchestrator_port=orchestrator_port,
        retrieval_port=retrieval_port,
        model_port=model_port,
        trainer_port=trainer_port,
        worker_port=worker_port,
        redis_port=redis_port,
        env=env,
    )
    raise typer.Exit(start(make_plan(options), detach=detach, timeout_s=timeout))


@app.command()
def down(home: _HomeOption = None) -> None:
    """End exactly what `up` started; data is kept."""
    from services.cli.cluster import down as end  # noqa: PLC0415

    raise typer.Exit(end(_home(home)))


@app.command()
def ask(  # one parameter an option
    query: Annotated[str, typer.Argument(help="What to find out, in a sentence or a page.", show_default=False)],
    *,
    columns: Annotated[
        str | None, typer.Option(help="Headings of the table, separated by commas; else the query's.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="md, csv or json; unset: a drawn table on a terminal, else md.")
    ] = None,
    url: _UrlOption = None,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which the run stops where it is.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Prompts of the agents: full or compact.", show_default="the cluster's")
    ] = None,
    home: _HomeOption = None,
) -> None:
    """Ask a broad question, watch the agents, get the table.

    Exit codes: 0 completed, 3 incomplete, 4 failed, 5 cancelled (Ctrl-C); 1 unreachable, 2 refused.
    """
    from services.cli.ask import ask_at, make_request, orchestrator_url, read_format  # noqa: PLC0415

    request, written = make_request(query, columns, timeout, profile), read_format(form)
    raise typer.Exit(ask_at(url or orchestrator_url(_home(home)), request, written))


@app.command()
def doctor(url: _UrlOption = None, home: _HomeOption = None) -> None:
    """Check Redis, retrieval, model, workers, clock, versions and disk, and say what to do."""
    from services.cli.doctor import doctor as examine  # noqa: PLC0415

    raise typer.Exit(examine(_home(home), url))


@app.command()
def demo(
    *,
    model: Annotated[
        str, typer.Option(help="`smollm2`, the trained policy on vLLM, or `expert`, the engine that plays by rule.")
    ] = "smollm2",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the cluster running.")] = False,
    home: _HomeOption = None,
) -> None:
    """Start a cluster, ask it one broad question, print the table."""
    from services.cli.ask import ask_at  # noqa: PLC0415
    from services.cli.demo import demo as run_demo  # noqa: PLC0415
    from services.cli.demo import plan_for  # noqa: PLC0415

    plan = plan_for(_home(home), model, keep=keep)
    raise typer.Exit(run_demo(plan, lambda url, request: ask_at(url, request, None), keep=keep))


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def index(context: typer.Context) -> None:
    """Build an index from documents, or say what one holds (`wideseek index --help`)."""
    from services.cli.index import app as index_app  # noqa: PLC0415

    raise typer.Exit(_run(index_app, context.args, "wideseek index"))


app.command()(score)
app.command()(objective)
app.command("eval")(evaluate)
app.command()(train)
app.command()(reproduce)
app.add_typer(data, name="data")
app.add_typer(policies, name="policies")
app.add_typer(rollouts, name="rollouts")


def _run(commands: typer.Typer, arguments: Sequence[str], name: str) -> int:
    """The exit code of a command line; a mistake in it is said in one line."""
    try:
        return int(commands(args=list(arguments), prog_name=name, standalone_mode=False) or 0)
    except _UsageError as error:
        message = str(getattr(error, "format_message", error.__str__)())
        help_asked = "\n" in message
        sys.stderr.write(f"{message}\n" if help_asked else f"{name}: {message.rstrip('.')}; see `{name} --help`\n")
        return 2
    except typer.Abort:
        return 130
    except (CommandError, WideseekError) as error:
        sys.stderr.write(f"wideseek: {error}\n")
        return getattr(error, "exit_code", 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; bad input ends in one line on standard error and a non-zero exit code."""
    sys.exit(_run(app, sys.argv[1:] if arguments is None else arguments, "wideseek"))


if __name__ == "__main__":
    main()
