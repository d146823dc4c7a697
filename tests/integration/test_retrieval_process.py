"""The real process, from a bare folder: the bundled corpus is built, served, and served quickly the next time."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers import free_port, wait_until


@contextmanager
def _process(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, "WIDESEEK_HOME": str(home), "RETRIEVAL_PORT": str(port), "RETRIEVAL_BUNDLED": "lexical"}
    with (home / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "services.retrieval.main"], env=env, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _get(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"} if data else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answered:
            return answered.status, json.load(answered)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except urllib.error.URLError:
        return 0, None


def _first_title(port: int, query: str) -> str | None:
    status, answered = _get(port, "/v1/search", {"queries": [query]})
    return answered["results"][0][0]["title"] if status == 200 else None


def test_a_bare_folder_becomes_a_served_corpus_and_a_second_start_is_quick(tmp_path: Path) -> None:
    port = free_port()

    with _process(tmp_path, port):
        wait_until(lambda: _get(port, "/healthz")[0] == 200, seconds=30, what="the process to listen")
        wait_until(lambda: _get(port, "/readyz")[0] == 200, seconds=120, what="the bundled index")
        region = _first_title(port, "Countries of Central America and the Caribbean")
        _, accessed = _get(port, "/v1/access", {"urls": ["factbook:africa/ml"], "info_to_extract": "total area"})

    with _process(tmp_path, port):
        started = time.monotonic()
        wait_until(lambda: _first_title(port, "Mali") == "Mali", seconds=30, what="a lexical answer")
        seconds = time.monotonic() - started

    page, first = accessed["results"][0]["page"], accessed["results"][0]["passages"][2]
    assert region == "Countries of Central America and the Caribbean"
    assert page["text"][first["start"] : first["end"]] == "Area > total: 1,240,192 sq km"
    assert seconds < 10  # 3 s on an idle machine; this one may be shared


def test_a_misspelt_setting_stops_the_process(tmp_path: Path) -> None:
    env = {**os.environ, "WIDESEEK_HOME": str(tmp_path), "RETRIEVAL_PROT": "1"}

    command = [sys.executable, "-m", "services.retrieval.main"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode != 0
    assert "RETRIEVAL_PROT" in ended.stderr
