"""A policy worked into the bundled weights, so that its engine need not swap adapters, which costs it a third.

    W' = bfloat16(W + (alpha / r) B A)        the sum in float32, rounded to the nearest, ties to even

Everything that is not adapted keeps its bytes. Source: Hu et al. 2021, "LoRA", section 4.1.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from services.model import bundled
from services.model.adapter import Adapter
from services.model.shipped import CONFIG, NONE, PACK, WEIGHTS, PolicyCard, UnusableAdapter, read_card
from services.model.tensors import Bfloat16, TensorFile, write_tensors

MODEL_FILE = "model.safetensors"
RECORD = "MODEL.json"
GENERATION = "generation_config.json"


def merged(home: Path, policy: Path) -> tuple[Path, str]:
    """The folder of the bundled model with a policy merged into it, made once under `home`, and the policy's name.

    Raises `UnusableAdapter`, `bundled.WeightsMissing`.
    """
    return merge(bundled.materialise(home), policy, bundled.model_folder(home).parent)


def merge(base: Path, policy: Path, models: Path) -> tuple[Path, str]:
    """The folder `<models>/<name>-<hash>` of a base with a policy merged into it, and the policy's name.

    The hash is of base, adapter and temperature; a folder that is there is kept. The link `<models>/<name>` leads to
    it, and `MODEL.json` in it names what it was made of. Raises `UnusableAdapter`.
    """
    card = read_card(policy)
    check_trained_on(card, policy, base)
    adapter = Adapter.open(policy)
    target = models / f"{card.name}-{_digest(base_sha256(base), policy, card)[:12]}"
    if not (target / RECORD).exists():
        with bundled.atomic_folder(target) as folder:
            _write(base, adapter, card, folder)
    _point(models / card.name, target)
    return target, card.name


def check_trained_on(card: PolicyCard, policy: Path, base: Path) -> None:
    """Raise `UnusableAdapter` when a policy says that it was trained on other weights than the base's."""
    sha256 = base_sha256(base)
    if card.base_sha256 and card.base_sha256 != sha256:
        raise UnusableAdapter(
            f"{policy} was trained on the base {card.base_sha256[:12]}, {base} is {sha256[:12]}: train it again on "
            f"this base and pack it with `{PACK}`, or serve the base alone with --policy {NONE} (MODEL_POLICY={NONE})"
        )


def base_sha256(base: Path) -> str:
    """The hash that a model's folder goes by."""
    sha256: str = json.loads((base / RECORD).read_text())["sha256"]
    return sha256


def _write(base: Path, adapter: Adapter, card: PolicyCard, folder: Path) -> None:
    source = TensorFile.open(base / MODEL_FILE)
    adapter.check_base(source.shapes)
    adapted = {f"{stem}.weight": stem for stem in adapter.stems}
    tensors: dict[str, Bfloat16] = {}
    for name in source.entries:
        if (stem := adapted.get(name)) is None:
            tensors[name] = source.bfloat16(name)
        else:
            tensors[name] = Bfloat16.of(source.floats(name) + adapter.delta(stem))
    write_tensors(tensors, folder / MODEL_FILE)
    for path in sorted(base.iterdir()):
        if path.is_file() and path.name not in {MODEL_FILE, RECORD}:
            shutil.copyfile(path, folder / path.name)
    if card.temperature is not None:
        # Engines take from here what a request leaves open.
        path = folder / GENERATION
        path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": card.temperature}, indent=2) + "\n")
    record = {
        "name": card.name,
        "policy": card.name,
        "base": card.base,
        "base_sha256": base_sha256(base),
        "adapter_sha256": bundled.file_sha256(adapter.folder / WEIGHTS),
        "sha256": bundled.file_sha256(folder / MODEL_FILE),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def _digest(base: str, policy: Path, card: PolicyCard) -> str:
    files = (bundled.file_sha256(policy / name) for name in (WEIGHTS, CONFIG))
    parts = (base, *files, *([] if card.temperature is None else [str(card.temperature)]))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _point(link: Path, target: Path) -> None:
    """Have the policy's plain name lead to its newest merger: whoever knows only the name finds its hashes there."""
    if link.exists() and not link.is_symlink():
        raise UnusableAdapter(f"{link} is a model's folder; give the policy another name")
    draft = link.with_name(f".{link.name}-{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target.name)
    draft.replace(link)
