"""A worker process for the delivery tests: the shipped shell around a task that records what happens to it.

    python -m tests.integration.delivery_app '{"broker_url": …, "slots": …}'

The task reads what to do from the hash `plan` (by subtask id) and reports into lists and hashes of
the same server, every write fenced by the attempt number and by a mark of what is done: a worker killed between
finishing and acknowledging has its message delivered again.
"""

import asyncio
import json
import os
import signal
import sys
from typing import Any

from redis.asyncio import Redis

from services.kit.queue import Delivery
from services.worker.app import WorkerApp, create_celery, register, run_worker
from services.worker.loop import UserCancelled

MAX_ATTEMPTS = 3
FINISH = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('SADD', KEYS[3], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
return 1
"""


class Recorder:
    """The test's subagent."""

    def __init__(self, app: WorkerApp, broker_url: str) -> None:
        self._app = app
        self._redis = Redis.from_url(broker_url, decode_responses=True)

    async def run(self, delivery: Delivery) -> None:
        redis, subtask = self._redis, delivery.subtask_id
        attempt = await redis.hincrby("attempts", subtask, 1)
        if attempt > MAX_ATTEMPTS:
            await redis.rpush("poisoned", subtask)
            return
        try:
            await self._report(delivery)
            await redis.rpush("started", f"{subtask}:{attempt}:{os.getpid()}")
            await self._act(json.loads(await redis.hget("plan", subtask) or "{}"))
        except asyncio.CancelledError:
            await redis.rpush("cleaned_up", subtask)
            raise
        if await redis.eval(FINISH, 3, "attempts", "finished", "done", subtask, str(attempt)) == 0:
            await redis.rpush("fenced_off", subtask)

    async def _report(self, delivery: Delivery) -> None:
        seen = {
            "enqueued_at": delivery.enqueued_at,
            "deadline": delivery.deadline,
            "lease_age_s": self._app.lease.age_s,
        }
        known = {key: str(value or 0) for key, value in seen.items()}
        await self._redis.hset(f"delivery:{delivery.subtask_id}", mapping=dict[Any, Any](known))

    async def _act(self, plan: dict[str, Any]) -> None:
        if plan.get("kill_me"):
            os.kill(os.getpid(), signal.SIGKILL)
        if plan.get("raise"):
            raise RuntimeError(plan["raise"])
        if plan.get("give_up"):
            raise UserCancelled
        while plan.get("until_draining") and not self._app.stop_asked.draining:  # noqa: ASYNC110 - a plain flag
            await asyncio.sleep(0.01)
        if plan.get("until_draining"):
            await self._redis.rpush("draining", os.getpid())
        await asyncio.sleep(plan.get("seconds", 0))

    async def watch(self) -> None:
        """Cancel the tasks whose ids arrive on the channel `cancel`; report readiness first."""
        async with self._redis.pubsub() as channel:
            await channel.subscribe("cancel")
            await self._redis.sadd("ready", os.getpid())
            async for message in channel.listen():
                if message["type"] == "message":
                    self._app.agent_loop.cancel(message["data"])


def main() -> int:
    options = json.loads(sys.argv[1])
    app = create_celery(**options)
    recorder = Recorder(app, options["broker_url"])
    register(app, recorder.run)
    app.agent_loop.call(recorder.watch())
    return run_worker(app)


if __name__ == "__main__":
    sys.exit(main())
