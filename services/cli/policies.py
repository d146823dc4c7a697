"""`wideseek policies`: which versions serve, and changing that, through the orchestrator's door.

Exit codes: 0 done; 1 something is down; 2 refused.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="policies", help="Trained policies: which versions serve runs.", no_args_is_help=True)

_Url = Annotated[
    str | None, typer.Option("--url", envvar="WIDESEEK_URL", help="Address of the orchestrator.", show_default=False)
]
_Key = Annotated[
    str | None,
    typer.Option("--admin-key", envvar="WIDESEEK_ADMIN_KEY", help="Key of the admin doors.", show_default=False),
]
_Home = Annotated[
    Path | None,
    typer.Option("--home", envvar="WIDESEEK_HOME", help="Folder of all state.", show_default="./.wideseek"),
]
_Form = Annotated[str, typer.Option("--format", help="text or json.")]
_Name = Annotated[str, typer.Argument(help="Name of the policy.", show_default=False)]
_Version = Annotated[str, typer.Argument(help="`policy@v3`; version 0 is the base model.", show_default=False)]


@app.command("list")
def list_policies(*, url: _Url = None, admin_key: _Key = None, home: _Home = None, form: _Form = "text") -> None:
    """All policies: which version is current, and what is being tried."""
    from services.cli.policy_admin import Door, show_list  # noqa: PLC0415

    show_list(Door.at(url, admin_key, home).ask("GET", ""), form)


@app.command()
def show(name: _Name, *, url: _Url = None, admin_key: _Key = None, home: _Home = None, form: _Form = "text") -> None:
    """A policy's versions: where each comes from, who serves it, and how it did on held-out tasks."""
    from services.cli.policy_admin import Door, show_policy  # noqa: PLC0415

    show_policy(Door.at(url, admin_key, home).ask("GET", f"/{name}"), form)


@app.command()
def promote(
    version: _Version, *, url: _Url = None, admin_key: _Key = None, home: _Home = None, form: _Form = "text"
) -> None:
    """Serve all new runs with a version."""
    from services.cli.policy_admin import Door, read_version, show_policy  # noqa: PLC0415

    name, number = read_version(version)
    show_policy(Door.at(url, admin_key, home).ask("POST", f"/{name}/promote", {"version": number}), form)


@app.command()
def canary(
    version: _Version,
    *,
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of new runs, between 0 and 1.")] = 0.1,
    url: _Url = None,
    admin_key: _Key = None,
    home: _Home = None,
    form: _Form = "text",
) -> None:
    """Serve a share of new runs with a version."""
    from services.cli.policy_admin import Door, read_version, show_policy  # noqa: PLC0415

    name, number = read_version(version)
    body = {"version": number, "share": share}
    show_policy(Door.at(url, admin_key, home).ask("POST", f"/{name}/canary", body), form)


@app.command()
def rollback(
    name: _Name, *, url: _Url = None, admin_key: _Key = None, home: _Home = None, form: _Form = "text"
) -> None:
    """Take a running canary back, or go back to the version that was current before.

    Jobs promote nothing from then on, until a version is promoted by hand.
    """
    from services.cli.policy_admin import Door, show_policy  # noqa: PLC0415

    show_policy(Door.at(url, admin_key, home).ask("POST", f"/{name}/rollback"), form)


@app.command()
def report(
    *,
    results: Annotated[
        Path, typer.Option(help="Folder with arms.toml and, an arm a folder, what `wideseek eval` wrote.")
    ] = Path("docs/policy/results"),
    out: Annotated[Path, typer.Option(help="Folder of the report: README.md and plots/.")] = Path("docs/policy"),
    training: Annotated[
        Path | None,
        typer.Option(help="Folder with `<stage>/metrics.jsonl`.", show_default="training below --out"),
    ] = None,
    collect: Annotated[
        Path | None,
        typer.Option(help="Folder that arms were evaluated in: their results are copied first.", show_default=False),
    ] = None,
) -> None:
    """Write the report of a trained policy from its evaluations and metrics; the same files give the same bytes."""
    from services.cli.policy_report import write  # noqa: PLC0415

    write(results, training or out / "training", out, collect=collect)


@app.command()
def ship(  # noqa: PLR0913  # one parameter an option
    adapter: Annotated[Path, typer.Argument(help="Folder of the adapter: `<job>/ckpt/<step>/adapter`.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("models/wideseek-smollm2"),
    config: Annotated[
        list[Path] | None, typer.Option(help="File of a job that made it; repeated, in the jobs' order.")
    ] = None,
    data_sha256: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of what it was trained on; may be repeated.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="JSON object of what was measured, by name.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What it is served as.", show_default="the name of the folder")
    ] = None,
    prompt_profile: Annotated[str, typer.Option(help="Prompts it was trained with: compact or full.")] = "compact",
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Sampled with where a request says nothing; else the engine's.")
    ] = None,
    home: _Home = None,
) -> None:
    """Pack an adapter of the bundled model into the folder that a checkout ships and serves.

    Written in bfloat16 with POLICY.json, model card and job files; refused over 20 MB, and of another base.
    """
    from services.cli.policy_ship import provenance  # noqa: PLC0415
    from services.cli.policy_ship import ship as pack  # noqa: PLC0415

    said = provenance(name or out.absolute().name, prompt_profile, config or (), data_sha256 or (), results)
    pack(adapter, (home or Path(".wideseek")).absolute(), replace(said, temperature=temperature), out)
