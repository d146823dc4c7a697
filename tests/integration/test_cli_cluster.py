"""`up` and `down` over real processes that are small enough to start in a moment."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from http.client import RemoteDisconnected
from pathlib import Path

import psutil
import pytest

from services.cli import cluster
from services.cli.console import CommandError
from services.cli.plan import LOOPBACK, Options, Plan, Service
from services.cli.startup import describe_failure
from services.cli.state import ClusterState, Recorded, read_state, write_state
from tests.servers import free_port, listens, wait_until

TINY = Path(__file__).with_name("tiny_service.py")
MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tmp_path: Path) -> Iterator[MakePlan]:
    """Plans of tiny services in a home of their own, which is ended afterwards whatever happened."""
    home = tmp_path / "home"

    def make(*faults: str) -> Plan:
        services = tuple(tiny(home, f"tiny-{number}", fault, number) for number, fault in enumerate(faults))
        return Plan(options=Options(home=home), services=services, grace_s=1)

    yield make
    cluster.down(home)


def tiny(home: Path, name: str, fault: str, rank: int) -> Service:
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    return Service(
        name=name,
        command=(sys.executable, str(TINY), name, str(port), str(home / "journal"), fault),
        port=port,
        port_option="--tiny-port or TINY_PORT",
        url=url,
        probe=f"{url}/readyz",
        rank=rank,
    )


def journal(plan: Plan) -> list[str]:
    return (plan.home / "journal").read_text().splitlines()


def state_of(plan: Plan) -> ClusterState:
    state = read_state(plan.home)
    assert state is not None
    return state


def test_a_detached_cluster_is_ready_when_up_returns(make_plan: MakePlan, capfd: pytest.CaptureFixture[str]) -> None:
    plan = make_plan("", "")

    code = cluster.up(plan, detach=True)

    said = capfd.readouterr().err
    assert code == 0
    assert all(listens(service.port) for service in plan.services)
    assert "tiny-1 ready after" in said
    assert "wideseek down" in said
    assert set(state_of(plan).alive()) == {"tiny-0", "tiny-1"}


def test_down_ends_rank_by_rank(make_plan: MakePlan) -> None:
    plan = make_plan("", "", "")
    cluster.up(plan, detach=True)
    state = state_of(plan)

    code = cluster.down(plan.home)

    assert code == 0
    assert state.alive() == {}
    assert not state.supervised()
    assert journal(plan)[0] == "tiny-0 started"
    assert journal(plan)[3:] == ["tiny-2 ended", "tiny-1 ended", "tiny-0 ended"]
    assert read_state(plan.home) is None


def test_a_service_that_does_not_listen_to_sigterm_is_killed_after_the_grace(make_plan: MakePlan) -> None:
    plan = make_plan("", "deaf")
    cluster.up(plan, detach=True)
    state = state_of(plan)

    cluster.down(plan.home)

    assert state.alive() == {}
    assert "tiny-1 ended" not in journal(plan)


def test_down_twice_is_no_mistake(make_plan: MakePlan, capfd: pytest.CaptureFixture[str]) -> None:
    plan = make_plan("")
    cluster.up(plan, detach=True)

    codes = [cluster.down(plan.home), cluster.down(plan.home)]

    assert codes == [0, 0]
    assert "nothing to end" in capfd.readouterr().err


def test_a_service_that_dies_at_the_start_is_named_with_its_last_words(make_plan: MakePlan) -> None:
    plan = make_plan("", "dies")

    with pytest.raises(CommandError, match=r"tiny-1 died \(exit code 3\)[\s\S]*cannot read the corpus"):
        cluster.up(plan, detach=True)

    assert not listens(plan.services[0].port)
    assert state_of(plan).alive() == {}


def test_a_service_that_dies_later_ends_the_rest(make_plan: MakePlan) -> None:
    plan = make_plan("", "")
    cluster.up(plan, detach=True)
    supervisor = state_of(plan).supervisor

    with pytest.raises((RemoteDisconnected, ConnectionError)):
        urllib.request.urlopen(f"{plan.services[1].url}/die", timeout=5)

    assert supervisor is not None
    wait_until(lambda: supervisor.process() is None, seconds=10, what="the supervisor to end")
    state = state_of(plan)
    assert str(state.failure) == "tiny-1 died (exit code 7)"
    assert state.alive() == {}
    assert "ERROR disk_full folder=/data" in describe_failure(plan)


def test_a_start_that_takes_too_long_says_what_it_waits_for(make_plan: MakePlan) -> None:
    plan = make_plan("", "never")

    with pytest.raises(CommandError, match=r"not ready after 1.5 s: tiny-1 \(index: building 40 %"):
        cluster.up(plan, detach=True, timeout_s=1.5)

    assert not listens(plan.services[0].port)


def test_a_second_up_finds_the_cluster_running(make_plan: MakePlan, capfd: pytest.CaptureFixture[str]) -> None:
    plan = make_plan("")
    cluster.up(plan, detach=True)
    before = state_of(plan)

    code = cluster.up(plan, detach=True)

    assert code == 0
    assert "already running" in capfd.readouterr().err
    assert state_of(plan) == before


def test_a_second_up_with_other_options_is_refused(make_plan: MakePlan) -> None:
    plan = make_plan("")
    cluster.up(plan, detach=True)
    other = plan.model_copy(update={"options": Options(home=plan.home, workers=2)})

    with pytest.raises(CommandError, match="other options"):
        cluster.up(other, detach=True)


def test_a_taken_port_is_named_with_the_option_that_moves_it(make_plan: MakePlan) -> None:
    plan = make_plan("")
    process = subprocess.Popen(plan.services[0].command)
    plan.home.mkdir()
    wait_until(lambda: listens(plan.services[0].port), seconds=10, what="the port to be taken")

    with pytest.raises(CommandError, match=f"port {plan.services[0].port} is in use.*--tiny-port or TINY_PORT"):
        cluster.up(plan, detach=True)

    process.terminate()
    process.wait(10)


def test_what_a_killed_supervisor_left_behind_is_ended_by_down(make_plan: MakePlan) -> None:
    plan = make_plan("", "")
    cluster.up(plan, detach=True)
    state = state_of(plan)
    supervisor = state.supervisor.process() if state.supervisor else None
    assert supervisor is not None

    supervisor.send_signal(signal.SIGKILL)
    wait_until(lambda: not state.supervised(), seconds=10, what="the supervisor to end")
    with pytest.raises(CommandError, match="supervisor was killed"):
        cluster.up(plan, detach=True)
    cluster.down(plan.home)

    assert state.alive() == {}


def test_a_process_that_took_over_a_recorded_id_is_left_alone(make_plan: MakePlan) -> None:
    plan = make_plan("")
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    recorded = Recorded(pid=bystander.pid, started_at=psutil.Process(bystander.pid).create_time() - 100)
    write_state(ClusterState(plan=plan, supervisor=recorded, children={"tiny-0": recorded}))

    cluster.down(plan.home)

    assert bystander.poll() is None
    bystander.kill()
    bystander.wait(10)


def test_an_attached_cluster_shows_its_logs_and_ends_with_its_terminal(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan("", "")
    plan_file = tmp_path / "plan.json"
    plan_file.write_text(plan.model_dump_json())
    script = (
        "import sys, pathlib; from services.cli import cluster, plan;"
        "text = pathlib.Path(sys.argv[1]).read_text();"
        "sys.exit(cluster.up(plan.Plan.model_validate_json(text), detach=False))"
    )
    shown = tmp_path / "shown"
    with shown.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(plan_file)], stdout=output, stderr=output, start_new_session=True
        )
        wait_until(lambda: "the cluster is up" in shown.read_text(), seconds=20, what="the cluster to be up")

        # What a terminal does on Ctrl-C: the signal goes to the whole foreground group.
        os.killpg(process.pid, signal.SIGINT)

        assert process.wait(20) == 0
    assert "tiny-1 | /readyz" in shown.read_text()
    assert not any(listens(service.port) for service in plan.services)
