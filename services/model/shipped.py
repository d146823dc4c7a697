"""Trained policies as folders: which one is served, and what its `POLICY.json` says.

```
models/wideseek-smollm2/
    adapter_model.safetensors   LoRA, bfloat16, in PEFT's naming
    adapter_config.json
    POLICY.json                 `PolicyCard`: name, hashes of base, adapter, data and job files, results
    README.md                   the model card
    *.toml                      the jobs it was trained by
```
"""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.model.bundled import MODEL_NAME, file_sha256
from wideseek.contracts import PromptProfile

MODELS = Path(__file__).resolve().parents[2] / "models"
"""Where a checkout keeps the policies it ships."""

SHIPPED = "wideseek-smollm2"
"""The policy that serves the bundled model unless another one, or `none`, is named."""

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
NONE = "none"
CARD = "POLICY.json"
NAME = re.compile(r"^[a-z][a-z0-9-]{0,39}$")
_TAKEN = frozenset({MODEL_NAME, f"{MODEL_NAME}-tokenizer", "expert", NONE})
"""Names that mean something else already."""

PACK = "wideseek policies ship"
"""The command that writes such folders."""


class UnusableAdapter(Exception):
    """An adapter is incomplete, of another kind, or of another base; the message says what to do."""


class TrainedBy(BaseModel):
    """A file that training read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class PolicyCard(BaseModel):
    """`POLICY.json`. Fields it does not know are passed over: versions that a trainer publishes have others."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    """What it is served as."""
    base: str = MODEL_NAME
    base_sha256: str = ""
    """SHA-256 of the base's safetensors; empty when nobody knows."""
    adapter_sha256: str = ""
    """SHA-256 of `adapter_model.safetensors`."""
    prompt_profile: PromptProfile | None = None
    """Wording of the prompts it was trained with; None leaves it to the orchestrator."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """What it is sampled with where a request says nothing; None leaves it to the engine, which takes 1."""
    data_sha256: tuple[str, ...] = ()
    configs: tuple[TrainedBy, ...] = ()
    results: dict[str, Any] = Field(default_factory=dict)


def find_policy(setting: str | None, *, models: Path = MODELS) -> Path | None:
    """The folder of the policy that is served: the one that is named, none, or the shipped one where it is there.

    `setting` is that of `MODEL_POLICY` and `--policy`: a folder, `none`, or None. Raises `UnusableAdapter` for a
    folder that holds no adapter.
    """
    if setting == NONE:
        return None
    if setting is None:
        folder = models / SHIPPED
        return folder if (folder / CARD).is_file() else None
    folder = Path(setting).expanduser().absolute()
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UnusableAdapter(f"{setting} holds no {name}: name the folder of a LoRA adapter, or {NONE}")
    return folder


def read_card(folder: Path) -> PolicyCard:
    """What a policy says of itself; an adapter that says nothing goes by its folder's name.

    Raises `UnusableAdapter` for a `POLICY.json` that cannot be read, or is of other files than those beside it.
    """
    path = folder / CARD
    if not path.is_file():
        usable = NAME.match(folder.name) and folder.name not in _TAKEN
        return PolicyCard(name=folder.name if usable else "policy")
    try:
        card = PolicyCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (path, *first["loc"])))
        raise UnusableAdapter(f"{place}: {first['msg']}; pack it again with `{PACK}`") from error
    check_name(card.name)
    if card.adapter_sha256 and file_sha256(folder / WEIGHTS) != card.adapter_sha256:
        raise UnusableAdapter(f"{folder / WEIGHTS} is not what {CARD} was written for; pack it again with `{PACK}`")
    return card


def check_name(name: str) -> None:
    """Raise `UnusableAdapter` for a name that no policy may be served under."""
    if not NAME.match(name) or name in _TAKEN:
        raise UnusableAdapter(f"{name!r} is no name for a policy: lower-case letters, digits and -, not {MODEL_NAME}")
