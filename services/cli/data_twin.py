"""`wideseek data twin`: the same tasks in a world whose numbers are shifted, and the corpus of that world."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.console import CommandError, notes
from services.cli.synthetic import CORPUS, TASKS, line, write_world

if TYPE_CHECKING:
    from services.suites.filters_read import Candidate
    from services.suites.twins import Worlds

_NOTE = (
    "Synthetic: numbers of the World Factbook were multiplied by seeded factors. Use only with the corpus beside it, "
    "to tell reading from remembering; never as facts, and never mixed with scores on real data. Prose in the pages "
    "may still tell real numbers."
)


def make_twins(
    *,
    tasks: Annotated[Path, typer.Option(help="Wide tasks over the Factbook, JSON lines.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for tasks, corpus and manifest.", show_default=False)],
    seed: Annotated[int, typer.Option(help="The same seed shifts the numbers the same way.")] = 0,
) -> None:
    """Make twins of tasks over shifted numbers, with their corpus, to tell reading from remembering.

    A task without a twin is named on standard error and in the manifest, with the reason.
    """
    from services.kit.factbook import load_entries  # noqa: PLC0415
    from services.suites.facts import load_countries, read_countries  # noqa: PLC0415
    from services.suites.filters_read import read_candidates  # noqa: PLC0415
    from services.suites.perturb import perturbed  # noqa: PLC0415
    from services.suites.twins import Worlds  # noqa: PLC0415

    if tasks.resolve() == (out / TASKS).resolve():
        raise CommandError(f"--out {out}: the tasks themselves lie there; nothing was written", exit_code=2)
    candidates = read_candidates(tasks)
    shifted = perturbed(load_entries(), seed)
    made, dropped = _twins(Worlds(load_countries(), read_countries(shifted), seed), candidates, tasks)
    if not made:
        raise CommandError(f"{tasks}: no task has a twin ({dropped[0]['why'] if dropped else 'no tasks'})")
    source = {"file": tasks.name, "sha256": hashlib.sha256(tasks.read_bytes()).hexdigest()}
    about = {"note": _NOTE, "seed": seed, "source": source, "dropped": dropped}
    _report(made, dropped, write_world(out, made, shifted, about), out)


def _twins(worlds: "Worlds", candidates: Sequence["Candidate"], path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Lines of twins, and what has none."""
    from services.suites.twins import NoTwin  # noqa: PLC0415
    from wideseek.instances import InvalidInstance, WideTask  # noqa: PLC0415

    made: list[str] = []
    dropped: list[dict[str, Any]] = []
    for candidate in candidates:
        if candidate.instance is None:
            raise InvalidInstance(f"{path}, line {candidate.line}: {candidate.problem}")
        try:
            if not isinstance(candidate.instance, WideTask):
                raise NoTwin("is no wide task over the Factbook")
            made.append(line(worlds.twin(candidate.record, candidate.instance)))
        except NoTwin as reason:
            dropped.append({"instance_id": candidate.instance_id, "line": candidate.line, "why": str(reason)})
    return made, dropped


def _report(made: Sequence[str], dropped: Sequence[dict[str, Any]], num_pages: int, out: Path) -> None:
    console = notes()
    for one in dropped:
        console.print(f"{one['instance_id']} (line {one['line']}): {one['why']}", markup=False, soft_wrap=True)
    kinds = Counter(str(json.loads(line).get("difficulty") or "unsorted") for line in made)
    shown = ", ".join(f"{name} {count:,}" for name, count in sorted(kinds.items()))
    console.print(
        f"{len(made):,} twins ({shown}), {len(dropped):,} dropped; {num_pages:,} pages; in {out}. Synthetic: "
        f"index {out / CORPUS} as a corpus of its own.",
        markup=False,
        soft_wrap=True,
    )
