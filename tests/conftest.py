"""Fixtures all kinds of tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import running_redis


@pytest.fixture(scope="session")
def redis_server() -> Iterator[int]:
    """The port of a real server, one a session; keys are kept apart by `WIDESEEK_ENV`-like prefixes or `redis_url`."""
    with running_redis() as port:
        yield port


@pytest.fixture
def redis_url(redis_server: int) -> str:
    """A URL of the session's server, emptied for this test."""
    from redis import Redis  # noqa: PLC0415

    url = f"redis://127.0.0.1:{redis_server}/0"
    with Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora and tasks beside the checkout; the test is skipped where it is absent."""
    given = os.environ.get("WIDESEEK_SHARED_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("shared data is absent")
    return folder
