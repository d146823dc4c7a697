"""Names for jobs, so that a command can be given again and goes on with its job instead of starting another.

A name is a link in `<jobs>/named/` to the job's folder; what is in the folder is found under the name, too.
"""

import os
import re
from pathlib import Path

from services.trainer.folder import JobFolder
from wideseek.errors import InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def named_job(jobs: Path, name: str) -> JobFolder | None:
    """The job of this name below the folder of all jobs; None when there is none yet, or it was deleted.

    Raises `InvalidRequest` for a name that is none.
    """
    path = _link(jobs, name)
    return JobFolder(path.resolve()) if (path / "job.json").is_file() else None


def name_job(jobs: Path, name: str, folder: JobFolder) -> None:
    """Give a job a name, in one step; a link to a job that was deleted is replaced."""
    path = _link(jobs, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("..") / folder.path.name)
    draft.replace(path)


def _link(jobs: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"--as {name}: letters, digits, '.', '_' and '-' make a name, 100 of them at most")
    return jobs / "named" / name
