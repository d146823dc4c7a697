"""Real worker processes over a real server, for the delivery tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from redis import Redis

from services.kit.queue import QUEUE, create_producer
from tests.servers import wait_until

ENV = "delivery"
ROOT = Path(__file__).resolve().parents[2]
FAST = {"visibility_timeout_s": 2.0, "lease_interval_s": 0.4, "soft_shutdown_timeout_s": 1.0}


class Cluster:
    """Starts workers of `tests.integration.delivery_app`, and ends what it started."""

    def __init__(self, url: str, *, slots: int = 4, **times: float) -> None:
        self.url = url
        self.redis = Redis.from_url(url, decode_responses=True)
        self._options = {"broker_url": url, "env": ENV, "slots": slots, **FAST, **times}
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait(10)
        self.redis.close()

    def start(self, *, ready: bool = True) -> subprocess.Popen[bytes]:
        """A worker process; by default one that consumes already."""
        command = [sys.executable, "-m", "tests.integration.delivery_app", json.dumps(self._options)]
        worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._workers.append(worker)
        if ready:
            self.wait(lambda: self.redis.sismember("ready", str(worker.pid)), "a worker to be ready")
        return worker

    async def publish(self, deadline: float | None = None, **plans: dict[str, Any]) -> None:
        """Queue one subtask of run `r` for each plan."""
        await self.publish_all(plans, deadline)

    async def publish_all(self, plans: Mapping[str, Mapping[str, Any]], deadline: float | None = None) -> None:
        """The same for plans in a mapping."""
        for subtask, plan in plans.items():
            self.redis.hset("plan", subtask, json.dumps(plan))
        async with create_producer(self.url, ENV) as producer:
            for subtask in plans:
                await producer.publish("r", subtask, 1, deadline)

    def names(self, key: str) -> list[str]:
        """What the tasks reported under `key`, in order."""
        return [str(item) for item in self.redis.lrange(key, 0, -1)]

    def attempts(self, subtask: str) -> int:
        """How many deliveries of the subtask began."""
        return int(self.redis.hget("attempts", subtask) or 0)

    def queued(self) -> int:
        """How many messages wait."""
        return int(self.redis.llen(f"ws:{ENV}:{QUEUE}"))

    def unacknowledged(self) -> int:
        """How many messages workers hold."""
        return int(self.redis.hlen(f"ws:{ENV}:unacked"))

    def waits_for_work(self) -> bool:
        """Whether a worker has asked the server for a message and is being kept waiting."""
        return any(client["cmd"] == "blmove" and "b" in client["flags"] for client in self.redis.client_list())

    def wait(self, condition: Any, what: str, seconds: float = 10) -> None:
        """Poll a condition; fail when it does not come true in time."""
        wait_until(condition, seconds=seconds, what=what)

    def wait_for(self, key: str, count: int = 1, seconds: float = 10) -> None:
        """Wait until that many reports lie under `key`."""
        self.wait(lambda: self.redis.llen(key) >= count, f"{count} × {key}", seconds)

    def wait_for_settled(self) -> None:
        """Wait until no message waits and none is held."""
        self.wait(lambda: self.queued() + self.unacknowledged() == 0, "an empty queue")


def stop_softly(worker: "subprocess.Popen[bytes]", sent: signal.Signals = signal.SIGTERM) -> None:
    """Ask one worker to stop."""
    os.kill(worker.pid, sent)
