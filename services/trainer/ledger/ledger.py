"""The ledger of a job: its step manifests in a hash chain, each written once.

    manifest_k names sha256(manifest_{k-1}); the first names 64 zeros

What a manifest names is consumed. A step whose manifest exists is made of that manifest for ever: after a crash
between manifest and checkpoint the same bytes are trained on again, so no rollout is lost and none counts twice.
Source of the protocol: `docs/training.md`, "The step protocol".
"""

from collections.abc import Iterator

from pydantic import ValidationError

from services.trainer.folder import COMMITTED, JobFolder, LearnerReport
from services.trainer.ledger.files import Probe, create_exclusively, no_probe
from services.trainer.ledger.lineage import finish_restart
from services.trainer.ledger.manifest import FIRST, Manifest
from wideseek.errors import Conflict, ContractViolation


class LedgerBroken(ContractViolation):
    """A manifest is missing, was changed, or does not follow from the one before it."""


class Ledger:
    """The manifests of one job, verified when opened; one process writes.

    Raises `LedgerBroken` naming the step. `probe` is called with `manifest.before_create` and
    `manifest.after_create`.
    """

    def __init__(self, folder: JobFolder, *, probe: Probe = no_probe) -> None:
        self._folder = folder
        self._probe = probe
        self.lineage = finish_restart(folder)
        """0, and one more for every time the job was restarted from an older checkpoint."""
        self.step = 0
        """The newest step that has a manifest."""
        self.head = FIRST
        """Hash of its manifest."""
        self.cursor = "0-0"
        """Entry of the rollout index up to which everything is resolved."""
        self._resolved: set[str] = set()
        for manifest in self._verified():
            self._take(manifest)
        self._check_rest()

    @property
    def resolved(self) -> frozenset[str]:
        """Ids of all rollouts that are never used again: those trained on, and those dropped."""
        return frozenset(self._resolved)

    def is_resolved(self, rollout_id: str) -> bool:
        """Whether a rollout is never used again."""
        return rollout_id in self._resolved

    def manifest(self, step: int) -> Manifest:
        """The manifest of a step. Raises `LedgerBroken` when there is none or it cannot be read."""
        return self._read(step)

    def manifests(self, *, after: int = 0) -> Iterator[Manifest]:
        """The manifests of the steps behind `after`, ascending."""
        for step in range(after + 1, self.step + 1):
            yield self._read(step)

    def consumed(self, upto: int) -> set[str]:
        """Ids of the rollouts that the steps up to `upto` are made of."""
        return {entry.rollout_id for step in range(1, min(upto, self.step) + 1) for entry in self._read(step).entries}

    def write(self, manifest: Manifest) -> Manifest:
        """Append a manifest; where the step has one already, that one comes back and counts.

        Raises `Conflict` when another process wrote another manifest of this step meanwhile, `LedgerBroken` when it
        does not follow from the newest one.
        """
        if manifest.step <= self.step:
            return self._read(manifest.step)
        self._check(manifest, manifest.step)
        if (manifest.step, manifest.lineage) != (self.step + 1, self.lineage):
            raise LedgerBroken(
                f"the manifest is of step {manifest.step}, lineage {manifest.lineage}; the next is of step "
                f"{self.step + 1}, lineage {self.lineage}"
            )
        self._probe("manifest.before_create")
        if not create_exclusively(self._folder.manifest_file(manifest.step), manifest.to_bytes()):
            raise Conflict(f"step {manifest.step} was written by another conductor: end one of the two")
        self._probe("manifest.after_create")
        self._take(manifest)
        return manifest

    def _take(self, manifest: Manifest) -> None:
        self.step, self.head, self.cursor = manifest.step, manifest.sha256, manifest.cursor
        self._resolved.update(entry.rollout_id for entry in manifest.entries)
        self._resolved.update(dropped.rollout_id for dropped in manifest.dropped)

    def _verified(self) -> Iterator[Manifest]:
        step = 1
        while self._folder.manifest_file(step).exists():
            manifest = self._read(step)
            self._check(manifest, step)
            yield manifest
            step += 1

    def _read(self, step: int) -> Manifest:
        try:
            data = self._folder.manifest_file(step).read_bytes()
            manifest = Manifest.model_validate_json(data)
        except FileNotFoundError as error:
            raise LedgerBroken(f"step {step} has no manifest") from error
        except ValidationError as error:
            raise LedgerBroken(f"the manifest of step {step} cannot be read: {error.error_count()} errors") from error
        if manifest.to_bytes() != data:
            raise LedgerBroken(f"the manifest of step {step} was changed: its bytes are not those that were written")
        return manifest

    def _check(self, manifest: Manifest, step: int) -> None:
        if manifest.step != step:
            raise LedgerBroken(f"the manifest of step {step} says it is of step {manifest.step}")
        if manifest.prev_sha256 != self.head:
            raise LedgerBroken(
                f"the manifest of step {step} follows {manifest.prev_sha256[:12]}, but that of step {self.step} is "
                f"{self.head[:12]}: one of the two was changed"
            )
        twice = [entry.rollout_id for entry in manifest.entries if entry.rollout_id in self._resolved]
        if twice and all(entry.reward_uri for entry in manifest.entries):
            raise LedgerBroken(f"the manifest of step {step} uses rollout {twice[0]}, which is resolved already")

    def _check_rest(self) -> None:
        """What only learners wrote must fit, too: the last link of the chain is in no later manifest."""
        beyond = [step for step in _numbered(self._folder) if step > self.step]
        if beyond:
            raise LedgerBroken(f"step {self.step + 1} has no manifest, but step {min(beyond)} exists")
        report = self._folder.learner_file(self.step)
        if self.step and report.exists() and (self._folder.checkpoint(self.step) / COMMITTED).exists():
            said = LearnerReport.model_validate_json(report.read_bytes()).manifest_sha256
            if said != self.head:
                raise LedgerBroken(f"step {self.step} was trained on another manifest than the one that is there now")


def _numbered(folder: JobFolder) -> list[int]:
    """Steps that have a manifest or a committed checkpoint."""
    steps = folder.path / "steps"
    names = (entry.name for entry in steps.iterdir() if entry.name.isdigit()) if steps.is_dir() else ()
    there = [int(name) for name in names if folder.manifest_file(int(name)).exists()]
    return sorted({*there, *(step for step in folder.committed() if step)})
