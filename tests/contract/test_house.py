"""House rules that a linter does not know: sizes, words, links, and what CI may skip."""

import ast
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_MODULE, MAX_FUNCTION, MOST_FUNCTIONS = 300, 60, 25
_FORBIDDEN = re.compile(r"\b(planner|supervisor agent|sub_agents?|sub-agents?|subquer(?:y|ies)|knowledge base)\b", re.I)
"""Words that the glossary replaces: lead, subagent, subtask, corpus."""
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_NARRATES = re.compile(r"(?:#|\"\"\")\s*(?:TODO|FIXME|XXX|HACK)\b")


def _sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if ROOT / "wideseek" / "v1" not in path.parents]


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def _documents() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in _sources("wideseek", "services")}
    long = {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > MAX_MODULE}

    assert not long
    assert statistics.median(sizes.values()) <= 110


def test_functions_are_short() -> None:
    sizes = [pair for path in _sources("wideseek", "services") for pair in _functions(path)]
    long = {name: size for name, size in sizes if size > MAX_FUNCTION}

    assert not long
    assert statistics.quantiles([size for _, size in sizes], n=10)[8] <= MOST_FUNCTIONS


def test_a_thing_has_one_name() -> None:
    files = [*_sources("wideseek", "services"), *_documents(), *sorted((ROOT / "proto").rglob("*.proto"))]
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if _FORBIDDEN.search(line)
    ]

    assert not found


def test_nothing_is_left_for_later_in_the_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _sources("wideseek", "services", "benchmarks")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if _NARRATES.search(line)
    ]

    assert not found


@pytest.mark.parametrize("document", _documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_documents_lead_somewhere(document: Path) -> None:
    targets = [target for target in _LINK.findall(document.read_text("utf-8")) if "://" not in target]
    broken = [target for target in targets if not (document.parent / target).exists()]

    assert not broken


def test_make_help_lists_every_target_a_person_calls() -> None:
    said = subprocess.run(["make", "-s", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    listed = {line.split()[0] for line in said.splitlines() if line.startswith("  ")}

    assert {"setup", "setup-model", "demo", "test", "check", "up", "down", "bench", "help", "proto", "env"} <= listed


@pytest.mark.parametrize(
    ("mark", "ci", "code"),
    [("", "true", 1), ("", "", 0), ("@pytest.mark.gpu", "true", 0), ("@pytest.mark.shared_data", "true", 0)],
)
def test_a_skip_on_ci_counts_as_failed_unless_it_is_excused(tmp_path: Path, mark: str, ci: str, code: int) -> None:
    (tmp_path / "test_it.py").write_text(f"import pytest\n{mark}\ndef test_it():\n    pytest.skip('no')\n", "utf-8")
    config = f"--rootdir={ROOT} -c {ROOT / 'pyproject.toml'} -p tests.conftest -p no:cacheprovider"
    command = [sys.executable, "-m", "pytest", *config.split(), str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "CI": ci}, capture_output=True, text=True, check=False)

    assert done.returncode == code, done.stdout
    assert ("counts as failed" in done.stdout) == bool(code)
