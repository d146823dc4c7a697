"""`wideseek data`: tasks made, sifted and described."""

import typer

from services.cli.data_demonstrate import demonstrate
from services.cli.data_filter import filter_tasks
from services.cli.data_generate import generate_tasks
from services.cli.data_pick import pick_tasks
from services.cli.data_pipeline import make_datasheet, run_pipeline
from services.cli.data_stats import show_stats
from services.cli.data_twin import make_twins
from services.cli.data_world import make_world_tasks

app = typer.Typer(help="Make tasks and questions, sift them, describe them.", no_args_is_help=True)
app.command("generate")(generate_tasks)
app.command("twin")(make_twins)
app.command("world")(make_world_tasks)
app.command("filter")(filter_tasks)
app.command("stats")(show_stats)
app.command("demonstrate")(demonstrate)
app.command("pick")(pick_tasks)
app.command("pipeline")(run_pipeline)
app.command("datasheet")(make_datasheet)
