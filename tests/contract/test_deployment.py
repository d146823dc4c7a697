"""Deployment files are code: they are rendered, validated, and each process's settings are built from them."""

import importlib
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from prometheus_client import generate_latest

from services.cli.env import PROCESSES, example, variable
from services.kit.settings import ServiceSettings
from services.orchestrator.metrics import Metrics
from services.trainer.folder import JobRecord
from services.trainer.jobs.manifests import job_manifest
from services.trainer.routes import example_config
from services.trainer.settings import TrainerSettings
from services.worker.metrics import WorkerMetrics
from tests.manifests import OVERLAYS, ROOT, compose, named, of_kind, pod, pod_environment, rendered, workloads
from tests.promql import evaluate

Objects = list[dict[str, Any]]
SETTINGS = dict(PROCESSES)
PORTS = {"orchestrator": 8080, "retrieval": 8081, "model": 8082, "trainer": 8083, "worker": 8084}
KUBERNETES = "1.33"
SCALED_OBJECT = json.loads((Path(__file__).parent / "schemas" / "scaledobject.keda.sh.json").read_text("utf-8"))


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> Objects:
    return rendered(request.param)


@pytest.fixture(scope="module")
def base() -> Objects:
    return rendered("base")


def _settings(name: str, environment: dict[str, str], patch: pytest.MonkeyPatch) -> ServiceSettings:
    """The settings of a process that has these variables and none of ours besides."""
    for _, kind in PROCESSES:
        for field, info in kind.model_fields.items():
            patch.delenv(variable(kind, field, info), raising=False)
    for key, value in environment.items():
        patch.setenv(key, str(value))
    return SETTINGS[name]()


# ---- settings -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_compose_gives_each_process_settings_it_accepts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = compose()["services"][name]

    settings = _settings(name, service["environment"], monkeypatch)

    assert settings.model_dump()["port"] == PORTS[name]
    assert settings.model_dump()["host"] == "0.0.0.0"
    assert str(PORTS[name]) in service["healthcheck"]["test"][-1]
    assert service["build"]["args"]["SERVICE"] == name


@pytest.mark.parametrize("name", sorted(SETTINGS))
@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_pod_gets_settings_its_process_accepts(folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = rendered(folder)
    [workload] = [item for item in workloads(objects) if item["metadata"]["name"] == name]
    if "vllm" in pod(workload)["containers"][0]["image"]:
        return  # vLLM's own image reads none of our settings

    settings = _settings(name, pod_environment(objects, workload), monkeypatch)

    assert settings.model_dump()["port"] == PORTS[name]
    assert settings.model_dump()["host"] == "0.0.0.0"


def test_addresses_in_the_manifests_name_services_that_exist(base: Objects) -> None:
    config = of_kind(base, "ConfigMap")[0]["data"]
    ports = {item["metadata"]["name"]: item["spec"]["ports"][0]["port"] for item in of_kind(base, "Service")}

    assert config["REDIS_URL"] == f"redis://redis:{ports['redis']}/0"
    assert config["MODEL_URL"] == f"http://model:{ports['model']}"
    assert config["RETRIEVAL_URL"] == f"http://retrieval:{ports['retrieval']}"


def test_a_misspelt_variable_in_a_manifest_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**compose()["services"]["worker"]["environment"], "WORKER_SLOT": "4"}

    with pytest.raises(ValueError, match="WORKER_SLOT"):
        _settings("worker", environment, monkeypatch)


def test_the_example_environment_is_what_the_settings_classes_say() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == example(), "run `make env`"


# ---- manifests ----------------------------------------------------------------------------


def test_core_kinds_are_valid(objects: Objects) -> None:
    for item in objects:
        if item["kind"] != "ScaledObject":
            kubernetes_validate.validate(item, KUBERNETES, strict=True)


def test_scaled_objects_are_valid(objects: Objects) -> None:
    for item in of_kind(objects, "ScaledObject"):
        jsonschema.validate(item, SCALED_OBJECT)


def test_the_schema_of_scaled_objects_refuses_a_misspelt_field(base: Objects) -> None:
    broken = json.loads(json.dumps(named(base, "ScaledObject", "worker")))
    broken["spec"]["maxReplicas"] = broken["spec"].pop("maxReplicaCount")

    with pytest.raises(jsonschema.ValidationError, match="maxReplicas"):
        jsonschema.validate(broken, SCALED_OBJECT)


