"""`wideseek demo`: a cluster on the deterministic engine, one broad query, its table, and the way on."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from services.cli import cluster
from services.cli.console import duration, notes
from services.cli.plan import Plan
from services.cli.state import read_state
from wideseek.contracts import RunRequest

QUERY = (
    "Using the World Factbook country profiles, take every sovereign state that shares a land border with Germany. "
    "For each one give: Country (usual short English name); Capital (name of the capital city); "
    "Population (total number of people); and Total area (in square kilometres)."
)
"""Broad enough for nine subagents, and answerable from the bundled corpus."""


def demo(plan: Plan, ask: Callable[[str, RunRequest], int], *, query: str = QUERY, keep: bool = False) -> int:
    """Start a cluster unless one runs, ask it, and end what was started unless told to keep it.

    Returns the exit code of the question; raises CommandError when the cluster cannot start.
    """
    console, began = notes(), time.monotonic()
    state = read_state(plan.home)
    running = state is not None and state.supervised()
    if state is not None and running:
        plan = state.plan
    cluster.up(plan, detach=True, advise=False)
    try:
        console.print(Text.assemble("\n", ("Query  ", "bold"), query, "\n"))
        code = ask(plan.service("orchestrator").url, RunRequest(query=query))
    finally:
        if not (keep or running):
            cluster.down(plan.home)
    _farewell(console, code, time.monotonic() - began, kept=keep or running)
    return code


def _farewell(console: Console, code: int, seconds: float, *, kept: bool) -> None:
    outcome = "The demonstration took" if code == 0 else f"The run did not complete (exit code {code}); it took"
    console.print(f"{outcome} {duration(seconds)} in all.", soft_wrap=True)
    start = "" if kept else "wideseek up --detach, then "
    end = "; wideseek down ends the cluster" if kept else ""
    console.print(f'Go on with: {start}wideseek ask "your own question"{end}', soft_wrap=True, markup=False)
