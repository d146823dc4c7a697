"""`wideseek demo` over tiny services and an orchestrator that follows a script."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli import cluster
from services.cli.ask import ask_at
from services.cli.demo import demo
from services.cli.plan import Options, Plan, Service
from services.cli.state import read_state
from tests.integration.fake_orchestrator import serving
from tests.integration.test_cli_cluster import tiny
from wideseek.contracts import RunRequest


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan whose one service is tiny; the questions of these tests go to the scripted orchestrator."""
    service: Service = tiny(tmp_path / "home", "orchestrator", "", 0)
    return Plan(options=Options(home=tmp_path / "home"), services=(service,), grace_s=1)


def asking(url: str) -> Callable[[str, RunRequest], int]:
    return lambda _, request: ask_at(url, request, None)


def test_a_demonstration_prints_a_table_and_leaves_nothing_running(
    plan: Plan, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving() as url:
        code = demo(plan, asking(url))

    shown = capfd.readouterr()
    assert code == 0
    assert "| Peru | Lima |" in shown.out
    assert "The demonstration took" in shown.err
    assert read_state(plan.home) is None


def test_a_cluster_that_ran_before_is_used_and_kept(plan: Plan) -> None:
    cluster.up(plan, detach=True)

    with serving() as url:
        code = demo(plan, asking(url))

    state = read_state(plan.home)
    assert code == 0
    assert state is not None
    assert state.supervised()
    cluster.down(plan.home)


def test_a_demonstration_may_keep_its_cluster(plan: Plan, capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as url:
        demo(plan, asking(url), keep=True)

    assert read_state(plan.home) is not None
    assert "wideseek down ends the cluster" in capfd.readouterr().err
    cluster.down(plan.home)


def test_a_run_that_does_not_complete_is_the_exit_code(plan: Plan, capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as url:
        code = demo(plan, asking(url), query="fails")

    assert code == 4
    assert "did not complete (exit code 4)" in capfd.readouterr().err
