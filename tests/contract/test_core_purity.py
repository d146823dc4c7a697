"""The core is importable with nothing but pydantic and protobuf: agents and maths need no framework."""

import json
import pkgutil
import subprocess
import sys

import wideseek

FOREIGN = {
    "bm25s", "celery", "faiss", "fastapi", "gguf", "httpx", "kombu", "numpy", "prometheus_client", "redis",
    "sentence_transformers", "services", "starlette", "structlog", "tokenizers", "torch", "transformers",
    "typer", "uvicorn", "vllm", "yaml",
}  # fmt: skip
_REPORT = "import importlib, json, sys; [importlib.import_module(m) for m in sys.argv[1:]]; print(json.dumps(list(sys.modules)))"  # noqa: E501


def _modules(*, clients: bool) -> list[str]:
    """Modules by kind; without the official scorer, which is pandas' reading of tables and imported for it alone."""
    found = [module.name for module in pkgutil.walk_packages(wideseek.__path__, "wideseek.")]
    found = [name for name in found if not name.startswith("wideseek.official")]
    return ["wideseek", *(name for name in found if name.startswith("wideseek.clients") == clients)]


def _imported(modules: list[str]) -> set[str]:
    """Top-level names that a fresh interpreter has after importing these modules."""
    done = subprocess.run([sys.executable, "-c", _REPORT, *modules], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_core_imports_no_framework() -> None:
    imported = _imported(_modules(clients=False))

    assert not imported & FOREIGN


def test_the_clients_import_httpx_and_nothing_else_of_the_kind() -> None:
    imported = _imported(_modules(clients=True))

    assert imported & FOREIGN <= {"httpx"}
