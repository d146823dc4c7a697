"""An orchestrator for evaluations: real routes, events and folding; how a run ends stands in its query.

`fails` always fails, `flaky` fails the first time, `endless` works until it is cancelled or `released` is set,
`refused` is answered with a problem, `wrong` has a wrong cell; everything else is answered in full.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI, Header, Response
from fastapi.responses import StreamingResponse

from services.kit.http import server
from services.kit.problems import install_problems
from services.orchestrator.fold import RunFold
from services.orchestrator.streams import logged_frame
from tests.evaluation_parts import ANSWER
from tests.servers import free_port, listens, wait_until
from wideseek.contracts import Run, RunError, RunRequest
from wideseek.errors import InvalidRequest, RunNotFound
from wideseek.events import (
    Event,
    Logged,
    RunCancelled,
    RunCancelling,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    SubagentCompleted,
    SubagentQueued,
    SubagentStarted,
    TurnCompleted,
    TurnStarted,
)
from wideseek.messages import Completion
from wideseek.trajectory import Role, StopReason


class LoggedRun:
    """A run: its log so far, folded."""

    def __init__(self, run_id: str, request: RunRequest) -> None:
        created = RunCreated(run_id=run_id, request=request, model="scripted", deadline=time.time() + 60)
        self.request = request
        self.log: list[Logged] = []
        self.fold = RunFold(created)
        self.add(created, RunClaimed(replica="fake", claim=1), *work())

    def add(self, *events: Event) -> None:
        """Append, as the run log does."""
        new = [
            Logged(seq=len(self.log) + number, event=event.model_copy(update={"at": time.time()}))
            for number, event in enumerate(events, 1)
        ]
        self.log += new
        self.fold.add_all(new)


def work() -> list[Event]:
    """What any run does before it ends: a turn of the lead, one subagent."""
    done = Completion(text="", prompt_tokens=90, completion_tokens=10, seconds=0.5)
    return [
        TurnStarted(agent_id="lead", role=Role.LEAD, turn=0),
        TurnCompleted(agent_id="lead", role=Role.LEAD, turn=0, completion=done),
        SubagentQueued(subtask_id="s0", turn=0, index=0, prompt="Find out"),
        SubagentStarted(subtask_id="s0", attempt=1, worker="fake"),
        SubagentCompleted(subtask_id="s0", attempt=1, report="done", stop_reason=StopReason.ANSWERED, num_turns=1),
    ]


@dataclass
class EvalOrchestrator:
    """The runs there are, and what was asked."""

    url: str = ""
    runs: dict[str, LoggedRun] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    judged: int = 0
    """Verdicts asked of the judge that stands on the same address; it finds everything right."""
    released: bool = False
    """Whether endless runs end."""
    record: Callable[[str, RunRequest, str], None] = lambda *_: None
    """Told of the end of a run that completes: its id, its request, its answer."""

    def asked(self, name: str) -> int:
        """Runs that were made for a task."""
        return sum(1 for run in self.runs.values() if _task(run.request) == name)

    def take_in(self, request: RunRequest, key: str) -> tuple[LoggedRun, bool]:
        """The run of a key, and whether it was there before."""
        if key in self.by_key:
            return self.runs[self.by_key[key]], True
        if "refused" in request.query:
            raise InvalidRequest("mode: not for this query", field="/mode")
        before = self.asked(_task(request))
        run = LoggedRun(f"ws_{len(self.runs)}", request)
        self.runs[self.by_key.setdefault(key, f"ws_{len(self.runs)}")] = run
        if "endless" not in request.query:
            self._finish(self.by_key[key], run, before)
        return run, False

    def found(self, run_id: str) -> LoggedRun:
        """The run. Raises `RunNotFound`."""
        if run_id not in self.runs:
            raise RunNotFound(f"no run {run_id}")
        run = self.runs[run_id]
        if self.released and run.fold.terminal_seq is None:
            self._finish(run_id, run, 0)
        return run

    def _finish(self, run_id: str, run: LoggedRun, before: int) -> None:
        end = _end(run.request, before)
        if isinstance(end, RunCompleted):
            self.record(run_id, run.request, end.answer_text)
        run.add(end)

    def cancel(self, run_id: str) -> LoggedRun:
        """End a run that works."""
        run, now = self.found(run_id), time.time()
        if run.fold.terminal_seq is None:
            stopped = RunCancelled(requested_at=now, stopped_at=now, workers_stopped=1, tokens_after_cancel=0)
            run.add(RunCancelling(), stopped)
        return run


def _task(request: RunRequest) -> str:
    """The task that a run of an evaluation or of a training job is of."""
    return request.metadata.get("instance_id") or request.training.task_id or ""


def _end(request: RunRequest, before: int) -> Event:
    if "fails" in request.query or ("flaky" in request.query and not before):
        return RunFailed(error=RunError(code="upstream", message="does not answer", service="model"))
    text = ANSWER.replace("Santiago", "Arica") if "wrong" in request.query else ANSWER
    return RunCompleted(answer_text=r"\boxed{Lima}" if request.output == "answer" else f"```markdown\n{text}\n```")


def create_app(parts: EvalOrchestrator) -> FastAPI:
    """The routes an evaluation uses."""
    app = FastAPI()
    install_problems(app)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/chat/completions")
    async def judge() -> dict[str, list[dict[str, dict[str, str]]]]:
        parts.judged += 1
        return {"choices": [{"message": {"content": '```json\n{"correct": 1}\n```'}}]}

    @app.post("/v1/widesearch", status_code=202)
    async def create(request: RunRequest, response: Response, idempotency_key: str = Header()) -> Run:
        run, replayed = parts.take_in(request, idempotency_key)
        if replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return run.fold.run()

    @app.get("/v1/widesearch/{run_id}")
    async def get(run_id: str, wait: float = 0) -> Run:
        deadline = time.monotonic() + wait
        while parts.found(run_id).fold.terminal_seq is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return parts.found(run_id).fold.run()

    @app.post("/v1/widesearch/{run_id}/cancel", status_code=202)
    async def cancel(run_id: str) -> Run:
        return parts.cancel(run_id).fold.run()

    @app.get("/v1/widesearch/{run_id}/events")
    async def events(run_id: str) -> StreamingResponse:
        return StreamingResponse(_frames(parts.found(run_id)), media_type="text/event-stream")

    return app


async def _frames(run: LoggedRun) -> AsyncIterator[str]:
    for logged in run.log:
        yield logged_frame(logged)


@contextmanager
def serving() -> Iterator[EvalOrchestrator]:
    """The fake on a free port, in a thread."""
    port = free_port()
    parts = EvalOrchestrator(url=f"http://127.0.0.1:{port}")
    uvicorn = server(create_app(parts), host="127.0.0.1", port=port)
    thread = threading.Thread(target=uvicorn.run)
    thread.start()
    try:
        wait_until(lambda: listens(port), seconds=10, what="the fake orchestrator")
        yield parts
    finally:
        uvicorn.should_exit = True
        thread.join(10)
