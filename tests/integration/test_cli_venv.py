"""The environment of vLLM is built by the real pip, which here may look nowhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from services.cli.console import CommandError, notes
from services.cli.venv import build, ensure_model_environment


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pip from any index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def wheel(folder: Path, name: str) -> Path:
    """A wheel with one empty module."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def imports(folder: Path, module: str) -> bool:
    return subprocess.run([folder / "bin/python", "-c", f"import {module}"], check=False).returncode == 0


def test_an_environment_holds_what_was_asked_for_and_not_what_came_along(
    offline: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, wheels = tmp_path / "venv", [str(wheel(tmp_path, name)) for name in ("engine", "extra")]

    build(folder, notes(), tmp_path / "log", wheels, ["extra"])

    assert imports(folder, "engine")
    assert not imports(folder, "extra")
    assert "ready after" in capsys.readouterr().err


def test_a_package_that_pip_cannot_find_is_answered_with_the_setting_to_change(offline: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="PIP_EXTRA_INDEX_URL") as failed:
        build(tmp_path / "venv", notes(), tmp_path / "log", ["no-such-engine"])

    assert "No matching distribution found for no-such-engine" in str(failed.value)


def test_an_interpreter_that_lacks_vllm_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODEL_PYTHON", sys.executable)

    with pytest.raises(CommandError, match="no interpreter there that can import vllm"):
        ensure_model_environment(notes(), tmp_path)
