"""An orchestrator whose runs follow a script: real routes, real events, real folding, no agents.

A query that contains `endless` stops before its end until it is cancelled; one that contains `fails` or
`deadline` ends so.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from fastapi import FastAPI, Header
from fastapi.responses import StreamingResponse

from services.kit.http import server
from services.kit.problems import install_problems
from services.orchestrator.fold import RunFold
from services.orchestrator.streams import logged_frame
from tests.servers import free_port, listens, wait_until
from wideseek.contracts import Run, RunError, RunRequest
from wideseek.errors import RunNotFound
from wideseek.events import (
    Event,
    Logged,
    RowUpserted,
    RunCancelled,
    RunCancelling,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunIncomplete,
    SubagentCompleted,
    SubagentQueued,
    SubagentStarted,
    TableSchema,
)
from wideseek.tables import Table
from wideseek.trajectory import StopReason

COLUMNS = ("Country", "Capital")
ROWS = (("Peru", "Lima"), ("Chile", "Santiago"))


def script(request: RunRequest) -> list[Event]:
    """What happens in a run of this request, up to its end."""
    wanted = tuple(column.name for column in request.columns or ()) or COLUMNS
    events: list[Event] = [RunClaimed(replica="fake", claim=1), TableSchema(columns=wanted)]
    for number, row in enumerate(ROWS):
        subtask = f"s{number}"
        events += [
            SubagentQueued(subtask_id=subtask, turn=0, index=number, prompt=f"Find out about {row[0]}"),
            SubagentStarted(subtask_id=subtask, attempt=1, worker="fake"),
            RowUpserted(key=row[0], cells=row, subtask_id=subtask),
            SubagentCompleted(
                subtask_id=subtask, attempt=1, report="done", stop_reason=StopReason.ANSWERED, num_turns=1
            ),
        ]
    table = Table(columns=wanted, rows=ROWS)
    if "endless" in request.query:
        return events
    if "fails" in request.query:
        return [*events, RunFailed(error=RunError(code="upstream", message="refused", service="model"))]
    if "deadline" in request.query:
        return [*events, RunIncomplete(reason="deadline", table=table, answer_text="")]
    return [*events, RunCompleted(table=table, answer_text="| Country |")]


class Scripted:
    """A run: its events so far, told apart by their numbers."""

    def __init__(self, run_id: str, request: RunRequest) -> None:
        created = RunCreated(run_id=run_id, request=request, model="scripted", deadline=time.time() + 60)
        self.log: list[Logged] = []
        self.fold = RunFold(created)
        self.add(created, *script(request))

    def add(self, *events: Event) -> None:
        """Append, as the run log does."""
        new = [
            Logged(seq=len(self.log) + number, event=event.model_copy(update={"at": time.time()}))
            for number, event in enumerate(events, 1)
        ]
        self.log += new
        self.fold.add_all(new)


def create_app() -> FastAPI:
    """The routes `ask` uses."""
    app, runs = FastAPI(), dict[str, Scripted]()
    install_problems(app)

    def found(run_id: str) -> Scripted:
        if run_id not in runs:
            raise RunNotFound(f"no run {run_id}")
        return runs[run_id]

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/openai/models")
    async def models() -> dict[str, list[str]]:
        return {"data": []}

    @app.post("/v1/widesearch", status_code=202)
    async def create(request: RunRequest) -> Run:
        run_id = f"ws_{len(runs)}"
        runs[run_id] = Scripted(run_id, request)
        return runs[run_id].fold.run()

    @app.get("/v1/widesearch/{run_id}")
    async def get(run_id: str) -> Run:
        return found(run_id).fold.run()

    @app.post("/v1/widesearch/{run_id}/cancel", status_code=202)
    async def cancel(run_id: str) -> Run:
        run, now = found(run_id), time.time()
        run.add(
            RunCancelling(),
            RunCancelled(requested_at=now, stopped_at=now, workers_stopped=1, tokens_after_cancel=0),
        )
        return run.fold.run()

    @app.get("/v1/widesearch/{run_id}/events")
    async def events(run_id: str, last_event_id: int = Header(default=0)) -> StreamingResponse:
        return StreamingResponse(_frames(found(run_id), last_event_id), media_type="text/event-stream")

    return app


async def _frames(run: Scripted, after: int) -> AsyncIterator[str]:
    while run.fold.terminal_seq is None or after < run.fold.terminal_seq:
        for logged in run.log[after:]:
            yield logged_frame(logged)
            after = logged.seq
        await asyncio.sleep(0.02)


@contextmanager
def serving() -> Iterator[str]:
    """The fake on a free port, in a thread; its address."""
    port = free_port()
    uvicorn = server(create_app(), host="127.0.0.1", port=port)
    thread = threading.Thread(target=uvicorn.run)
    thread.start()
    try:
        wait_until(lambda: listens(port), seconds=10, what="the fake orchestrator")
        yield f"http://127.0.0.1:{port}"
    finally:
        uvicorn.should_exit = True
        thread.join(10)
