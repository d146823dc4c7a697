"""What `up` would start, and the lines people get for bad options."""

import socket
from pathlib import Path

import pytest

from services.cli.console import CommandError, duration
from services.cli.plan import LOOPBACK, Options, Plan, check_ports, make_plan, options_from_environment


def planned(**options: object) -> Plan:
    return make_plan(Options.model_validate({"home": Path("/tmp/home"), **options}))


def test_the_default_cluster_has_one_of_each() -> None:
    plan = planned()

    names = ["redis", "retrieval", "model", "orchestrator", "worker-1", "trainer"]
    assert [service.name for service in plan.services] == names
    assert [service.port for service in plan.services] == [6380, 8081, 8082, 8080, 8084, 8083]


def test_the_trainer_ends_before_those_it_asks() -> None:
    ranks = {service.name: service.rank for service in planned().services}

    assert ranks["trainer"] > ranks["orchestrator"] > ranks["model"] > ranks["redis"]


def test_orchestrator_and_trainer_know_each_other() -> None:
    plan = planned(orchestrator_port=7003, trainer_port=7004)

    assert plan.service("trainer").env["ORCHESTRATOR_URL"] == "http://127.0.0.1:7003"
    assert plan.service("orchestrator").env["TRAINER_URL"] == "http://127.0.0.1:7004"


def test_every_service_is_told_where_the_others_are() -> None:
    plan = planned(redis_port=7000, retrieval_port=7001, model_port=7002, orchestrator_port=7003, env="blue")

    env = plan.service("worker-1").env
    assert env["REDIS_URL"] == "redis://127.0.0.1:7000/0"
    assert env["RETRIEVAL_URL"] == "http://127.0.0.1:7001"
    assert env["MODEL_URL"] == "http://127.0.0.1:7002"
    assert env["WIDESEEK_ENV"] == "blue"
    assert plan.service("orchestrator").env["ORCHESTRATOR_PORT"] == "7003"


def test_workers_count_their_ports_up_and_share_the_slots() -> None:
    plan = planned(workers=3, worker_port=9000, slots=16)

    workers = [service for service in plan.services if service.name.startswith("worker")]
    assert [worker.env["WORKER_PORT"] for worker in workers] == ["9000", "9001", "9002"]
    assert {worker.env["WORKER_SLOTS"] for worker in workers} == {"16"}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A folder that looks like a shipped policy, as far as a plan looks."""
    folder = tmp_path / "trained"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).write_text("{}")
    (folder / "POLICY.json").write_text('{"name": "trained", "prompt_profile": "compact"}')
    return folder


def test_smollm2_is_served_by_vllm_as_it_is_when_told_so() -> None:
    plan = planned(model="smollm2", policy="none")

    env = plan.service("model").env
    assert (env["MODEL_ENGINE"], env["MODEL_POLICY"]) == ("vllm", "none")
    assert "ORCHESTRATOR_DEFAULT_PROMPT_PROFILE" not in plan.service("orchestrator").env
    assert plan.remark == ""


def test_a_policy_is_merged_and_the_orchestrator_told_its_prompts(policy: Path) -> None:
    plan = planned(model="smollm2", policy=str(policy))

    env = plan.service("model").env
    assert env["MODEL_POLICY"] == str(policy)
    assert "MODEL_LORA" not in env
    assert plan.service("orchestrator").env["ORCHESTRATOR_DEFAULT_PROMPT_PROFILE"] == "compact"
    assert plan.remark.startswith("the policy trained is served, merged into smollm2; adapters cannot be loaded")


def test_swapping_beside_a_merged_policy_has_to_be_asked_for(policy: Path) -> None:
    plan = planned(model="smollm2", policy=str(policy), lora=True)

    assert plan.service("model").env["MODEL_LORA"] == "true"
    assert plan.remark == "the policy trained is served, merged into smollm2"


def test_the_callers_variables_choose_policy_and_prompts(monkeypatch: pytest.MonkeyPatch, policy: Path) -> None:
    monkeypatch.setenv("MODEL_POLICY", str(policy))
    monkeypatch.setenv("ORCHESTRATOR_DEFAULT_PROMPT_PROFILE", "full")

    plan = planned(model="smollm2")

    assert plan.service("model").env["MODEL_POLICY"] == str(policy)
    assert plan.service("orchestrator").env["ORCHESTRATOR_DEFAULT_PROMPT_PROFILE"] == "full"


def test_weights_of_ones_own_come_without_the_shipped_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_PATH", "/models/mine")

    assert planned(model="smollm2").service("model").env["MODEL_POLICY"] == "none"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "smollm2", "policy": "/nowhere"}, "/nowhere holds no adapter_config.json"),
        ({"policy": "none"}, "--policy is of --model smollm2"),
        ({"model": "https://models.example/v1", "lora": True}, "--lora is of --model smollm2"),
    ],
)
def test_options_of_the_model_that_cannot_be_served_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        planned(**options)

    assert refused.value.exit_code == 2


def test_the_address_of_another_endpoint_starts_no_model() -> None:
    plan = planned(model="https://models.example/v1/")

    assert "model" not in {service.name for service in plan.services}
    assert plan.service("worker-1").env["MODEL_URL"] == "https://models.example/v1"


def test_a_model_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="expected expert, smollm2 or an http"):
        planned(model="gpt")


def test_redis_never_evicts_and_keeps_what_it_was_given() -> None:
    command = planned().service("redis").command

    settings = dict(zip(command[1::2], command[2::2], strict=True))
    assert settings["--maxmemory-policy"] == "noeviction"
    assert settings["--appendonly"] == "yes"
    assert settings["--bind"] == LOOPBACK


def test_two_services_on_one_port_are_refused() -> None:
    with pytest.raises(
        CommandError, match="retrieval and orchestrator both want port 8081: change --orchestrator-port"
    ):
        check_ports(planned(orchestrator_port=8081))


def test_a_worker_port_past_the_last_one_is_refused() -> None:
    plan = planned(workers=2, worker_port=65_535)
    workers = tuple(service for service in plan.services if service.name == "worker-2")

    with pytest.raises(CommandError, match="port 65536 of worker-2 is out of range"):
        check_ports(plan.model_copy(update={"services": workers}))


def test_a_port_somebody_listens_on_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        plan = planned(redis_port=taken.getsockname()[1])

        with pytest.raises(CommandError, match="is in use: choose another for redis with --redis-port or REDIS_PORT"):
            check_ports(plan)


def test_ports_come_from_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PORT", "9100")

    assert options_from_environment(tmp_path).orchestrator_port == 9100


def test_a_variable_that_is_no_port_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_PORT", "six")

    with pytest.raises(CommandError, match="REDIS_PORT: Input should be a valid integer"):
        options_from_environment(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.5, "9.5 s"), (12.4, "12 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
