"""Where the rollout store is, and which of its jobs a command is about."""

from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from services.cli.console import CommandError, notes, results
from services.kit.rollouts.store import RolloutStore

FORMATS = ("table", "json")
_WIDE = 200
"""Characters of a line of a table that goes into a file or a pipe."""


def open_store(address: str | None, home: Path | None) -> RolloutStore:
    """The store at an address, or the home's. Raises `CommandError` where there is none yet."""
    if address is None:
        address = str(home_of(home) / "rollouts")
    if "://" not in address and not Path(address).is_dir():
        raise CommandError(
            f"no rollout store at {address}: run something with training_opt_in first, or name one with --store"
        )
    return RolloutStore.open(address)


def home_of(home: Path | None) -> Path:
    """The folder of all state."""
    return (home or Path(".wideseek")).absolute()


def jobs_of(store: RolloutStore, job: str | None) -> list[str]:
    """The job asked for, or all. Raises `CommandError` for a job that has stored nothing."""
    jobs = store.jobs()
    if job is None:
        return jobs
    if job not in jobs:
        known = ", ".join(jobs[:8]) or "none"
        raise CommandError(f"--job {job}: the store has no such job; it has {known}", exit_code=2)
    return [job]


def check_format(form: str) -> None:
    """Raise `CommandError` for a format that there is not."""
    if form not in FORMATS:
        raise CommandError(f"--format {form}: use {' or '.join(FORMATS)}", exit_code=2)


def tables() -> Console:
    """A console for tables of many columns: as wide as the terminal, and wide where there is none."""
    console = results()
    if not console.is_terminal:
        console.width = _WIDE
    return console


def bar() -> Progress:
    """A progress bar that leaves nothing behind, and that only a terminal gets to see."""
    console = notes()
    return Progress(console=console, transient=True, disable=not console.is_terminal)
