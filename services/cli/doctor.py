"""`wideseek doctor`: what works, what does not, and what to do about it."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from rich.table import Table
from rich.text import Text

from services.cli.console import results
from services.cli.plan import Options, make_plan
from services.cli.probes import probe
from services.cli.state import ClusterState, read_state
from services.kit.keys import Keys
from wideseek.values import Frozen

_EXTRAS = ("cli", "kit", "http", "orchestrator", "worker", "retrieval", "model")
_FREE_GIB = 2.0
_CLOCK_S = 2.0
_STALE_S = 30.0
"""Age of its last heartbeat at which a worker counts as gone; the orchestrator's default."""


class Finding(Frozen):
    """One thing looked at."""

    name: str
    fine: bool
    said: str
    advice: str = ""
    """What to do when it is not fine."""


class Addresses(Frozen):
    """Where the parts of the cluster are looked for."""

    redis: str
    retrieval: str
    model: str
    orchestrator: str
    env: str


def doctor(home: Path, url: str | None = None) -> int:
    """Look at everything and print it; 1 when something is broken."""
    state = read_state(home)
    findings = list(examine(home, state, addresses(home, state, url)))
    table = Table.grid(padding=(0, 2), pad_edge=True)
    for finding in findings:
        mark = Text("✓", "green") if finding.fine else Text("✗", "red")
        said = Text(finding.said)
        if finding.advice and not finding.fine:
            said.append(f"\n→ {finding.advice}", "yellow")
        table.add_row(mark, finding.name, said)
    results().print(table)
    return 0 if all(finding.fine for finding in findings) else 1


def addresses(home: Path, state: ClusterState | None, url: str | None) -> Addresses:
    """Those of the cluster that was started here, else the variables', else the defaults."""
    plan = state.plan if state else make_plan(Options(home=home, env=os.environ.get("WIDESEEK_ENV", "dev")))
    given = plan.service("orchestrator").env if state else {**plan.service("orchestrator").env, **os.environ}
    return Addresses(
        redis=given["REDIS_URL"],
        retrieval=given["RETRIEVAL_URL"],
        model=given["MODEL_URL"],
        orchestrator=(url or os.environ.get("WIDESEEK_URL") or plan.service("orchestrator").url).rstrip("/"),
        env=given["WIDESEEK_ENV"],
    )


def examine(home: Path, state: ClusterState | None, where: Addresses) -> Iterator[Finding]:
    """All findings, in the order in which they should be dealt with."""
    yield _python()
    yield packages(_EXTRAS)
    yield _disk(home)
    yield _cluster(state)
    yield from _redis(where)
    yield _service("retrieval", where.retrieval + "/readyz")
    yield _model(where.model)
    yield _service("orchestrator", where.orchestrator + "/readyz")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(name="python", fine=sys.version_info >= (3, 11), said=version, advice="install Python 3.11 or newer")


