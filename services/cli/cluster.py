"""`wideseek up` and `wideseek down`."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from rich.console import Console

from services.cli.console import CommandError, duration, notes, results
from services.cli.plan import Plan, check_ports, engine_of
from services.cli.probes import probe
from services.cli.startup import Startup, describe_failure, wait_ready
from services.cli.state import ClusterState, forget_state, read_state, starting, write_state

_DETACHED: list["subprocess.Popen[bytes]"] = []
"""Supervisors that outlive us on purpose; Python would warn of a child that is forgotten while it runs."""

READY_TIMEOUT_S = 1_800.0
"""Seconds a start may take; the first one builds the index of the bundled corpus."""


def up(plan: Plan, *, detach: bool, timeout_s: float = READY_TIMEOUT_S, advise: bool = True) -> int:
    """Start the cluster and wait until it is ready; without `detach`, stay until it ends.

    `advise` says how to go on from there. Returns the exit code. Raises CommandError when it cannot start.
    """
    console = notes()
    with starting(plan.home):
        if _runs_already(plan, console):
            return 0
        check_ports(plan)
        if engine_of(plan.options.model) == "vllm":
            from services.cli.venv import ensure_model_environment  # noqa: PLC0415

            ensure_model_environment(console, plan.home)
        if plan.remark:
            console.print(plan.remark, soft_wrap=True, markup=False)
        supervisor, startup = _spawn(plan, detach=detach), Startup(plan)
        try:
            wait_ready(startup, supervisor, console, timeout_s=timeout_s)
        except (CommandError, KeyboardInterrupt):
            _end(read_state(plan.home), supervisor)
            raise
    _print_ready(startup, console, detach=detach)
    if advise:
        end = "`wideseek down` ends it" if detach else "Ctrl-C ends it"
        console.print(f'ask it: wideseek ask "…"; {end}', soft_wrap=True)
    return 0 if detach else _stay(supervisor, plan)


def down(home: Path) -> int:
    """End what `up` started in this home, and nothing else; data is kept."""
    console = notes()
    if not home.is_dir():
        console.print("nothing to end: no cluster was started here")
        return 0
    with starting(home):
        state = read_state(home)
        running = state is not None and (state.supervised() or bool(state.alive()))
        began = time.monotonic()
        if running:
            with console.status("ending the cluster"):
                _end(state)
        forget_state(home)
    _DETACHED[:] = [supervisor for supervisor in _DETACHED if supervisor.poll() is None]
    if running:
        took = duration(time.monotonic() - began)
        console.print(f"[green]✓[/] the cluster has ended ({took}); data is kept in {home}", soft_wrap=True)
    else:
        console.print("nothing to end: no cluster is running")
    return 0


def _runs_already(plan: Plan, console: Console) -> bool:
    """Whether this very cluster is up and healthy. Raises CommandError when another or a broken one is."""
    state = read_state(plan.home)
    if state is None or not (state.supervised() or state.alive()):
        return False
    if not state.supervised():
        left = ", ".join(f"{name} ({process.pid})" for name, process in state.alive().items())
        raise CommandError(
            f"services of a cluster whose supervisor was killed still run: {left}; `wideseek down` first"
        )
    if state.plan != plan:
        raise CommandError("a cluster with other options is running: `wideseek down` first")
    sick = [service.name for service in plan.services if not probe(service.probe).ready]
    if sick:
        raise CommandError(f"the cluster is running, but {', '.join(sick)} not ready: `wideseek doctor` says more")
    console.print("[green]✓[/] the cluster is already running")
    return True


def _spawn(plan: Plan, *, detach: bool) -> "subprocess.Popen[bytes]":
    """Start the supervisor; detached, it has a session of its own and outlives the terminal."""
    for folder in ("logs", "redis"):
        (plan.home / folder).mkdir(parents=True, exist_ok=True)
    write_state(ClusterState(plan=plan))
    command = [sys.executable, "-m", "services.cli.supervisor", str(plan.home)]
    if not detach:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)
    with plan.log_file("supervisor").open("wb") as log:
        supervisor = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    _DETACHED.append(supervisor)
    return supervisor


def _stay(supervisor: "subprocess.Popen[bytes]", plan: Plan) -> int:
    """Wait for the supervisor, which a Ctrl-C reaches as well. Raises CommandError when a service died."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        returncode = supervisor.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if returncode:
        raise CommandError(describe_failure(plan))
    return 0


def _end(state: ClusterState | None, supervisor: "subprocess.Popen[bytes] | None" = None) -> None:
    """SIGTERM to the supervisor, or to the services where it is gone; SIGKILL to what is left after the grace."""
    known = _started(state)
    head = state.supervisor.process() if state and state.supervisor else None
    if head is None and supervisor is not None and supervisor.poll() is None:
        head = psutil.Process(supervisor.pid)
    targets = [head] if head else known
    for process in targets:
        _signal(process, signal.SIGTERM)
    _, left = psutil.wait_procs([*known, *targets], timeout=(state.plan.grace_s if state else 0) + 2)
    for process in left:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)
    if supervisor is not None:
        supervisor.wait()


def _started(state: ClusterState | None) -> list[psutil.Process]:
    """The recorded services with all they have started themselves; psutil checks start times before signalling."""
    if state is None:
        return []
    found: list[psutil.Process] = []
    for process in state.alive().values():
        try:
            found += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _print_ready(startup: Startup, console: Console, *, detach: bool) -> None:
    if console.is_terminal or not detach:
        (results() if detach else console).print(startup.table())
    home = startup.plan.home
    console.print(f"the cluster is up after {duration(startup.elapsed)}; logs in {home / 'logs'}", soft_wrap=True)
