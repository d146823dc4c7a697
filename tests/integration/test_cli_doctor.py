"""`wideseek doctor` over a real Redis and services that are there or not."""

import json
import time
from pathlib import Path

import pytest
from redis import Redis

from services.cli.doctor import Addresses, Finding, addresses, doctor, examine, packages
from services.cli.plan import Options, make_plan
from services.cli.state import ClusterState, Failure, write_state
from services.kit.keys import Keys
from tests.integration.fake_orchestrator import serving
from tests.servers import free_port


def findings(home: Path, **where: str) -> dict[str, Finding]:
    nowhere = f"http://127.0.0.1:{free_port()}"
    given = {"redis": nowhere, "retrieval": nowhere, "model": nowhere, "orchestrator": nowhere, "env": "t", **where}
    return {finding.name: finding for finding in examine(home, None, Addresses.model_validate(given))}


def beat(redis_url: str, env: str, *, age_s: float) -> None:
    with Redis.from_url(redis_url) as redis:
        value = {"at": time.time() - age_s, "slots": 8, "in_flight": 3}
        redis.hset(Keys(env).workers, "w1", json.dumps(value))


def test_a_redis_that_may_evict_is_broken(redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        evicting = findings(tmp_path, redis=redis_url)["redis"]
        redis.config_set("maxmemory-policy", "noeviction")

    assert not evicting.fine
    assert "noeviction" in evicting.advice
    assert findings(tmp_path, redis=redis_url)["redis"].fine


def test_the_clock_of_this_machine_agrees_with_its_own_redis(redis_url: str, tmp_path: Path) -> None:
    assert findings(tmp_path, redis=redis_url)["clock"].fine


def test_workers_are_counted_by_their_heartbeats(redis_url: str, tmp_path: Path) -> None:
    beat(redis_url, "t", age_s=1)

    workers = findings(tmp_path, redis=redis_url)["workers"]

    assert workers.fine
    assert workers.said == "1 live, 3 of 8 slots in use"


def test_a_worker_that_fell_silent_does_not_count(redis_url: str, tmp_path: Path) -> None:
    beat(redis_url, "t", age_s=120)

    assert not findings(tmp_path, redis=redis_url)["workers"].fine


def test_what_is_down_is_said_with_what_to_do(tmp_path: Path) -> None:
    found = findings(tmp_path)

    down = {name for name, finding in found.items() if not finding.fine}
    assert down >= {"cluster", "redis", "retrieval", "model", "orchestrator"}
    assert all(found[name].advice for name in down)


def test_a_model_endpoint_without_a_health_route_is_found_by_its_models(tmp_path: Path) -> None:
    with serving() as url:
        assert not findings(tmp_path, model=url)["model"].fine
        assert findings(tmp_path, model=f"{url}/openai")["model"].fine


def test_python_packages_and_disk_are_in_order_here(tmp_path: Path) -> None:
    found = findings(tmp_path)

    assert all(found[name].fine for name in ("python", "packages"))
    assert "GiB free" in found["disk"].said


def test_only_the_extras_asked_for_are_looked_at() -> None:
    some, more = packages(("kit",)), packages(("kit", "orchestrator"))

    assert some.fine
    assert some.said != more.said


def test_a_cluster_that_died_is_named_with_its_log(tmp_path: Path) -> None:
    state = ClusterState(plan=make_plan(Options(home=tmp_path)), failure=Failure(service="retrieval", returncode=-9))

    found = {finding.name: finding for finding in examine(tmp_path, state, addresses(tmp_path, state, None))}

    assert found["cluster"].said == "retrieval died (signal 9)"
    assert str(tmp_path / "logs" / "retrieval.log") in found["cluster"].advice


def test_the_addresses_are_those_of_the_cluster_started_here(tmp_path: Path) -> None:
    state = ClusterState(plan=make_plan(Options(home=tmp_path, redis_port=7001, env="blue")))

    where = addresses(tmp_path, state, "http://elsewhere:1/")

    assert (where.redis, where.env, where.orchestrator) == ("redis://127.0.0.1:7001/0", "blue", "http://elsewhere:1")


def test_something_broken_makes_a_non_zero_exit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(home=tmp_path, redis_port=free_port(), orchestrator_port=free_port())
    write_state(ClusterState(plan=make_plan(options), failure=Failure(service="model", returncode=2)))

    code = doctor(tmp_path)

    printed = capsys.readouterr().out
    assert code == 1
    assert "model died (exit code 2)" in printed
    assert "→ " in printed
