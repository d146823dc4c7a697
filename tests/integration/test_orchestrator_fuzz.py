"""Whatever is sent to the door, it answers as its OpenAPI document says."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.orchestrator.openapi import document
from tests.integration.orchestrator_replica import replica
from tests.servers import running_redis

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
schema = schemathesis.openapi.from_dict(json.loads(document())).include(path_regex="^/v1/")


@pytest.fixture(scope="module")
def door() -> Iterator[str]:
    """The address of a replica with a thread, a loop and a Redis of its own."""
    with running_redis() as port, serving(f"redis://127.0.0.1:{port}/0") as url:
        yield url


@contextmanager
def serving(redis_url: str) -> Iterator[str]:
    address: list[str] = []
    ready = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        async with replica(redis_url) as orchestrator:
            address.append(str(orchestrator.http.base_url))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10), "the replica does not listen"
        yield address[0]
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(15)


@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_the_door_keeps_its_word(case: Any, door: str) -> None:
    if isinstance(case.body, dict):
        case.body = {**case.body, "wait": 0, "stream": False}
    case.query = {name: value for name, value in (case.query or {}).items() if name != "wait"}

    response = case.call(base_url=door, timeout=10)

    case.validate_response(response, checks=CHECKS)
