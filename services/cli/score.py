"""`wideseek score`: responses held against tasks, without a cluster; a JSON line a response.

Exit codes: 0 scored; 1 the judge cannot be reached; 2 an option or a file is wrong, or no response could be scored.
"""

from pathlib import Path
from typing import Annotated

import typer


def score(
    *,
    tasks: Annotated[Path, typer.Option(help="Tasks or questions, JSON lines.", show_default=False)],
    responses: Annotated[
        Path, typer.Option(help="JSON lines of {instance_id, trial, response_text}.", show_default=False)
    ],
    mode: Annotated[str, typer.Option(help="`official` or `robust`.", show_default=False)],
    judge: Annotated[
        str, typer.Option(help="deterministic, none, or the address of an OpenAI-compatible endpoint.")
    ] = "deterministic",
    judge_model: Annotated[str | None, typer.Option(help="Model of the judge's endpoint.")] = None,
    gold: Annotated[Path | None, typer.Option(help="Folder of gold tables `ID.csv`, as WideSearch has them.")] = None,
    extra_columns: Annotated[
        str, typer.Option(help="Columns nobody asked for, in robust mode: `refuse` or `ignore`.")
    ] = "refuse",
    out: Annotated[Path | None, typer.Option(help="Where to write.", show_default="standard output")] = None,
) -> None:
    """Score responses: item and row precision, recall and F1, and success; EM and F1 of answers to questions.

    `official` gives the numbers of WideSearch's own scorer, `robust` those that form alone cannot win.
    """
    from services.cli.scoring import Asked, run  # noqa: PLC0415

    asked = Asked(
        tasks=tasks,
        responses=responses,
        mode=mode,
        judge=judge,
        judge_model=judge_model,
        gold=gold,
        extra_columns=extra_columns,
        out=out,
    )
    raise typer.Exit(run(asked))
