"""What the documents say is so: commands, options, requests, names and links in them are checked against the code."""

import ast
import importlib
import importlib.util
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer

from services.cli.ask import EXIT_CODES
from services.cli.data import app as data_app
from services.cli.index import app as index_app
from services.cli.main import app
from services.cli.policies import app as policies_app
from services.cli.rollouts import app as rollouts_app
from services.orchestrator.requirements import check_request
from services.orchestrator.tables import Format
from services.retrieval.documents import from_files
from services.trainer.jobs.files import read_job
from services.trainer.jobs.views import JobRequest
from tests.manifests import ROOT, compose
from wideseek.clients.orchestrator import Orchestrator
from wideseek.contracts import Mode, PromptProfile, RunRequest, RunStatus

README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:make|wideseek) [^`…]+)`")
_ASSIGNMENT = re.compile(r"[A-Za-z_]+=")
_VARIABLE = re.compile(r"\b(?:WIDESEEK|ORCHESTRATOR|WORKER|RETRIEVAL|MODEL|REDIS|RUN)_[A-Z_]*[A-Z]\b")
_METRIC = re.compile(r"`(wideseek_[a-z_]+)`")
_GROUPS = {"index": index_app, "data": data_app, "rollouts": rollouts_app, "policies": policies_app}
"""Commands that have commands."""

_BUILTIN = {"source", "cat", "export"}
"""Shell words that need no check."""


def _blocks(document: Path, *languages: str) -> list[str]:
    return [text for language, text in _FENCE.findall(document.read_text("utf-8")) if language in languages]


def _commands(document: Path) -> Iterator[list[str]]:
    """Every command line of the shell blocks, and the `make …` and `wideseek …` of the prose, as words."""
    for block in _blocks(document, "bash", "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and _ASSIGNMENT.match(words[0]):
                words.pop(0)
            if words:
                yield words[: words.index(">")] if ">" in words else words
    prose = _FENCE.sub("", document.read_text("utf-8"))
    yield from (shlex.split(inline) for inline in _INLINE.findall(prose))


def _check(words: list[str]) -> None:
    """Fail unless the command exists and takes these words."""
    name, rest = words[0], words[1:]
    if name == "make":
        assert set(rest) <= _targets(), f"no make target {rest}"
    elif name == "wideseek":
        _check_wideseek(rest)
    elif name == "curl":
        _check_curl(rest)
    elif name == "kubectl":
        assert (ROOT / rest[rest.index("-k") + 1] / "kustomization.yaml").is_file()
    elif name == "docker":
        assert rest[:2] == ["compose", "up"]
        assert {rest[n + 1].split("=")[0] for n, word in enumerate(rest) if word == "--scale"} <= set(_services())
    else:
        assert name in _BUILTIN, f"nobody checks {name}"


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def _services() -> dict[str, Any]:
    services: dict[str, Any] = compose()["services"]
    return services


def _check_wideseek(words: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    if words[0] in _GROUPS:
        group, words = typer.main.get_command(_GROUPS[words[0]]), words[1:]
    command = group.commands[words[0]]
    # Prose may name a command without its arguments.
    command.make_context(words[0], words[1:], resilient_parsing=len(words) == 1)


def _check_curl(words: list[str]) -> None:
    url = urlsplit(next(word for word in words if word.startswith("http")))
    described: dict[str, Any] = {}
    for name in ("openapi.json", "openapi-trainer.json"):
        described |= json.loads((ROOT / "docs" / name).read_text("utf-8"))["paths"]
    path = url.path.replace("$RUN", "{run_id}").replace("$JOB", "{job_id}")
    body = words[words.index("--json") + 1] if "--json" in words else None
    method = words[words.index("-X") + 1].lower() if "-X" in words else "post" if body else "get"

    assert method in described[path], f"{method} {path} is not served"
    assert set(parse_qs(url.query)) <= {each["name"] for each in described[path][method].get("parameters", ())}
    assert set(parse_qs(url.query).get("format", ())) <= set(Format)
    if body and path.startswith("/v1/admin/"):
        JobRequest.model_validate_json(body)
    elif body:
        check_request(RunRequest.model_validate_json(body))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_exists_as_it_is_written(document: Path) -> None:
    for words in _commands(document):
        _check(words)


def test_the_readme_shows_the_commands_a_newcomer_needs() -> None:
    shown = {" ".join(words[:2]) for words in _commands(README)}

    assert {"make demo", "make test", "wideseek up", "wideseek ask", "wideseek down", "wideseek doctor"} <= shown
    assert {"wideseek index", "docker compose", "kubectl apply"} <= shown


def test_json_in_the_readme_is_a_request_that_is_served() -> None:
    requests = [RunRequest.model_validate_json(block) for block in _blocks(README, "json")]

    assert requests
    for request in requests:
        check_request(request)


@pytest.mark.parametrize("document", [README, ROOT / "docs" / "training.md"], ids=lambda path: path.name)
def test_job_files_in_a_document_are_jobs(document: Path, tmp_path: Path) -> None:
    blocks = _blocks(document, "toml")

    assert blocks
    for block in blocks:
        (tmp_path / "job.toml").write_text(block, "utf-8")
        read_job(tmp_path / "job.toml")


def test_json_lines_in_the_readme_are_pages(tmp_path: Path) -> None:
    (block,) = _blocks(README, "jsonl")
    file = tmp_path / "pages.jsonl"
    file.write_text(block, "utf-8")

    assert [page.title for page in from_files([file])()] == ["Ada", "Curie"]


def test_python_in_the_readme_names_what_exists() -> None:
    blocks = _blocks(README, "python")

    assert len(blocks) == 2
    for node in (node for block in blocks for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.Import):
            assert all(importlib.util.find_spec(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "RunRequest":
            RunRequest(**{str(each.arg): ast.literal_eval(each.value) for each in node.keywords})
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("orchestrator."):
            method = getattr(Orchestrator, ast.unparse(node.func).removeprefix("orchestrator."))
            inspect.signature(method).bind(None, *node.args, **{str(each.arg): None for each in node.keywords})


def test_exit_codes_in_the_readme_are_those_of_ask() -> None:
    table = dict(re.findall(r"^\| (\d) \| (.*) \|$", README.read_text("utf-8"), re.MULTILINE))

    assert set(table) == {str(code) for code in EXIT_CODES.values()} | {"1", "2"}
    assert all(status.value in table[str(EXIT_CODES[status])] for status in set(EXIT_CODES) - {RunStatus.FAILED})
    assert "failed" in table[str(EXIT_CODES[RunStatus.FAILED])]


def test_the_readme_names_every_mode_and_profile() -> None:
    named = set(re.findall(r"`(\w+)`", README.read_text("utf-8")))

    assert set(Mode) <= named
    assert {"prompt_profile", *PromptProfile} <= named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_variables_in_a_document_are_read_by_some_process(document: Path) -> None:
    known = set(_VARIABLE.findall((ROOT / ".env.example").read_text("utf-8")))
    commands: Any = typer.main.get_command(app)
    known |= {str(param.envvar) for command in commands.commands.values() for param in command.params if param.envvar}

    assert set(_VARIABLE.findall(document.read_text("utf-8"))) <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_metrics_in_a_document_are_exported(document: Path) -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "services").rglob("*.py")]
    source = "\n".join(text for text in texts if "prometheus_client" in text)

    for metric in _METRIC.findall(document.read_text("utf-8")):
        assert f'"{metric.removesuffix("_total")}' in source, metric
    for name in re.findall(r'"(wideseek_[a-z_]+)"', source) if document.name == "architecture.md" else ():
        assert f"`{name}" in document.read_text("utf-8"), f"{name} is not documented"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_named_in_a_document_are_there(document: Path) -> None:
    named = re.findall(
        r"`((?:wideseek|services|tests|benchmarks|k8s|proto|docs)/[\w./-]+)`", document.read_text("utf-8")
    )

    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")

    assert not [
        path.name for path in (ROOT / "docs").iterdir() if path.name != "README.md" and f"({path.name})" not in index
    ]
