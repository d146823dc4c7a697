"""Published versions as folders: written once, marked `STABLE` last, never changed.

```
<home>/policies/<name>@v<N>/
    adapter_config.json, adapter_model.safetensors   the adapter (or the files of a whole model)
    POLICY.json            `PolicyRecord`
    STABLE                 everything above is complete; nobody reads the folder before
    PROBE.json             `ProbeData`: what the probe sampled, and the trainer's log-probabilities of it
    LOADED.<replica>       `Loaded`: a replica serves it
    REFUSED.json           why it is not served
    evaluations/<k>.json   `Evaluated`
```
"""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from services.kit.durable import sync_folder
from services.kit.policies import BASE, parse, served_name
from services.trainer.folder import write_atomically, write_model
from services.trainer.policies.records import Candidate, Evaluated, Loaded, PolicyRecord
from services.trainer.policies.report import ProbeData, ProbeReport
from wideseek.errors import Conflict, InvalidRequest, PolicyNotFound, StoreUnavailable

Mark = Callable[[str], None]
"""Called with the name of a boundary as it is passed; tests crash there."""

RECORD, STABLE, PROBE, REFUSED = "POLICY.json", "STABLE", "PROBE.json", "REFUSED.json"
_LOADED = "LOADED."
_EVALUATIONS = "evaluations"
_CHUNK = 1 << 20


def no_mark(_: str) -> None:
    """Pass a boundary."""


