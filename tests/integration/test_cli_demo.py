"""`wideseek demo` over tiny services and an orchestrator that follows a script."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli import cluster
from services.cli.ask import ask_at
from services.cli.console import CommandError
from services.cli.demo import demo, plan_for
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


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy that the variable names, and an interpreter that finds a vLLM."""
    folder = tmp_path / "trained"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).write_text("{}")
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MODEL_PYTHON", sys.executable)
    monkeypatch.setenv("MODEL_POLICY", str(folder))
    return folder


def test_the_trained_policy_is_demonstrated_where_it_can_be_served(
    policy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(tmp_path / "home", "smollm2")

    assert plan.service("model").env["MODEL_POLICY"] == str(policy)
    assert plan.service("retrieval").env["RETRIEVAL_BUNDLED"] == "lexical"
    assert plan.service("model").env["MODEL_EAGER"] == "true"
    kept = plan_for(tmp_path / "home", "smollm2", keep=True)
    assert not {"RETRIEVAL_BUNDLED", "MODEL_EAGER"} & {name for one in kept.services for name in one.env}
    assert "stands in" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MODEL_POLICY": "none"}, "There is no trained policy to serve"),
        ({"MODEL_POLICY": "/nowhere"}, "cannot be served here: /nowhere holds no adapter_config.json"),
        ({"MODEL_PYTHON": "/nowhere/python"}, "cannot be served here: MODEL_PYTHON=/nowhere/python: no interpreter"),
    ],
)
def test_the_expert_stands_in_for_a_policy_that_cannot_be_served_and_says_so(
    policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    variables: dict[str, str],
    said: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    plan = plan_for(tmp_path / "home", "smollm2")

    shown = capfd.readouterr().err
    assert said in shown
    assert "The expert engine, which plays by rule, stands in for it." in shown
    assert plan.options.model == "expert"
    assert "RETRIEVAL_BUNDLED" not in plan.service("retrieval").env


def test_the_expert_is_demonstrated_when_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = plan_for(tmp_path / "home", "expert")

    assert plan.service("model").env["MODEL_ENGINE"] == "expert"
    assert capfd.readouterr().err == ""


def test_a_model_that_is_none_is_not_demonstrated(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="expected expert, smollm2 or an http"):
        plan_for(tmp_path / "home", "gpt")
