"""Builds the bundled index: `python -m services.retrieval.bundled --root DIR [--dense]`.

The service runs this as a process of its own, at low priority, so that building never slows its answers.
"""

import argparse
import os
from pathlib import Path

from services.kit.logs import configure_logs, get_logger
from services.retrieval import factbook
from services.retrieval.build import Parts, build
from services.retrieval.encoder import SentenceEncoder
from services.retrieval.manifest import read_manifest

_NICENESS = 10
_log = get_logger(__name__)


def is_current(root: Path, *, dense: bool) -> bool:
    """Whether the bundled index lies under `root`, made from this package by these rules, with the parts wanted."""
    manifest = read_manifest(root / factbook.NAME)
    return manifest is not None and manifest.source == factbook.source() and (manifest.dense or not dense)


def build_bundled(root: Path, *, dense: bool) -> None:
    """Build the lexical part, published in seconds, then the dense one, which takes minutes."""
    seen: dict[str, int] = {}

    def progress(stage: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if seen.get(stage) != tenth:
            seen[stage] = tenth
            _log.info("building", corpus=factbook.NAME, stage=stage, done=done, total=total)

    if not is_current(root, dense=False):
        build(factbook.NAME, factbook.documents, root, Parts(source=factbook.source()), progress)
    if dense:
        parts = Parts(encoder=SentenceEncoder(), source=factbook.source())
        build(factbook.NAME, factbook.documents, root, parts, progress)


def main() -> None:
    """Parse the arguments and build."""
    parser = argparse.ArgumentParser(description=build_bundled.__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the indexes")
    parser.add_argument("--dense", action="store_true", help="build the dense part too")
    arguments = parser.parse_args()
    configure_logs("retrieval-build")
    os.nice(_NICENESS)
    build_bundled(arguments.root, dense=arguments.dense)


if __name__ == "__main__":
    main()
