"""`wideseek ask`: one query to a cluster, watched live, its table on standard output.

Exit codes: 0 completed, 3 incomplete (the table holds what there is), 4 failed, 5 cancelled; 1 when the
cluster cannot be reached, 2 when the request is refused.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from rich.console import Console
from rich.live import Live

from services.cli.console import CommandError, harmless, notes, results
from services.cli.probes import probe
from services.cli.progress import LiveView, RunView
from services.cli.render import Format, pretty, render, summarise
from services.cli.state import read_state
from wideseek.clients.orchestrator import Orchestrator
from wideseek.contracts import Run, RunRequest, RunStatus
from wideseek.errors import InvalidRequest, UpstreamError

EXIT_CODES = {RunStatus.COMPLETED: 0, RunStatus.INCOMPLETE: 3, RunStatus.FAILED: 4, RunStatus.CANCELLED: 5}
"""What `ask` exits with, by the run's end."""

_RESUMES = 3
"""Times the client's own tries to reconnect, seconds each, are begun again."""

_LINE_S = 2.0
"""Where nothing can be redrawn, progress is said this often."""


class Runs(Protocol):
    """What `ask` needs of the orchestrator's client. Raises UpstreamError and InvalidRequest."""

    async def create(self, request: RunRequest) -> Run:
        """Hand in a run."""
        ...

    async def get(self, run_id: str) -> Run:
        """The run as it stands."""
        ...

    async def cancel(self, run_id: str) -> Run:
        """Ask for the run's end."""
        ...

    def events(self, run_id: str, after: int = 0) -> AsyncIterator[Mapping[str, Any]]:
        """The run's public events numbered above `after`, to the one that ends it."""
        ...


def make_request(query: str, columns: str | None, timeout_s: float | None, profile: str | None = None) -> RunRequest:
    """The request these options describe. Raises CommandError naming what is wrong with them."""
    body: dict[str, Any] = {"query": query, "prompt_profile": profile}
    if columns is not None:
        body["columns"] = [name.strip() for name in columns.split(",") if name.strip()]
    if timeout_s is not None:
        body["limits"] = {"max_seconds": timeout_s}
    try:
        return RunRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise CommandError(f"{place}: {message}" if place else message, exit_code=2) from error


def read_format(name: str | None) -> Format | None:
    """The format of this name. Raises CommandError listing those there are."""
    try:
        return Format(name) if name is not None else None
    except ValueError as error:
        known = ", ".join(Format)
        raise CommandError(f"--format {name!r}: this release writes {known}", exit_code=2) from error


def orchestrator_url(home: Path) -> str:
    """The orchestrator of the cluster that was started from this home, else the default address."""
    state = read_state(home)
    return state.plan.service("orchestrator").url if state else "http://127.0.0.1:8080"


def ask_at(url: str, request: RunRequest, form: Format | None) -> int:
    """Ask the orchestrator at this address and print the outcome; the exit code comes back.

    Raises CommandError when nobody answers there, or the request is refused.
    """
    answer = probe(f"{url.rstrip('/')}/healthz")
    if not answer.ready:
        advice = "start a cluster with `wideseek up --detach`, or give --url"
        raise CommandError(f"no orchestrator at {url} ({answer.detail}): {advice}")
    return show(asyncio.run(_ask_at(url, request)), form)


async def _ask_at(url: str, request: RunRequest) -> Run:
    async with Orchestrator(url) as runs:
        return await ask(runs, request, notes())


async def ask(runs: Runs, request: RunRequest, console: Console) -> Run:
    """Hand in a run, show how it goes until it ends, and return it. Ctrl-C cancels it.

    Raises CommandError when the cluster cannot be reached or refuses the request.
    """
    try:
        run = await runs.create(request)
        view = RunView()
        with _shown(view, console):
            await _followed(runs, run.id, view, console)
        return await runs.get(run.id)
    except InvalidRequest as error:
        where = f"{error.field}: " if error.field else ""
        raise CommandError(f"the request was refused: {where}{error}", exit_code=2) from error
    except UpstreamError as error:
        raise CommandError(f"{error.service}: {error}; `wideseek doctor` says more") from error


async def _followed(runs: Runs, run_id: str, view: RunView, console: Console) -> None:
    """Follow the run to its end; the first Ctrl-C cancels it, a second one leaves it."""
    pressed: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, pressed.put_nowait, None)
    following = asyncio.ensure_future(_follow(runs, run_id, view, console))
    try:
        for note in ("cancelling the run (Ctrl-C again leaves it)", "left"):
            interrupt = asyncio.ensure_future(pressed.get())
            await asyncio.wait({following, interrupt}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                interrupt.cancel()
                break
            console.print(note)
            if note == "left":
                raise CommandError(f"run {run_id} was left while it was being cancelled", exit_code=130)
            await runs.cancel(run_id)
        following.result()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        following.cancel()


async def _follow(runs: Runs, run_id: str, view: RunView, console: Console) -> None:
    """Take in events to the last one. The client makes broken connections again; this outlasts a restart."""
    for patience in range(_RESUMES, -1, -1):
        try:
            async for event in runs.events(run_id, after=view.seq):
                view.apply(event)
            return
        except UpstreamError as error:
            if not patience:
                raise CommandError(
                    f"lost sight of run {run_id}, which may still go on ({error}); see `wideseek doctor`"
                ) from error
            console.print(f"the stream broke, resuming after event {view.seq}: {error}", markup=False, soft_wrap=True)


@contextmanager
def _shown(view: RunView, console: Console) -> Iterator[None]:
    """A live display on a terminal; elsewhere a line every so often."""
    if console.is_terminal:
        with Live(LiveView(view), console=console, refresh_per_second=8, transient=True):
            yield
        return
    ticker = asyncio.get_running_loop().create_task(_lines(view, console))
    try:
        yield
    finally:
        ticker.cancel()


async def _lines(view: RunView, console: Console) -> None:
    said = ""
    while True:
        state = view.line()
        if state.partition(": ")[2] != said.partition(": ")[2]:
            console.print(state, soft_wrap=True)
            said = state
        await asyncio.sleep(_LINE_S)


def show(run: Run, form: Format | None) -> int:
    """Print the outcome: the table on standard output, the rest on standard error. Returns the exit code."""
    console, output = notes(), results()
    if form is None and output.is_terminal:
        if run.table is not None:
            output.print(pretty(run.table))
        elif run.answer_text:
            output.print(harmless(run.answer_text), markup=False)
    else:
        sys.stdout.write(render(run, form or Format.MD))
        sys.stdout.flush()
    summarise(run, console)
    return EXIT_CODES.get(run.status, 1)
