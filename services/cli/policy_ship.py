"""What `wideseek policies ship` does: the adapter of a job packed into the folder that the repository ships."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.cli.console import CommandError, results
from services.model import bundled
from services.model.packing import Provenance, pack
from services.model.shipped import WEIGHTS, UnusableAdapter
from wideseek.contracts import PromptProfile


def ship(adapter: Path, home: Path, said: Provenance, out: Path) -> None:
    """Write the folder, and say what is in it. Raises `CommandError` for what must not be shipped."""
    try:
        card = pack(adapter, bundled.materialise(home), said, out)
    except (UnusableAdapter, bundled.WeightsMissing) as error:
        raise CommandError(str(error), exit_code=2) from error
    except OSError as error:
        raise CommandError(f"{error.filename or out}: {error.strerror or error}", exit_code=2) from error
    size = (out / WEIGHTS).stat().st_size / 1e6
    line = f"{out}: {card.name}, {size:.1f} MB, adapter {card.adapter_sha256[:12]}, base {card.base_sha256[:12]}"
    results().print(line, soft_wrap=True, markup=False)


def provenance(
    name: str, profile: str, configs: Sequence[Path], data_sha256: Sequence[str], measured: Path | None
) -> Provenance:
    """What the options say of a policy. Raises `CommandError` for a profile that is none, or results that are none."""
    return Provenance(name, _profile(profile), configs, data_sha256, _results(measured) if measured else {})


def _profile(name: str) -> PromptProfile:
    try:
        return PromptProfile(name)
    except ValueError as error:
        known = " or ".join(PromptProfile)
        raise CommandError(f"--prompt-profile {name!r}: expected {known}", exit_code=2) from error


def _results(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"--results {path}: {error.strerror}", exit_code=2) from error
    except ValueError as error:
        raise CommandError(f"--results {path}: no JSON ({error})", exit_code=2) from error
    if not isinstance(found, dict):
        raise CommandError(f"--results {path}: expected a JSON object of numbers by name", exit_code=2)
    return found
