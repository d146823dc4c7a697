"""Fixtures all kinds of tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import on_ci, running_redis

# A busy machine is no bug: no example is timed. All else stays as it is, on CI hypothesis' own settings for it.
settings.register_profile("untimed", parent=settings.default, deadline=None)
settings.load_profile("untimed")

_MAY_SKIP = {"gpu", "shared_data"}
"""Marks whose tests may be skipped on CI; any other skip there means that something was not tested."""


class _Skips:
    """Keeps the tests that were skipped and must not be."""

    def __init__(self) -> None:
        self.tests: list[str] = []

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Remember the report of a skip that nothing excuses."""
        if report.skipped and not hasattr(report, "wasxfail") and not _MAY_SKIP & set(report.keywords):
            self.tests.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.tests and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.tests:
            terminalreporter.section("skipped on CI, which counts as failed", red=True)
            for test in self.tests:
                terminalreporter.line(test)


def pytest_configure(config: pytest.Config) -> None:
    if on_ci():
        config.pluginmanager.register(_Skips(), "wideseek-skips")


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