def test_no_pod_gets_service_links_or_a_token_or_root(objects: Objects) -> None:
    for workload in workloads(objects):
        spec = pod(workload)

        assert spec["enableServiceLinks"] is False
        # The trainer makes Jobs; nobody else has anything to say to the API server.
        assert spec["automountServiceAccountToken"] is (workload["metadata"]["name"] == "trainer")
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_probes_ask_three_different_questions(objects: Objects) -> None:
    for workload in workloads(objects):
        container = pod(workload)["containers"][0]
        asked = [json.dumps(_question(container[f"{kind}Probe"])) for kind in ("startup", "readiness", "liveness")]

        assert len(set(asked)) == 3, workload["metadata"]["name"]


def _question(probe: dict[str, Any]) -> dict[str, Any]:
    return {key: probe[key] for key in ("httpGet", "tcpSocket", "exec") if key in probe}


def test_liveness_never_asks_about_dependencies(base: Objects) -> None:
    for workload in workloads(base):
        probe = pod(workload)["containers"][0]["livenessProbe"]

        assert probe.get("httpGet", {}).get("path") != "/readyz"


def test_every_workload_has_a_service_and_a_disruption_budget(objects: Objects) -> None:
    names = {item["metadata"]["name"] for item in workloads(objects)}

    assert names == {"redis", "retrieval", "model", "orchestrator", "worker", "trainer"}
    assert names | {"model-replicas"} == {item["metadata"]["name"] for item in of_kind(objects, "Service")}
    assert names == {item["metadata"]["name"] for item in of_kind(objects, "PodDisruptionBudget")}


