"""The whole cluster as processes on loopback, on free ports, each ended by its own id."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port, running_redis, wait_until

ROOT = Path(__file__).resolve().parents[2]
TERMINAL = {"completed", "incomplete", "failed", "cancelled"}


@dataclass
class Cluster:
    """Services by name; `api` talks to the first orchestrator."""

    folder: Path
    redis_port: int
    env: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str, module: str, *, prefix: str, env: Mapping[str, str] | None = None) -> None:
        """Start a service on a free port, or again on the port it had; `name` tells replicas apart."""
        self.ports.setdefault(name, free_port())
        settings = {
            **os.environ,
            "WIDESEEK_HOME": str(self.folder / "home"),
            "REDIS_URL": self.redis_url,
            **{
                f"{service.upper()}_URL": self.url(service)
                for service in ("model", "retrieval")
                if service in self.ports
            },
            f"{prefix}_PORT": str(self.ports[name]),
            **self.env,
            **(env or {}),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", module], env=settings, cwd=ROOT, stdout=log, stderr=log
            )

    def wait_ready(self, *names: str, seconds: float = 60) -> None:
        """Wait until each answers `/readyz` (or `/health`, the engine's own)."""
        for name in names:
            wait_until(lambda name=name: self._ready(name), seconds=seconds, what=f"{name}: {self.tail(name)}")  # type: ignore[misc]

    def _ready(self, name: str) -> bool:
        process = self.running.get(name)
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{name} ended with {process.returncode}: {self.tail(name)}")
        path = "/health" if name.startswith("model") else "/readyz"
        try:
            return httpx.get(f"{self.url(name)}{path}", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, name: str, how: int = signal.SIGTERM) -> None:
        """End a service by the id it was started with, and wait for it."""
        process = self.running.pop(name, None)
        if process is not None and process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def tail(self, name: str) -> str:
        """The end of a service's log."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-1_500:] if path.exists() else "no log"

    def request(self, method: str, path: str, *, to: str = "orchestrator", **options: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url(to)}{path}", timeout=90, trust_env=False, **options)

    def post(self, body: Mapping[str, Any], *, to: str = "orchestrator") -> dict[str, Any]:
        """Create a run; the run object."""
        response = self.request("POST", "/v1/widesearch", to=to, json=dict(body))
        assert response.status_code in {200, 202}, response.text
        run: dict[str, Any] = response.json()
        return run

    def run(self, run_id: str, *, to: str = "orchestrator") -> dict[str, Any]:
        run: dict[str, Any] = self.request("GET", f"/v1/widesearch/{run_id}", to=to).json()
        return run

    def wait_for(self, run_id: str, done: Callable[[dict[str, Any]], object], *, seconds: float = 90, what: str) -> Any:
        """Poll a run until `done` says so; the run object."""
        deadline = time.monotonic() + seconds
        while True:
            run = self.run(run_id)
            if done(run):
                return run
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s for {what}; the run: {json.dumps(run)[:1_500]}")
            time.sleep(0.05)

    def finished(self, run_id: str, *, seconds: float = 90) -> dict[str, Any]:
        run: dict[str, Any] = self.wait_for(
            run_id, lambda run: run["status"] in TERMINAL, seconds=seconds, what="the end"
        )
        return run

    def events(self, run_id: str, *, after: int = 0, to: str = "orchestrator") -> list[dict[str, Any]]:
        """All events of an ended run, from its stream."""
        path = f"{self.url(to)}/v1/widesearch/{run_id}/events?after={after}"
        with httpx.stream("GET", path, timeout=60, trust_env=False) as response:
            lines = [line.removeprefix("data:").strip() for line in response.iter_lines() if line.startswith("data:")]
        return [json.loads(line) for line in lines]


def most_at_once(events: Sequence[Mapping[str, Any]]) -> int:
    """The largest number of subagents that had been handed out and had not ended."""
    waiting: set[str] = set()
    most = 0
    for event in events:
        if event["type"] in {"subagent.queued", "subagent.started"}:
            waiting.add(event["subtask_id"])
        elif event["type"].startswith("subagent."):
            waiting.discard(event["subtask_id"])
        most = max(most, len(waiting))
    return most


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster with a real Redis and nothing else yet."""
    (folder / "home").mkdir(parents=True, exist_ok=True)
    with running_redis() as port:
        parts = Cluster(folder, port)
        try:
            yield parts
        finally:
            for name in reversed(list(parts.running)):
                parts.end(name)


def start_services(parts: Cluster, *, workers: int = 1, model: bool = True) -> None:
    """Retrieval over the lexical bundled corpus, the expert engine, an orchestrator and workers."""
    quiet = {"RETRIEVAL_BUNDLED": "lexical", "RETRIEVAL_DENSE": "false"}
    parts.start("retrieval", "services.retrieval.main", prefix="RETRIEVAL", env=quiet)
    if model:
        parts.start("model", "services.model.main", prefix="MODEL")
        parts.wait_ready("model", seconds=120)
    parts.wait_ready("retrieval", seconds=120)
    parts.start("orchestrator", "services.orchestrator.main", prefix="ORCHESTRATOR", env={"ORCHESTRATOR_LEASE_S": "2"})
    for number in range(workers):
        start_worker(parts, f"worker-{number}")
    parts.wait_ready("orchestrator", *(f"worker-{number}" for number in range(workers)))


def start_worker(parts: Cluster, name: str) -> None:
    """A worker that gives up its lease fast, so that a kill is noticed within a test."""
    times = {
        "WORKER_SLOTS": "32",
        "WORKER_VISIBILITY_TIMEOUT_S": "6",
        "WORKER_LEASE_INTERVAL_S": "1",
        "WORKER_SOFT_SHUTDOWN_TIMEOUT_S": "2",
    }
    parts.start(name, "services.worker.main", prefix="WORKER", env=times)
