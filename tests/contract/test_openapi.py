"""The committed OpenAPI document is what the door answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.orchestrator.openapi import document
from services.trainer import openapi as trainer_openapi
from services.trainer.jobs.views import Job, JobRequest
from wideseek.contracts import Problem, Run, RunRequest
from wideseek.tables import Table

SNAPSHOT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
PUBLIC = "/v1/widesearch"


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    paths = json.loads(SNAPSHOT.read_text())["paths"]
    return {
        operation["operationId"]: operation
        for path, methods in paths.items()
        if path.startswith(PUBLIC)
        for operation in methods.values()
    }


def test_the_committed_document_is_current() -> None:
    command = "python -m services.orchestrator.openapi > docs/openapi.json"

    assert SNAPSHOT.read_text() == document(), f"regenerate it: {command}"


def test_operation_ids_are_the_published_ones(operations: dict[str, dict[str, Any]]) -> None:
    assert set(operations) == {"createRun", "getRun", "streamRunEvents", "getRunTable", "cancelRun"}


def test_every_request_example_is_a_request(operations: dict[str, dict[str, Any]]) -> None:
    examples = operations["createRun"]["requestBody"]["content"]["application/json"]["examples"]

    requests = [RunRequest.model_validate(example["value"]) for example in examples.values()]

    assert len(requests) >= 3


def test_every_answer_has_an_example_that_is_one(operations: dict[str, dict[str, Any]]) -> None:
    answers: TypeAdapter[Run | Table] = TypeAdapter(Run | Table)

    for name, operation in operations.items():
        for status, response in operation["responses"].items():
            content = response["content"]
            if int(status) < 400:
                assert all("example" in media for media in content.values()), (name, status)
                if "application/json" in content:
                    answers.validate_python(content["application/json"]["example"])


def test_every_problem_is_problem_json_with_examples(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                (media,) = response["content"].items()
                assert media[0] == "application/problem+json", (name, status)
                problems = [Problem.model_validate(each["value"]) for each in media[1]["examples"].values()]
                assert {problem.status for problem in problems} == {int(status)}


def test_the_admin_api_s_document_is_current_and_its_examples_are_requests() -> None:
    path = SNAPSHOT.with_name("openapi-trainer.json")

    assert path.read_text() == trainer_openapi.document(), "regenerate it: make openapi"
    paths = json.loads(path.read_text())["paths"]
    create = paths["/v1/admin/training-jobs"]["post"]
    examples = create["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        JobRequest.model_validate_json(json.dumps(example["value"]))
    Job.model_validate(create["responses"]["202"]["content"]["application/json"]["example"])
    for operations in (paths[one] for one in paths if one.startswith("/v1/admin/")):
        assert all({"401", "403"} <= set(operation["responses"]) for operation in operations.values())
