"""`wideseek eval`: tasks to a cluster, scored, with a summary and a report; taken up where it was stopped.

Exit codes: 0 all finished; 3 some are unfinished because of outages (the same command goes on with them);
130 interrupted; 1 no cluster, or a file that cannot be read or written; 2 a wrong option, or a refused request.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

_SETTING, _COSTS = "What is measured", "Prices"


def _setting(text: str, *names: str, **bounds: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_SETTING, show_default=False, **bounds)


def _price(text: str, **bounds: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=_COSTS, **bounds)


def evaluate(  # noqa: PLR0913  # one parameter an option
    *,
    tasks: Annotated[Path, typer.Option(help="Tasks or questions, JSON lines.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of results; an unfinished evaluation there is gone on with.")],
    gold: Annotated[Path | None, typer.Option(help="Folder of gold tables `ID.csv`, as WideSearch has them.")] = None,
    url: Annotated[str | None, typer.Option(envvar="WIDESEEK_URL", help="Address of the orchestrator.")] = None,
    home: Annotated[Path | None, typer.Option(envvar="WIDESEEK_HOME", help="Folder of all state.")] = None,
    trials: Annotated[int, typer.Option(min=1, max=1_000, help="Runs a task.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=512, help="Runs side by side.")] = 4,
    retries: Annotated[int, typer.Option(min=0, max=20, help="Further tries after an outage.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tasks.")] = None,
    only: Annotated[str | None, typer.Option(help="Only these tasks: ids, separated by commas.")] = None,
    sweep: Annotated[str | None, typer.Option(help="`KEY=a,b,c`: one evaluation for each value.")] = None,
    mode: Annotated[str, _setting("multi_agent, single_agent, sequential, closed_book or oracle_retrieval.")] = (
        "multi_agent"
    ),
    model: Annotated[str | None, _setting("Policy of the lead, and of subagents unless said otherwise.")] = None,
    subagent_model: Annotated[str | None, _setting("Policy of the subagents.")] = None,
    width: Annotated[int | None, _setting("Subtasks in one turn of the lead, at most.")] = None,
    max_turns: Annotated[int | None, _setting("Turns of the lead, at most.")] = None,
    max_tokens: Annotated[int | None, _setting("Tokens of a run, at most.")] = None,
    max_seconds: Annotated[float | None, _setting("Seconds of a run, at most.")] = None,
    budget_from: Annotated[Path | None, _setting("Tokens a task as an earlier evaluation spent.")] = None,
    temperature: Annotated[float | None, _setting("Sampling temperature.")] = None,
    top_p: Annotated[float | None, _setting("Nucleus of sampling.")] = None,
    seed: Annotated[int | None, _setting("Seed of sampling; trial I takes the seed plus I.")] = None,
    corpus: Annotated[str | None, _setting("Corpus to search; else the cluster's default.")] = None,
    prompt_profile: Annotated[
        str | None,
        _setting("Prompts of the agents: full or compact; else the cluster's.", "--profile", "--prompt-profile"),
    ] = None,
    judge: Annotated[str, _setting("deterministic, none, or the address of an endpoint.")] = "deterministic",
    judge_model: Annotated[str | None, _setting("Model of the judge's endpoint.")] = None,
    usd_per_mtok_prompt: Annotated[float, _price("Price of a million prompt tokens, in USD.")] = 0,
    usd_per_mtok_completion: Annotated[float, _price("Price of a million completion tokens, in USD.")] = 0,
    params_billion: Annotated[float | None, _price("Parameters of the policy, for the estimate of energy.")] = None,
    flop_per_joule: Annotated[float | None, _price("What the accelerator achieves, for energy.")] = None,
) -> None:
    """Measure a cluster on tasks: robust and official scores, costs, a report.

    Exit codes: 0 finished, 3 unfinished because of outages (run it again), 130 interrupted (run it again).
    """
    given = dict(locals())
    from services.cli.evaluation import Asked, run  # noqa: PLC0415

    asked = {name: given[name] for name in Asked.model_fields}
    raise typer.Exit(run(Asked.model_validate(asked), {name: given[name] for name in given if name not in asked}))
