"""Which version number the policy of a step is published under, decided once and written down before it is used.

A publication that a crash cut off is tried again under the same number, so the sequence has no gap, and no number
stands for two policies.
"""

from pydantic import Field

from services.trainer.folder import JobFolder
from services.trainer.ledger.files import create_exclusively
from wideseek.values import Frozen

_FILE = "policy.json"


class StepPolicy(Frozen):
    """`steps/<k>/policy.json`; step 0 stands for what the job started from."""

    step: int = Field(ge=0)
    version: int = Field(ge=0)
    parent_version: int = Field(default=0, ge=0)


class Versions:
    """The numbers of one job."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder

    def assigned(self, step: int) -> StepPolicy | None:
        """What was decided for a step, None when nothing was."""
        file = self._folder.path / "steps" / str(step) / _FILE
        return StepPolicy.model_validate_json(file.read_bytes()) if file.exists() else None

    def assign(self, step: int, version: int, parent_version: int) -> StepPolicy:
        """Decide for a step; an earlier decision stands."""
        wanted = StepPolicy(step=step, version=version, parent_version=parent_version)
        file = self._folder.path / "steps" / str(step) / _FILE
        create_exclusively(file, wanted.model_dump_json(indent=1).encode() + b"\n")
        return StepPolicy.model_validate_json(file.read_bytes())

    def newest(self, upto: int) -> StepPolicy | None:
        """The decision for the newest step up to `upto` that has one."""
        folder = self._folder.path / "steps"
        names = (entry.name for entry in folder.iterdir() if entry.name.isdigit()) if folder.is_dir() else ()
        steps = sorted((int(name) for name in names if int(name) <= upto), reverse=True)
        return next((found for step in steps if (found := self.assigned(step)) is not None), None)
