"""`wideseek objective`: cases of the training objective evaluated, a JSON line a case.

Exit codes: 0 evaluated; 2 an option, a file or a case is wrong, and nothing is written.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import CommandError

_BAD_INPUT = 2


def objective(
    *,
    case: Annotated[Path, typer.Option(help="Cases, JSON lines.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where to write.", show_default="standard output")] = None,
) -> None:
    """Evaluate the training objective: advantages, token weights, loss and gradient of each case.

    The numbers come from the functions that train, in double precision.
    """
    text = "".join(f"{line}\n" for line in _evaluated(case))
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    from services.trainer.folder import write_atomically  # noqa: PLC0415

    try:
        write_atomically(out, text.encode())
    except OSError as error:
        raise CommandError(f"--out {out}: {error.strerror or error}", exit_code=_BAD_INPUT) from error


def _evaluated(file: Path) -> Iterator[str]:
    """The result of each case. Raises CommandError naming file, line and field of the first that is wrong."""
    from services.trainer.objective.cases import evaluate_case, read_case  # noqa: PLC0415
    from wideseek.errors import InvalidRequest  # noqa: PLC0415

    lines = [(number, line) for number, line in enumerate(_read(file).split("\n"), 1) if line.strip()]
    if not lines:
        raise CommandError(f"--case {file}: holds no case", exit_code=_BAD_INPUT)
    for number, line in lines:
        try:
            yield evaluate_case(read_case(line)).model_dump_json()
        except InvalidRequest as error:
            raise CommandError(f"{file}:{number}: {error}", exit_code=_BAD_INPUT) from error


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise CommandError(f"--case {file}: {error.strerror or error}", exit_code=_BAD_INPUT) from error
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise CommandError(f"{file}:{line}: not UTF-8", exit_code=_BAD_INPUT) from error
