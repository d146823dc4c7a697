"""`wideseek demo`: a cluster on the trained policy, one broad query, its table, and the way on."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from services.cli import cluster
from services.cli.console import CommandError, duration, notes
from services.cli.plan import Plan, engine_of, make_plan, options_from_environment
from services.cli.state import read_state
from services.cli.venv import ensure_model_environment
from services.model.shipped import SHIPPED, UnusableAdapter, find_policy
from wideseek.contracts import RunRequest

QUERY = (
    "Using the World Factbook country profiles, take every sovereign state that shares a land border with Germany. "
    "For each one give: Country (usual short English name); Capital (name of the capital city); "
    "Population (total number of people); and Total area (in square kilometres). "
    "Write numbers as plain digits, without units. Answer with one Markdown table inside a ```markdown code fence, "
    "with exactly the columns Country, Capital, Population, Total area, in that order, one row per country, and no "
    "empty cells."
)
"""Broad enough for nine subagents, and answerable from the bundled corpus."""


def plan_for(home: Path, model: str, *, keep: bool = False) -> Plan:
    """The cluster to demonstrate: `model`, or the expert, which needs nothing, where that cannot be served here.

    Says why it is the expert. Raises `CommandError` for a model that is none.
    """
    options = options_from_environment(home)
    missing = _missing(home) if engine_of(model) == "vllm" else ""
    if missing:
        said = f"{missing}\nThe expert engine, which plays by rule, stands in for it."
        notes().print(said, style="yellow", soft_wrap=True, markup=False)
        model = "expert"
    plan = make_plan(options.model_copy(update={"model": model}))
    return plan if keep or model == "expert" else _short_lived(plan)


def _missing(home: Path) -> str:
    """What the trained policy lacks to be served here; empty when it can be."""
    state = read_state(home)
    if state is not None and state.supervised():
        return ""  # that cluster is asked, whatever it serves
    try:
        if find_policy(os.environ.get("MODEL_POLICY") or None) is None:
            return f"There is no trained policy to serve: models/{SHIPPED} is missing, or MODEL_POLICY is none."
        ensure_model_environment(notes(), home)
    except (CommandError, UnusableAdapter) as error:
        return f"The trained policy cannot be served here: {error}"
    return ""


def _short_lived(plan: Plan) -> Plan:
    """The plan for a cluster that ends after one question: neither vectors nor a compiled model would pay.

    Both are minutes of work on the cores that the question needs. What the caller's variables say goes before.
    """
    spared = {"retrieval": {"RETRIEVAL_BUNDLED": "lexical"}, "model": {"MODEL_EAGER": "true"}}
    chosen = {
        name: {variable: os.environ.get(variable) or value for variable, value in env.items()}
        for name, env in spared.items()
    }
    services = (one.model_copy(update={"env": {**one.env, **chosen.get(one.name, {})}}) for one in plan.services)
    return plan.model_copy(update={"services": tuple(services)})


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
    _farewell(console, code, time.monotonic() - began, plan.options.model, kept=keep or running)
    return code


def _farewell(console: Console, code: int, seconds: float, model: str, *, kept: bool) -> None:
    outcome = "The demonstration took" if code == 0 else f"The run did not complete (exit code {code}); it took"
    console.print(f"{outcome} {duration(seconds)} in all.", soft_wrap=True)
    chosen = "" if model == "expert" else f" --model {model}"
    start = "" if kept else f"wideseek up{chosen} --detach, then "
    end = "; wideseek down ends the cluster" if kept else ""
    console.print(f'Go on with: {start}wideseek ask "your own question"{end}', soft_wrap=True, markup=False)