class Registry:
    """The folder of all published versions. Raises `StoreUnavailable` when the disk refuses to be written."""

    def __init__(self, folder: Path, *, mark: Mark = no_mark) -> None:
        self.folder = folder.absolute()  # engines are told it
        self._mark = mark

    def path(self, name: str, version: int) -> Path:
        """Folder of a version, whether or not it is there."""
        return self.folder / served_name(name, version)

    def names(self) -> list[str]:
        """Policies of which there is any version."""
        return sorted({name for name, _ in self._all()})

    def versions(self, name: str) -> list[PolicyRecord]:
        """Complete versions of a policy, ascending."""
        return [self.record(name, number) for number in sorted(one for own, one in self._all() if own == name)]

    def next_version(self, name: str) -> int:
        """The number after the highest that was ever begun."""
        begun = (parse(path.name) for path in self.folder.glob(f"{name}@v*"))
        return 1 + max((one[1] for one in begun if one is not None and one[0] == name), default=BASE)

    def version_of(self, name: str, *, job_id: str, step: int, manifest_sha256: str) -> int | None:
        """The version that a step of a job has been written as, for a publication that is tried again."""
        wanted = (job_id, step, manifest_sha256)
        versions = reversed(self.versions(name))
        return next((one.version for one in versions if (one.job_id, one.step, one.manifest_sha256) == wanted), None)

    def record(self, name: str, version: int) -> PolicyRecord:
        """A complete version. Raises `PolicyNotFound`."""
        folder = self.path(name, version)
        if not (folder / STABLE).exists():
            known = ", ".join(served_name(own, one) for own, one in sorted(self._all()) if own == name) or "none"
            raise PolicyNotFound(f"no policy {served_name(name, version)}; versions of {name}: {known}")
        return PolicyRecord.model_validate_json((folder / RECORD).read_bytes())

    def write(self, candidate: Candidate, precision: str) -> PolicyRecord:
        """Copy a candidate into its folder and mark it stable; nothing happens when it is there with these bytes.

        Raises `Conflict` when the version exists with other content, `InvalidRequest` when the adapter has no files.
        """
        record = _described(candidate, precision)
        target = self.path(candidate.name, candidate.version)
        if (target / STABLE).exists():
            if not (held := self.record(candidate.name, candidate.version)).same_as(record):
                raise Conflict(
                    f"{candidate.model} exists with other content ({_differing(held, record)}): publish "
                    f"version {self.next_version(candidate.name)} instead"
                )
            return held
        try:
            self._copy(candidate.adapter, target, record)
            self._mark("stable.before")
            write_atomically(target / STABLE, b"")
        except OSError as error:
            raise StoreUnavailable(f"cannot write {target}: {error}") from error
        self._mark("stable.after")
        return record

    def verify(self, record: PolicyRecord) -> None:
        """Hash a version's files again. Raises `Conflict` naming those that are gone or changed."""
        folder = self.path(record.name, record.version)
        wrong = [name for name, digest in record.files.items() if _sha256_or_none(folder / name) != digest]
        if wrong:
            raise Conflict(f"{record.model}: {', '.join(sorted(wrong))} changed or gone since it was published")

    def lineage(self, name: str, version: int) -> list[PolicyRecord]:
        """A version and its ancestors down to the base, as far as they are still there."""
        chain: list[PolicyRecord] = []
        while version != BASE and (self.path(name, version) / STABLE).exists():
            chain.append(self.record(name, version))
            parent = chain[-1].parent_version
            if parent >= version:
                break
            version = parent
        return chain

    def mark_loaded(self, record: PolicyRecord, loaded: Loaded) -> None:
        """Note that a replica serves a version."""
        write_model(self.path(record.name, record.version) / f"{_LOADED}{loaded.replica}", loaded)

    def unmark_loaded(self, name: str, version: int) -> None:
        """Note that no replica serves a version any longer."""
        for path in self.path(name, version).glob(f"{_LOADED}*"):
            path.unlink(missing_ok=True)

    def loaded(self, name: str, version: int) -> list[Loaded]:
        """The replicas that have said to serve a version."""
        paths = sorted(self.path(name, version).glob(f"{_LOADED}*"))
        return [Loaded.model_validate_json(path.read_bytes()) for path in paths]

    def marked(self, name: str) -> list[int]:
        """Versions that some replica has said to serve."""
        found = (parse(path.parent.name) for path in self.folder.glob(f"{name}@v*/{_LOADED}*"))
        return sorted({one[1] for one in found if one is not None and one[0] == name})

    def save_probe(self, record: PolicyRecord, data: ProbeData) -> None:
        """Keep what the probe sampled, so that a restarted replica can be held against it."""
        write_atomically(self.path(record.name, record.version) / PROBE, data.model_dump_json().encode())

    def probe(self, name: str, version: int) -> ProbeData | None:
        """What the probe of a version sampled."""
        path = self.path(name, version) / PROBE
        return ProbeData.model_validate_json(path.read_bytes()) if path.exists() else None

    def refuse(self, record: PolicyRecord, report: ProbeReport) -> None:
        """Keep why a version is not served."""
        write_model(self.path(record.name, record.version) / REFUSED, report)

    def pardon(self, record: PolicyRecord) -> None:
        """Forget a refusal: the version has passed since."""
        (self.path(record.name, record.version) / REFUSED).unlink(missing_ok=True)

    def refusal(self, name: str, version: int) -> ProbeReport | None:
        """Why a version is not served; None when it may be."""
        path = self.path(name, version) / REFUSED
        return ProbeReport.model_validate_json(path.read_bytes()) if path.exists() else None

    def add_evaluation(self, name: str, version: int, result: Evaluated) -> None:
        """Append a held-out result of a version."""
        folder = self.path(self.record(name, version).name, version) / _EVALUATIONS
        folder.mkdir(exist_ok=True)
        write_model(folder / f"{len(list(folder.glob('*.json'))):06d}-{time.time_ns()}.json", result)

    def evaluations(self, name: str, version: int) -> list[Evaluated]:
        """Held-out results of a version, the oldest first."""
        paths = sorted((self.path(name, version) / _EVALUATIONS).glob("*.json"))
        return [Evaluated.model_validate_json(path.read_bytes()) for path in paths]

    def _all(self) -> Iterator[tuple[str, int]]:
        for path in self.folder.glob("*@v*"):
            found = parse(path.name)
            if found is not None and (path / STABLE).exists():
                yield found

    def _copy(self, source: Path, target: Path, record: PolicyRecord) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(f".{target.name}-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed; the policy's lock is ours
        staged = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=self.folder))
        try:
            staged.chmod(0o755)
            for name, digest in record.files.items():
                if _copied(source / name, staged / name) != digest:
                    raise Conflict(f"{source / name} changed while it was copied: publish again")
            write_model(staged / RECORD, record)
            (staged / RECORD).chmod(0o644)
            shutil.rmtree(target, ignore_errors=True)  # begun and never marked stable: nobody has read it
            staged.rename(target)
            sync_folder(self.folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _described(candidate: Candidate, precision: str) -> PolicyRecord:
    names = sorted(name for name in _files_below(candidate.adapter) if not _is_ours(name))
    weights = [name for name in names if re.search(r"\.(safetensors|bin)$", name)]
    if not weights:
        raise InvalidRequest(f"{candidate.adapter} holds no weights (*.safetensors)", field="adapter")
    return PolicyRecord(
        **candidate.model_dump(exclude={"adapter"}),
        precision=precision,
        files={name: _sha256(candidate.adapter / name) for name in names},
        created_at=time.time(),
    )


def _files_below(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _is_ours(name: str) -> bool:
    """Whether the registry writes a file of this name beside an adapter's: what comes from a version, or from a shipped
    policy, brings a record of its own, which says nothing of what it is published as."""
    return name in {RECORD, STABLE, PROBE, REFUSED} or name.startswith((_LOADED, f"{_EVALUATIONS}/"))


def _differing(held: PolicyRecord, asked: PolicyRecord) -> str:
    fields = (one for one in PolicyRecord.model_fields if one != "created_at")
    return ", ".join(one for one in fields if getattr(held, one) != getattr(asked, one))


def _copied(source: Path, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    target.chmod(0o644)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def _sha256_or_none(path: Path) -> str | None:
    return _sha256(path) if path.is_file() else None
