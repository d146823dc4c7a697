"""`wideseek ask` as people run it: a process, its two streams, its exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.ask import make_request
from tests.integration.fake_orchestrator import serving
from tests.servers import free_port, wait_until
from wideseek.contracts import PromptProfile
from wideseek.tables import parse_markdown_table

COMMAND = [sys.executable, "-m", "services.cli.main"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of an orchestrator whose runs follow a script."""
    with serving() as address:
        yield address


def wideseek(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=False
    )


def test_the_table_goes_to_standard_output_and_the_rest_elsewhere(url: str) -> None:
    done = wideseek("ask", "Capitals of Peru and Chile", "--url", url)

    table = parse_markdown_table(done.stdout)
    assert done.returncode == 0
    assert table is not None
    assert table.rows == (("Peru", "Lima"), ("Chile", "Santiago"))
    assert "✓ completed" in done.stderr
    assert "4 of 4 cells" in done.stderr


def test_columns_and_the_format_are_passed_on(url: str) -> None:
    done = wideseek("ask", "Capitals?", "--url", url, "--columns", "Land, Seat", "--format", "json")

    assert json.loads(done.stdout)["columns"] == ["Land", "Seat"]


def test_the_profile_is_the_clusters_unless_it_is_named(url: str) -> None:
    done = wideseek("ask", "Capitals?", "--url", url, "--profile", "compact")

    assert done.returncode == 0
    assert make_request("Capitals?", None, None, "compact").prompt_profile is PromptProfile.COMPACT
    assert make_request("Capitals?", None, None).prompt_profile is None


def test_csv_is_nothing_but_the_table(url: str) -> None:
    done = wideseek("ask", "Capitals?", "--url", url, "--format", "csv")

    assert done.stdout.splitlines() == ["Country,Capital", "Peru,Lima", "Chile,Santiago"]


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [("meets its deadline", 3, "incomplete: deadline"), ("fails", 4, "failed: model: refused")],
)
def test_the_exit_code_tells_how_the_run_ended(url: str, query: str, code: int, said: str) -> None:
    done = wideseek("ask", query, "--url", url)

    assert done.returncode == code
    assert said in done.stderr


def test_ctrl_c_cancels_the_run_and_says_so(url: str, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as errors:
        process = subprocess.Popen(
            [*COMMAND, "ask", "endless", "--url", url], stdout=subprocess.DEVNULL, stderr=errors, env=ENVIRONMENT
        )
        wait_until(lambda: "2 of 2 done" in said.read_text(), seconds=30, what="the run to be watched")
        process.send_signal(signal.SIGINT)

        assert process.wait(30) == 5
    assert "cancelling the run" in said.read_text()
    assert "■ cancelled" in said.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "  "], "query: must contain more than white space"),
        (["ask", "Capitals?", "--columns", "A,a"], "wideseek: columns: names must differ"),
        (["ask", "Capitals?", "--columns", ","], "columns: "),
        (["ask", "x" * 16_001], "at most 16000 characters"),
        (["ask", "Capitals?", "--profile", "terse"], "prompt_profile: Input should be 'full' or 'compact'"),
        (["ask", "Capitals?", "--format", "pdf"], "this release writes md, csv, json"),
        (["ask"], "Missing argument 'query'"),
        (["ask", "Capitals?", "--timeout", "0"], "--timeout"),
        (["up", "--model", "gpt"], "expected expert, smollm2 or an http"),
        (["up", "--workers", "none"], "Invalid value for '--workers'"),
        (["seek"], "No such command 'seek'"),
    ],
)
def test_bad_input_ends_in_one_line(arguments: list[str], said: str) -> None:
    done = wideseek(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_an_orchestrator_that_is_not_there_is_named_with_what_to_do() -> None:
    address = f"http://127.0.0.1:{free_port()}"

    done = wideseek("ask", "Capitals?", "--url", address)

    assert done.returncode == 1
    assert done.stderr.startswith(f"wideseek: no orchestrator at {address} (Connection refused): start a cluster")


def test_help_lists_every_command() -> None:
    done = wideseek("--help")

    assert done.returncode == 0
    assert all(name in done.stdout for name in ("up", "down", "ask", "doctor", "demo", "index"))
