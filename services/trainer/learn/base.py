"""The base model of a job: where it lies, whether it is whole, and the hash it goes by. Imports no torch."""

import hashlib
import subprocess
import sys
from pathlib import Path

from wideseek.errors import InvalidRequest, TrainerUnavailable

BUNDLED = "smollm2"
_FIELD = "/model/base"


def resolve_base(base: str, home: Path) -> Path:
    """The folder of a job's base: the bundled model's below `home`, made when absent, or the folder that is named.

    Raises `InvalidRequest` for a folder that is not a whole model, `TrainerUnavailable` when the bundled one
    cannot be made.
    """
    folder = home / "models" / BUNDLED if base == BUNDLED else Path(base)
    if base == BUNDLED and not (folder / "MODEL.json").exists():
        _make_bundled(home)
    for complaint in _missing(folder):
        raise InvalidRequest(f"model.base: {folder} {complaint}", field=_FIELD)
    return folder


def base_sha256(folder: Path) -> str:
    """SHA-256 of the weights: of the one safetensors file, or of lines `<sha256>  <name>` of several, by name."""
    files = weight_files(folder)
    if len(files) == 1:
        return file_sha256(files[0])
    lines = "".join(f"{file_sha256(path)}  {path.name}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, by name."""
    return sorted(folder.glob("*.safetensors"))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _missing(folder: Path) -> list[str]:
    if not folder.is_dir():
        return [f"is no folder; name a model folder, or {BUNDLED} for the bundled model"]
    complaints = []
    if not (folder / "config.json").exists():
        complaints.append("has no config.json; save the model with transformers' save_pretrained")
    if not (folder / "tokenizer.json").exists() and not (folder / "tokenizer_config.json").exists():
        complaints.append("has no tokenizer.json; save the tokenizer into it, the served policy needs it")
    if not weight_files(folder):
        complaints.append("has no *.safetensors; save the weights with transformers' save_pretrained")
    return complaints


def _make_bundled(home: Path) -> None:
    # A process of its own: the model service knows how its weights are made, and services share no code.
    command = [sys.executable, "-m", "services.model.bundled", str(home)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        last = made.stderr.strip().rpartition("\n")[2]
        raise TrainerUnavailable(f"the bundled model could not be made: {last}")