def packages(extras: tuple[str, ...]) -> Finding:
    """Whether what our own metadata asks for is installed."""
    from packaging.requirements import Requirement  # noqa: PLC0415

    wrong: list[str] = []
    asked = [Requirement(line) for line in metadata.requires("wideseek") or ()]
    wanted = {item.name: item for item in asked if item.name != "wideseek" and _applies(item.marker, extras)}
    for item in wanted.values():
        try:
            version = metadata.version(item.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{item.name} is missing")
            continue
        if not item.specifier.contains(version, prereleases=True):
            wrong.append(f"{item.name} {version}, needed {item.specifier}")
    said = "; ".join(wrong) or f"wideseek {metadata.version('wideseek')}, all {len(wanted)} requirements met"
    return Finding(name="packages", fine=not wrong, said=said, advice="run `make setup`")


def _applies(marker: object, extras: tuple[str, ...]) -> bool:
    evaluate: Callable[..., bool] | None = getattr(marker, "evaluate", None)
    return evaluate is None or any(evaluate({"extra": extra}) for extra in ("", *extras))


def _disk(home: Path) -> Finding:
    folder = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 2**30
    advice = f"free {_FREE_GIB:g} GiB: indexes, logs and Redis data need room"
    return Finding(name="disk", fine=free >= _FREE_GIB, said=f"{free:.1f} GiB free at {folder}", advice=advice)


def _cluster(state: ClusterState | None) -> Finding:
    start = "start one: wideseek up --detach"
    if state is None:
        return Finding(name="cluster", fine=False, said="none was started from this home", advice=start)
    if state.failure is not None:
        log = state.plan.log_file(state.failure.service)
        return Finding(name="cluster", fine=False, said=str(state.failure), advice=f"read {log}, then wideseek up")
    if not state.supervised():
        return Finding(name="cluster", fine=False, said="its supervisor is gone", advice="wideseek down, then up")
    said = f"{len(state.alive())} processes under supervisor {state.supervisor.pid if state.supervisor else ''}"
    return Finding(name="cluster", fine=len(state.alive()) == len(state.plan.services), said=said, advice=start)


def _redis(where: Addresses) -> Iterator[Finding]:
    """Redis itself, its settings, its clock, and the workers' heartbeats in it."""
    try:
        with Redis.from_url(where.redis, socket_connect_timeout=2, socket_timeout=2, decode_responses=True) as redis:
            before = time.time()
            seconds, micros = redis.time()
            off = seconds + micros / 1e6 - (before + time.time()) / 2
            info, beats = redis.info(), redis.hvals(Keys(where.env).workers)
    except (RedisError, OSError, ValueError) as error:
        yield Finding(name="redis", fine=False, said=f"{where.redis}: {error}", advice="wideseek up, or set REDIS_URL")
        return
    policy = str(info.get("maxmemory_policy", "unknown"))
    version = info.get("valkey_version") or info.get("redis_version")
    yield Finding(
        name="redis",
        fine=policy == "noeviction",
        said=f"{version} at {where.redis}, {policy}, append-only {'on' if info.get('aof_enabled') else 'off'}",
        advice="set maxmemory-policy to noeviction: an evicted key is a lost run",
    )
    yield Finding(
        name="clock",
        fine=abs(off) <= _CLOCK_S,
        said=f"{off:+.3f} s against Redis",
        advice="synchronise the clocks (NTP): deadlines and leases compare them",
    )
    yield _workers([json.loads(beat) for beat in beats])


def _workers(beats: list[dict[str, float]]) -> Finding:
    live = [beat for beat in beats if time.time() - beat["at"] <= _STALE_S]
    slots, busy = (int(sum(beat.get(name, 0) for beat in live)) for name in ("slots", "in_flight"))
    said = f"{len(live)} live, {busy} of {slots} slots in use" if live else "none live: subtasks would wait"
    return Finding(
        name="workers", fine=bool(live), said=said, advice="read logs/worker-1.log, or wideseek up --workers N"
    )


def _service(name: str, url: str) -> Finding:
    answer = probe(url)
    said = answer.detail or ("ready" if answer.ready else "no answer")
    checks = f" ({', '.join(f'{key} {value}' for key, value in answer.checks.items())})" if answer.ready else ""
    advice = f"read logs/{name}.log, or start it: wideseek up"
    return Finding(name=name, fine=answer.ready, said=f"{'ready' if checks else said} at {url}{checks}", advice=advice)


def _model(url: str) -> Finding:
    """The engine's own health route, or the list of models for endpoints that have none."""
    for path in ("/health", "/v1/models", "/models"):
        answer = probe(url.rstrip("/") + path)
        if answer.ready:
            return Finding(name="model", fine=True, said=f"answers at {url}{path}")
    advice = "start it: wideseek up, or set MODEL_URL to an OpenAI-compatible endpoint"
    return Finding(name="model", fine=False, said=f"{url}: {answer.detail}", advice=advice)