def test_selectors_choose_the_pods_they_mean(objects: Objects) -> None:
    labels = {item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"] for item in workloads(objects)}

    for service in of_kind(objects, "Service"):
        name = service["metadata"]["name"].removesuffix("-replicas")
        assert service["spec"]["selector"].items() <= labels[name].items()
    for budget in of_kind(objects, "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels[budget["metadata"]["name"]].items()


def test_pods_run_the_modules_that_exist(base: Objects) -> None:
    for workload in workloads(base):
        command = pod(workload)["containers"][0]["command"]
        if command[0] == "python":
            assert importlib.util.find_spec(command[2]) is not None


def test_jobs_of_the_trainer_find_the_config_map_and_the_claim_they_name(objects: Objects) -> None:
    settings = TrainerSettings(image="trainer:1")
    record = JobRecord(job_id="tj_20260101000000_0a1b2c", created_at=0, config=example_config(), rollouts_root="r")
    spec = pod(job_manifest(record, settings))

    maps = [source["configMapRef"]["name"] for source in spec["containers"][0]["envFrom"] if "configMapRef" in source]
    claims = [one["persistentVolumeClaim"]["claimName"] for one in spec["volumes"] if "persistentVolumeClaim" in one]

    for name in maps:
        named(objects, "ConfigMap", name)
    for name in claims:
        named(objects, "PersistentVolumeClaim", name)
    mounted = named(objects, "ConfigMap", "wideseek-trainer")["data"]
    assert mounted["WIDESEEK_HOME"] == spec["containers"][0]["volumeMounts"][0]["mountPath"]
    assert mounted["TRAINER_IMAGE"].startswith("wideseek-trainer")


def test_the_trainer_may_make_jobs_and_nothing_else(base: Objects) -> None:
    role = named(base, "Role", "trainer")

    asked = {(group, kind) for rule in role["rules"] for group in rule["apiGroups"] for kind in rule["resources"]}
    assert asked == {("batch", "jobs"), ("trainer.kubeflow.org", "trainjobs")}
    assert all("*" not in rule["verbs"] for rule in role["rules"])


def test_trainer_orchestrator_and_gpu_engines_share_one_volume() -> None:
    objects = rendered("overlays/gpu")

    for name in ("trainer", "orchestrator", "model"):
        spec = pod(named(objects, "Deployment", name))
        claims = {
            one["name"]: one["persistentVolumeClaim"]["claimName"]
            for one in spec["volumes"]
            if "persistentVolumeClaim" in one
        }
        mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
        assert claims["state"] == "wideseek-state"
        assert mounts["state"] == "/var/lib/wideseek"


def test_a_worker_is_given_longer_to_stop_than_its_subagents_get(base: Objects) -> None:
    worker = named(base, "Deployment", "worker")
    soft_stop = SETTINGS["worker"].model_fields["soft_shutdown_timeout_s"].default

    assert pod(worker)["terminationGracePeriodSeconds"] == 75
    assert pod(worker)["terminationGracePeriodSeconds"] > soft_stop
    assert compose()["services"]["worker"]["stop_grace_period"] == "75s"


def test_redis_keeps_everything_wherever_it_runs(base: Objects) -> None:
    in_compose = compose()["services"]["redis"]["command"]
    in_cluster = pod(named(base, "StatefulSet", "redis"))["containers"][0]["command"]

    for command in (in_compose, in_cluster):
        assert command[command.index("--appendonly") + 1] == "yes"
        assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_no_pod_may_reach_the_internet(objects: Objects) -> None:
    policies = of_kind(objects, "NetworkPolicy")
    denied = [item for item in policies if item["spec"]["podSelector"] == {} and "egress" not in item["spec"]]

    assert [item["metadata"]["name"] for item in denied] == ["default-deny"]
    for policy in policies:
        for rule in policy["spec"].get("egress", ()):
            assert rule["to"], "a rule without a target allows every address"
            assert not any("ipBlock" in target for target in rule["to"])


def test_the_gpu_overlay_serves_vllm_on_a_gpu() -> None:
    container = pod(named(rendered("overlays/gpu"), "Deployment", "model"))["containers"][0]

    assert container["image"].startswith("vllm/vllm-openai:")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert f"--port={PORTS['model']}" in container["args"]


def test_a_volume_has_one_source(objects: Objects) -> None:
    # The API server refuses two, which merging a patch into the base's volume of the same name leaves.
    for workload in workloads(objects):
        for volume in pod(workload).get("volumes", ()):
            assert len(volume) == 2, (workload["metadata"]["name"], volume)


def test_compose_starts_each_service_after_what_it_needs() -> None:
    services = compose()["services"]

    for name in ("orchestrator", "worker", "trainer"):
        conditions = {need: how["condition"] for need, how in services[name]["depends_on"].items()}
        assert conditions == dict.fromkeys(("redis", "retrieval", "model"), "service_healthy")
    assert all("healthcheck" in service for service in services.values())


@pytest.mark.parametrize("file", ["services/Dockerfile", "services/model/Dockerfile"])
def test_images_run_as_nobody_in_particular_and_stop_on_sigterm(file: str) -> None:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    commands = [line for line in lines if line.startswith(("CMD", "ENTRYPOINT"))]

    assert "STOPSIGNAL SIGTERM" in lines
    assert any(line.startswith("USER 10001") for line in lines)
    assert all(json.loads(line.split(" ", 1)[1]) is not None for line in commands)


def test_the_image_of_a_service_runs_that_service() -> None:
    text = (ROOT / "services" / "Dockerfile").read_text("utf-8")

    for name in SETTINGS:
        stage = text.split(f"FROM runtime AS {name}\n")[1].split("FROM ")[0]
        assert f'CMD ["python", "-m", "services.{name}.main"]' in stage
        assert f"EXPOSE {PORTS[name]}" in stage


# ---- scaling ------------------------------------------------------------------------------


def _replicas(query: str, threshold: float, pages: list[str]) -> int:
    """What KEDA asks for with metricType AverageValue."""
    value = evaluate(query, pages)
    return math.ceil((value or 0) / threshold)


def _worker_page(in_flight: int, slots: int = 128) -> str:
    metrics = WorkerMetrics()
    metrics.in_flight.set(in_flight)
    metrics.slots.set(slots)
    return generate_latest(metrics.registry).decode()


def _orchestrator_page(waiting: int) -> str:
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    metrics = Metrics(CollectorRegistry())
    metrics.queue_depth.set(waiting)
    return generate_latest(metrics.registry).decode()


@pytest.mark.parametrize(
    ("in_flight", "waiting", "replicas"),
    [([0, 0], 0, 0), ([1], 0, 1), ([102], 0, 1), ([103], 0, 2), ([128, 128], 256, 5), ([128], 1_000, 12)],
)
def test_workers_follow_the_work_that_live_metrics_tell(
    base: Objects, in_flight: list[int], waiting: int, replicas: int
) -> None:
    trigger = named(base, "ScaledObject", "worker")["spec"]["triggers"][0]["metadata"]
    pages = [*map(_worker_page, in_flight), _orchestrator_page(waiting), _orchestrator_page(waiting)]

    wanted = _replicas(trigger["query"], float(trigger["threshold"]), pages)

    assert wanted == replicas


def test_the_scaler_knows_how_many_workers_there_may_be(base: Objects) -> None:
    spec = named(base, "ScaledObject", "worker")["spec"]

    assert 1 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    assert "replicas" not in named(base, "Deployment", "worker")["spec"]
