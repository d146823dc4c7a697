"""Where a rollout comes from: hashes of weights, tokenizer, template and corpora, and the version of the code."""

import asyncio
import hashlib
import json
from collections.abc import Collection, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from services.kit.policies import BASE, parse
from services.orchestrator.models import Named
from wideseek.contracts import CorpusInfo, RunRequest
from wideseek.events import Weights
from wideseek.rollout import RolloutSource

CODE_VERSION = metadata.version("wideseek")
"""Version of this package."""


async def weights_of(named: Named, demonstrators: Collection[str], home: Path) -> Weights:
    """What is known of a model: by its policy, else from the folder of a model kept in the home."""
    if named.model in demonstrators:
        return Weights(source=RolloutSource.DEMONSTRATION)
    kept = await asyncio.to_thread(_kept, home, named.model)
    version = named.version
    if version is None:
        exact = parse(named.model)
        return kept.model_copy(update={"version": exact[1] if exact else BASE})
    return Weights(
        base_model_hash=version.base_sha256 or kept.base_model_hash,
        adapter_hash=version.adapter_sha256,
        tokenizer_hash=version.tokenizer_sha256 or kept.tokenizer_hash,
        template_hash=version.template_sha256 or kept.template_hash,
        version=version.version,
    )


def corpus_hash(request: RunRequest, served: Sequence[CorpusInfo]) -> str:
    """SHA-256 over names and content hashes of the corpora a run searches; empty when it searches none."""
    wanted = request.sources.corpora
    searched = [corpus for corpus in served if corpus.name in wanted or (corpus.default and not wanted)]
    lines = sorted(f"{corpus.name} {corpus.content_hash}" for corpus in searched)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""


def _kept(home: Path, model: str) -> Weights:
    """The hashes of a model kept in the home, as its `MODEL.json` states them and its files give them."""
    folder = home / "models" / model
    record = folder / "MODEL.json"
    if Path(model).name != model or not record.is_file():
        return Weights()
    return Weights(
        base_model_hash=str(json.loads(record.read_text())["sha256"]),
        tokenizer_hash=_sha256(folder / "tokenizer.json"),
        template_hash=_sha256(folder / "chat_template.jinja"),
    )


@cache
def _sha256(path: Path) -> str:
    """Of a small file that is written once; empty when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
