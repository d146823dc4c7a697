"""Packs the adapter a job has made into the folder that is shipped: weights, `POLICY.json`, model card, job files.

The same adapter and files give the same bytes. What a job needs to go on (optimiser, generators) is no adapter's and is
not packed.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from services.model.adapter import Adapter
from services.model.bundled import file_sha256
from services.model.card import model_card
from services.model.merging import MODEL_FILE, base_sha256
from services.model.shipped import CARD, CONFIG, WEIGHTS, PolicyCard, TrainedBy, UnusableAdapter, check_name
from services.model.tensors import TensorFile, UnreadableTensors, write_tensors
from wideseek.contracts import PromptProfile

MAX_BYTES = 20_000_000
"""What the weights of a shipped policy may take."""

README = "README.md"
_JOB_FILE = re.compile(r"^[A-Za-z0-9][\w.-]*\.toml$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


class _Claim(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    base_sha256: str = ""


@dataclass(frozen=True)
class Provenance:
    """What is to be said of a policy beside its weights."""

    name: str
    prompt_profile: PromptProfile | None = None
    configs: Sequence[Path] = ()
    """Files of the jobs that made it, in their order."""
    data_sha256: Sequence[str] = ()
    """Hashes of what it was trained on."""
    results: dict[str, Any] = field(default_factory=dict)
    """Numbers by name, nested as one likes."""
    temperature: float | None = None
    """What it is sampled with where a request says nothing."""


def pack(adapter: Path, base: Path, said: Provenance, out: Path, *, max_bytes: int = MAX_BYTES) -> PolicyCard:
    """Write the folder `out`, in place of a policy that was packed there before, all of it or nothing.

    `base` is the folder of the weights that will serve it. Raises `UnusableAdapter` for an adapter of another kind or
    base, one of more than `max_bytes`, job files and hashes that are none, and where `out` holds something else.
    """
    _check(said)
    found = Adapter.open(adapter)
    found.check_base(TensorFile.open(base / MODEL_FILE).shapes)
    sha256 = base_sha256(base)
    claimed = trained_on(adapter)
    if claimed and claimed != sha256:
        raise UnusableAdapter(
            f"{adapter} was trained on the base {claimed[:12]}, {base} is {sha256[:12]}: only a policy of the bundled "
            'base is shipped; train it again with model.base = "smollm2"'
        )
    with _replacing(out) as folder:
        _write_weights(found, folder, max_bytes)
        card = PolicyCard(
            name=said.name,
            base_sha256=sha256,
            adapter_sha256=file_sha256(folder / WEIGHTS),
            prompt_profile=said.prompt_profile,
            temperature=said.temperature,
            data_sha256=tuple(said.data_sha256),
            configs=tuple(_copied(path, folder) for path in said.configs),
            results=said.results,
        )
        (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")
        size = (folder / WEIGHTS).stat().st_size
        (folder / README).write_text(model_card(card, found.settings, size), "utf-8")
    return card


def trained_on(adapter: Path) -> str:
    """The base that an adapter's surroundings name: a published version's record, or a job's checkpoint; else empty."""
    for path in (adapter / CARD, adapter.parent / "checkpoint.json"):
        if path.is_file():
            try:
                return _Claim.model_validate_json(path.read_bytes()).base_sha256
            except ValidationError as error:
                raise UnusableAdapter(f"{path} cannot be read: {error.errors()[0]['msg']}") from error
    return ""


def _check(said: Provenance) -> None:
    check_name(said.name)
    for value in said.data_sha256:
        if not _SHA256.match(value):
            raise UnusableAdapter(f"{value!r} is no SHA-256: 64 hexadecimal digits, in lower case")
    names = [path.name for path in said.configs]
    for path in said.configs:
        if not path.is_file():
            raise UnusableAdapter(f"{path} is no file: name the TOML files of the jobs that made the policy")
        if not _JOB_FILE.match(path.name) or names.count(path.name) > 1:
            raise UnusableAdapter(f"{path} is packed as {path.name}: job files are named differently, and end in .toml")


def _write_weights(adapter: Adapter, folder: Path, max_bytes: int) -> None:
    try:
        tensors = {name: adapter.tensors.bfloat16(name) for name in adapter.tensors.entries}
    except UnreadableTensors as error:
        raise UnusableAdapter(str(error)) from error
    write_tensors(tensors, folder / WEIGHTS)
    size = (folder / WEIGHTS).stat().st_size
    if size > max_bytes:
        raise UnusableAdapter(
            f"{adapter.folder} takes {size / 1e6:.1f} MB in bfloat16, {max_bytes / 1e6:g} MB may be shipped: "
            "train it with a smaller model.lora_rank"
        )
    settings: dict[str, Any] = json.loads((adapter.folder / CONFIG).read_text("utf-8"))
    # A path of the machine it was trained on says nothing elsewhere; `POLICY.json` names the base by its hash.
    settings["base_model_name_or_path"] = None
    (folder / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")


def _copied(path: Path, folder: Path) -> TrainedBy:
    data = path.read_bytes()
    (folder / path.name).write_bytes(data)
    return TrainedBy(file=path.name, sha256=hashlib.sha256(data).hexdigest())


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place at the block's end; what was there is away only for a moment."""
    if out.exists() and not (out / CARD).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise UnusableAdapter(f"{out} is there and holds no {CARD}: name a new folder, or one that was packed before")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    old = folder.with_name(f"{folder.name}-old")
    try:
        yield folder
        folder.chmod(0o755)
        if out.exists():
            os.rename(out, old)
        os.rename(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
