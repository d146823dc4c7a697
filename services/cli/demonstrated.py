"""A file of demonstrations: there as a whole, or not at all."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.console import CommandError

if TYPE_CHECKING:
    from wideseek.rollout import Rollout

_BAD_INPUT = 2


def make_room(out: Path) -> None:
    """The folder of `out`; that nothing can be written there is told before anything is asked."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        raise CommandError(f"--out {out}: is a folder", exit_code=_BAD_INPUT)


def write_demonstrations(out: Path, rollouts: "Iterable[Rollout]") -> None:
    """Write them under another name, then put the file in its place. Raises `OSError`."""
    from wideseek.codec import write_rollouts  # noqa: PLC0415

    part = out.with_name(out.name + ".part")
    with part.open("wb") as stream:
        write_rollouts(rollouts, stream)
    part.replace(out)
