"""`wideseek data`: tasks made, sifted and described."""

import typer

app = typer.Typer(help="Make tasks and questions, sift them, describe them.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Commands are registered below, one a line."""
