"""What `wideseek policies report` does: files read, the report written, what is missing named."""

import os
from pathlib import Path

from services.cli.console import CommandError, notes, results
from services.evaluation.policy.arms import collect_arms
from services.evaluation.policy.columns import Trained
from services.evaluation.policy.report import read_report, write_report
from services.suites.catalogue import EVERY, KEY, shared_border
from wideseek.errors import InvalidRequest

_METHOD = Path("docs") / "evaluation.md"


def write(evaluations: Path, training: Path, out: Path, *, collect: Path | None = None) -> None:
    """Write the report below `out`. Raises `CommandError` for files that cannot be read or written.

    `collect` is a folder that arms are evaluated in: what the report needs of them is copied from there before.
    """
    try:
        if collect is not None:
            copied = collect_arms(collect, evaluations)
            notes().print(f"copied from {collect}: {', '.join(copied) or 'nothing'}", soft_wrap=True, markup=False)
        report = read_report(evaluations, training, trained_columns())
        written = write_report(report, out, method=_method(out))
    except InvalidRequest as error:
        raise CommandError(str(error), exit_code=2) from error
    except OSError as error:
        raise CommandError(f"{error.filename or out}: {error.strerror or error}", exit_code=2) from error
    missing = [arm.name for arm in report.arms if not arm.trials]
    missing += [f"training/{stage.name}" for stage in report.stages if not stage.steps]
    if missing:
        notes().print(f"not measured: {', '.join(missing)}", soft_wrap=True, markup=False)
    results().print(f"{written[-1]} and {len(written) - 1} plots", soft_wrap=True, markup=False)


def trained_columns() -> Trained:
    """Column -> whether training tasks of the bundled suites may ask for it."""
    every = (*EVERY, KEY, shared_border(""))
    return {column.id: column.use in {"train", "practice"} for column in every}


def _method(out: Path) -> str:
    """The page that explains the scorer, seen from a report in this checkout; elsewhere, its place in the checkout."""
    inside = _METHOD.is_file() and out.absolute().is_relative_to(Path.cwd())
    return os.path.relpath(_METHOD, out) if inside else str(_METHOD)
