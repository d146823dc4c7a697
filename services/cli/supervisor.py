"""The supervisor of a local cluster: `python -m services.cli.supervisor HOME`.

Honcho starts the processes, multiplexes their output, and ends all when one ends. Added here: Redis is
waited for; services end rank by rank (agents, then what they use, Redis last), so that the agents can
write their last facts; the ids of what was started are recorded; a service that ended by itself is named
as the failure.
"""

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import IO, Any

from honcho.manager import Manager
from honcho.printer import Message

from services.cli.logs import ClusterPrinter, LogFiles
from services.cli.plan import Plan, Service
from services.cli.probes import ready
from services.cli.state import ClusterState, Failure, Recorded, forget_state, read_state, write_state

_FIRST_READY_S = 30.0


class _Events(Queue):  # type: ignore[type-arg]
    """Honcho's queue of events, with an eye on what passes and on the time."""

    def __init__(self, seen: Callable[[Any], None], tick: Callable[[], None]) -> None:
        super().__init__(ctx=get_context())
        self._seen = seen
        self._tick = tick

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._tick()
        message = super().get(block, timeout)
        self._seen(message)
        return message


class Supervisor(Manager):  # type: ignore[misc]  # honcho has no types
    """Runs a plan until one of its processes ends or the supervisor is told to stop."""

    def __init__(self, plan: Plan, output: IO[str]) -> None:
        self._files = LogFiles(plan)
        super().__init__(ClusterPrinter(output, self._files))
        self.events = _Events(self._seen, self._tick)
        self._plan = plan
        self._ranks = {service.name: service.rank for service in plan.services}
        self._state = ClusterState(plan=plan, supervisor=Recorded.of(os.getpid()))
        self._ending_since: float | None = None
        self._pids: dict[str, int] = {}
        for service in plan.services:
            self.add_process(service.name, f"exec {shlex.join(service.command)}", env={**os.environ, **service.env})

    def run(self) -> int:
        """Supervise until the end; 0 when it was asked for, 1 when a service died."""
        write_state(self._state)
        try:
            self.loop()
        finally:
            self._files.close()
        if self._state.failure is None:
            forget_state(self._plan.home)
            return 0
        return 1

    def terminate(self) -> None:
        """Tell the services to end, rank by rank."""
        if self._ending_since is None:
            self._ending_since = time.monotonic()
            super().terminate()

    def kill(self) -> None:
        """Kill what is left, but only after the grace; honcho's own is too short for a worker's soft stop."""
        if self._ending_since is not None and time.monotonic() - self._ending_since > self._plan.grace_s:
            super().kill()

    def _killall(self, force: bool = False) -> None:
        running = self._running()
        end = self._procmgr.kill if force else self._procmgr.terminate
        for name in running if force else self._highest(running):
            end(self._pids[name])

    def _running(self) -> set[str]:
        return {name for name in self._pids if "returncode" not in self._processes[name]}

    def _highest(self, names: set[str]) -> set[str]:
        top = max((self._ranks[name] for name in names), default=0)
        return {name for name in names if self._ranks[name] == top}

    def _start(self) -> None:
        """Start the services, and wait for the first ones before the others."""
        for service in sorted(self._plan.services, key=lambda service: service.rank):
            process = self._processes[service.name]
            process["process"] = get_context().Process(
                name=service.name, target=process["obj"].run, args=(self.events, True)
            )
            process["process"].start()
            if service.rank == 0:
                self._await(service)

    def _await(self, service: Service) -> None:
        deadline = time.monotonic() + _FIRST_READY_S
        started = self._processes[service.name]["process"]
        while started.is_alive() and time.monotonic() < deadline and not ready(service.probe):
            time.sleep(0.05)

    def _seen(self, message: Message) -> None:
        if message.type == "start":
            self._pids[message.name] = message.data["pid"]
            child = Recorded.of(message.data["pid"])
            if child is not None:
                self._update(children={**self._state.children, message.name: child})
            if self._ending_since is not None:
                self._procmgr.terminate(message.data["pid"])
        elif message.type == "stop":
            self._stopped(message.name, message.data["returncode"])

    def _stopped(self, name: str, returncode: int) -> None:
        if self._ending_since is None:
            self._update(failure=Failure(service=name, returncode=returncode))
            return
        left = self._running() - {name}
        if not any(self._ranks[other] >= self._ranks[name] for other in left):
            for following in self._highest(left):
                self._procmgr.terminate(self._pids[following])

    def _tick(self) -> None:
        self.kill()

    def _system_print(self, data: str) -> None:
        """Through the queue: honcho says this in a signal handler, where printing may break a print under way."""
        self.events.put(Message(type="line", data=data, time=self._clock.now(), name="system", colour=None))

    def _update(self, **changes: Any) -> None:
        self._state = self._state.model_copy(update=changes)
        write_state(self._state)


def main() -> int:
    """Supervise the plan that `up` left in the home's state file."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    state = read_state(Path(sys.argv[1]))
    if state is None:
        sys.stderr.write(f"no plan in {sys.argv[1]}\n")
        return 2
    return Supervisor(state.plan, sys.stdout).run()


if __name__ == "__main__":
    sys.exit(main())
