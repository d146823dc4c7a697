"""The folder of a synthetic world: its tasks, its corpus, and a manifest that says what they are."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.cli.console import CommandError

if TYPE_CHECKING:
    from services.kit.factbook import Entry

TASKS, CORPUS, MANIFEST = "tasks.jsonl", "corpus.jsonl", "manifest.json"


def write_world(out: Path, tasks: Sequence[str], entries: "Sequence[Entry]", about: Mapping[str, Any]) -> int:
    """Write all three files, or none; `tasks` are lines, `about` goes into the manifest. Returns the pages' number."""
    from services.kit.factbook import release  # noqa: PLC0415
    from services.retrieval.factbook import pages  # noqa: PLC0415
    from services.suites.filters_read import write_lines  # noqa: PLC0415
    from services.suites.perturb import LOWER, SHIFTS, UPPER  # noqa: PLC0415

    corpus = [line({"url": page.url, "title": page.title, "text": page.text}) for page in pages(entries)]
    manifest = {
        "synthetic": True,
        **about,
        "profiles": release(),
        "factors": [LOWER, UPPER],
        "fields": list(SHIFTS),
        "tasks": {"file": TASKS, "count": len(tasks), "sha256": _sha256(tasks)},
        "corpus": {"file": CORPUS, "count": len(corpus), "sha256": _sha256(corpus)},
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--out {out}: {error.strerror or error}") from error
    files = {TASKS: tasks, CORPUS: corpus, MANIFEST: [json.dumps(manifest, indent=2)]}
    write_lines((out / name, lines) for name, lines in files.items())
    return len(corpus)


def line(record: Mapping[str, Any]) -> str:
    """A record as a line of JSON."""
    return json.dumps(record, ensure_ascii=False)


def _sha256(lines: Iterable[str]) -> str:
    """Of a file that holds the lines, each with its end."""
    digest = hashlib.sha256()
    for one in lines:
        digest.update(f"{one}\n".encode())
    return digest.hexdigest()
