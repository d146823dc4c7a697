"""The Kubernetes launcher against an API server that keeps objects and validates them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from kubernetes import client

from services.trainer.folder import JobFolder
from services.trainer.jobs.book import JobBook
from services.trainer.jobs.kubernetes import KubernetesLauncher
from services.trainer.jobs.manifests import job_manifest, object_name
from services.trainer.settings import TrainerSettings
from tests.servers import free_port
from tests.trainer_parts import job
from wideseek.errors import Conflict, TrainerUnavailable

SCHEMAS = Path(__file__).parents[1] / "contract" / "schemas"
TRAINJOB = json.loads((SCHEMAS / "trainjob.trainer.kubeflow.org.json").read_text("utf-8"))
SETTINGS = TrainerSettings(image="registry.example/trainer:1", namespace="lab")


class ApiServer(BaseHTTPRequestHandler):
    """Creates, refuses twice, deletes: what the launcher needs of Kubernetes."""

    objects: dict[str, dict[str, Any]]
    forbidden: bool

    def do_POST(self) -> None:  # the base class calls it so
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = f"{self.path}/{body['metadata']['name']}"
        if self.forbidden:
            return self._answer(403, {"kind": "Status", "message": "jobs is forbidden"})
        if path in self.objects:
            return self._answer(409, {"kind": "Status"})
        if body["kind"] == "Job":
            kubernetes_validate.validate(body, "1.33", strict=True)
        else:
            jsonschema.validate(body, TRAINJOB)
        self.objects[path] = body
        return self._answer(201, body)

    def do_DELETE(self) -> None:  # the base class calls it so
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = self.objects.pop(self.path.split("?", maxsplit=1)[0], None)
        self._answer(200 if found else 404, {"kind": "Status"})

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def api_server(*, forbidden: bool = False) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    objects: dict[str, dict[str, Any]] = {}
    handler = type("Handler", (ApiServer,), {"objects": objects, "forbidden": forbidden})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", objects
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def launcher(url: str) -> Iterator[KubernetesLauncher]:
    configuration = client.Configuration(host=url)
    configuration.retries = False
    with client.ApiClient(configuration) as api:
        yield KubernetesLauncher(SETTINGS, api)
        api.rest_client.pool_manager.clear()


def folder(tmp_path: Path, **values: Any) -> JobFolder:
    return JobBook(tmp_path / "jobs", "s3://bucket/rollouts").create(job(tmp_path, **values))


async def test_a_job_becomes_a_kubernetes_job_and_is_deleted_again(tmp_path: Path) -> None:
    made = folder(tmp_path)
    record = made.record()
    path = f"/apis/batch/v1/namespaces/lab/jobs/{object_name(record)}"

    with api_server() as (url, objects), launcher(url) as kubernetes:
        await kubernetes.start(record, made)
        started = dict(objects)
        await kubernetes.start(record, made)
        await kubernetes.stop(record, made)
        await kubernetes.stop(record, made)

    container = started[path]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/trainer:1"
    assert container["command"][-1].endswith(f"/jobs/{record.job_id}")
    assert objects == {}


async def test_several_nodes_learn_in_a_trainjob_that_the_conductor_waits_for(tmp_path: Path) -> None:
    made = folder(tmp_path, hardware={"launcher": "trainjob", "nodes": 2, "processes": 8, "device": "cuda"})
    record = made.record()

    with api_server() as (url, objects), launcher(url) as kubernetes:
        await kubernetes.start(record, made)

    kinds = {item["kind"]: item for item in objects.values()}
    trainer = kinds["TrainJob"]["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 8)
    assert trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == "8"
    conductor = kinds["Job"]["spec"]["template"]["spec"]["containers"][0]
    assert conductor["command"][-2:] == ["--learner", "external"]
    assert "nvidia.com/gpu" not in conductor["resources"]["limits"]


async def test_an_accelerator_is_asked_for_unless_the_job_is_a_cpu_s(tmp_path: Path) -> None:
    limits = [
        job_manifest(folder(tmp_path, policy=device, hardware={"device": device}).record(), SETTINGS)["spec"][
            "template"
        ]["spec"]["containers"][0]["resources"]["limits"]
        for device in ("cpu", "cuda")
    ]

    assert ["nvidia.com/gpu" in item for item in limits] == [False, True]


async def test_an_api_server_that_is_down_is_an_outage(tmp_path: Path) -> None:
    made = folder(tmp_path)

    with launcher(f"http://127.0.0.1:{free_port()}") as kubernetes, pytest.raises(TrainerUnavailable, match="reached"):
        await kubernetes.start(made.record(), made)


async def test_a_service_account_without_rights_is_said_so(tmp_path: Path) -> None:
    made = folder(tmp_path)

    with api_server(forbidden=True) as (url, _), launcher(url) as kubernetes, pytest.raises(Conflict, match="may not"):
        await kubernetes.start(made.record(), made)
