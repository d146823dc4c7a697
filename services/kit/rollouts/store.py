"""Rollouts and rewards as immutable objects: the truth that the Redis index is rebuilt from.

    <job>/rollouts/<yyyy-mm-dd>/<rollout id>.<sha256[:12]>.pb.zst    `encode_rollout` bytes in zstd, level 3
    <job>/entries/<rollout id>.json                                  `StoredRollout`, created exclusively
    <job>/rewards/<rollout id>.<reward version>.json                 `Reward`
    <job>/quarantine/…                                               what could not be read

The order is object, entry, index. The entry decides which bytes are the rollout of an id, whoever else writes at the
same moment, and it spares listings from opening objects; one that is missing is made again from its object (`scan`).
Everything here blocks: call it through `asyncio.to_thread`. Outages are `StoreUnavailable`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from services.kit.logs import get_logger
from services.kit.rollouts import paths
from services.kit.rollouts.checks import check_reward, check_rollout
from services.kit.rollouts.entry import UNASSIGNED, StoredReward, StoredRollout
from services.kit.rollouts.objects import Objects, Probe, open_objects, silent
from services.kit.rollouts.records import compress, entry_of, read_record, sha256_of
from wideseek.codec import encode_rollout
from wideseek.errors import ContractViolation
from wideseek.rollout import SCHEMA_VERSION, Reward, Rollout

log = get_logger(__name__)


class RolloutCorrupt(ContractViolation):
    """A stored object is not what was written; it has been moved to the job's quarantine."""


class RolloutMissing(RolloutCorrupt):
    """There is no object at this path: deleted, or quarantined before."""


def _ignore(uri: str, reason: str) -> None:
    pass


class RolloutStore:
    """The store at one address; holds no state, so threads may share it.

    `on_quarantine` is called with path and reason of every object that is put away; `probe` with
    `object.before_rename`, `object.after_rename`, `entry.before_rename` and `entry.after_rename`.
    """

    def __init__(
        self, objects: Objects, *, on_quarantine: Callable[[str, str], None] = _ignore, probe: Probe = silent
    ) -> None:
        self._objects = objects
        self._on_quarantine = on_quarantine
        self._probe = probe

    @classmethod
    def open(
        cls,
        root: str,
        *,
        options: Mapping[str, Any] | None = None,
        on_quarantine: Callable[[str, str], None] = _ignore,
        probe: Probe = silent,
    ) -> "RolloutStore":
        """The store in a folder or at an fsspec address; `options` go to fsspec. Raises `InvalidRequest`."""
        return cls(open_objects(root, options), on_quarantine=on_quarantine, probe=probe)

    # ---- rollouts -------------------------------------------------------------------------

    def put(self, rollout: Rollout, job_id: str = UNASSIGNED) -> StoredRollout:
        """Store a rollout, once: the same content again changes nothing.

        Raises `ContractViolation` for a rollout that breaks a rule, or whose id has other content already.
        """
        check_rollout(rollout)
        record = encode_rollout(rollout)
        data = compress(record)
        entry = entry_of(rollout, job_id, sha256_of(data))
        settled = self.entry(job_id, rollout.rollout_id)
        if settled is not None and settled.uri != entry.uri:
            return self._same(settled, record)
        self._write(entry.uri, data)
        return self._settle(entry, record)

    def get(self, uri: str, sha256: str | None = None) -> Rollout:
        """Read a rollout and verify it.

        Raises `RolloutCorrupt` after moving an unreadable object to quarantine, `RolloutMissing` where there is none,
        and a plain `ContractViolation` where `sha256` is not the hash of a sound object.
        """
        path = paths.read_rollout_path(uri)
        if path is None:
            raise paths.foreign(uri)
        data = self._read(uri)
        actual = sha256_of(data)
        if actual[:12] != path.sha12:
            raise self._quarantine(uri, f"its SHA-256 begins with {actual[:12]}")
        if sha256 is not None and actual != sha256:
            raise ContractViolation(f"{uri} has SHA-256 {actual}, not {sha256}")
        try:
            rollout = read_record(data)
        except ContractViolation as error:
            raise self._quarantine(uri, f"it cannot be decoded: {error}") from error
        if rollout.rollout_id != path.rollout_id:
            raise self._quarantine(uri, f"it holds {rollout.rollout_id}")
        if rollout.schema_version > SCHEMA_VERSION:
            raise ContractViolation(
                f"{uri} has schema_version {rollout.schema_version}, this release reads {SCHEMA_VERSION} and older"
            )
        return rollout

    def entry(self, job_id: str, rollout_id: str) -> StoredRollout | None:
        """What the entry file of an id says, None when there is none or it cannot be read."""
        path = paths.entry_path(job_id, rollout_id)
        data = self._objects.read(path)
        if data is None:
            return None
        try:
            return StoredRollout.model_validate_json(data)
        except ValidationError:
            log.warning("rollout_entry_unreadable", path=path)
            self._objects.delete(path)
            return None

    def scan(self, job_id: str, *, verify: bool = False, skip: Collection[str] = ()) -> Iterator[StoredRollout]:
        """Every rollout of a job but those in `skip`, by day and id; objects without an entry get theirs.

        With `verify` each object is read and checked. A corrupt object is quarantined and passed over.
        """
        for uri in self._objects.files(f"{paths.name(job_id, 'job_id')}/rollouts"):
            path = paths.read_rollout_path(uri)
            if path is None:
                log.warning("rollout_store_foreign_file", path=uri)
                continue
            if path.rollout_id in skip:
                continue
            entry = self.entry(job_id, path.rollout_id)
            if entry is not None and entry.uri != uri:
                log.warning("rollout_superseded", path=uri, by=entry.uri)
            elif entry is None or verify:
                entry = self._examined(uri, entry, job_id)
                if entry is not None:
                    yield entry
            else:
                yield entry

    def jobs(self) -> list[str]:
        """Jobs with a folder in the store, in order."""
        return [folder for folder in self._objects.folders() if not folder.startswith(".")]

    def find(self, rollout_id: str, job_id: str | None = None) -> StoredRollout | None:
        """The rollout of an id, in one job or in whichever has it; None when there is none."""
        jobs = self.jobs() if job_id is None else [job_id]
        for job in jobs:
            if (entry := self.entry(job, rollout_id)) is not None:
                return entry
        for job in jobs:
            for uri in self._objects.files(f"{paths.name(job, 'job_id')}/rollouts"):
                path = paths.read_rollout_path(uri)
                if path is not None and path.rollout_id == rollout_id:
                    return self._examined(uri, None, job)
        return None

    def sweep(self, before: float) -> int:
        """Delete temporary files that crashed writers left before a Unix second; returns how many."""
        return self._objects.sweep(before)

    def delete(self, entry: StoredRollout, reward_uris: Collection[str] = ()) -> None:
        """Delete a rollout and those of its rewards; a crash in between leaves an object that the next call deletes."""
        for uri in reward_uris:
            self._objects.delete(uri)
        self._objects.delete(paths.entry_path(entry.job_id, entry.rollout_id))
        self._objects.delete(entry.uri)

    def quarantined(self, job_id: str) -> list[str]:
        """Paths of what was put away."""
        return list(self._objects.files(f"{paths.name(job_id, 'job_id')}/quarantine"))

    # ---- rewards --------------------------------------------------------------------------

    def put_reward(self, reward: Reward, job_id: str, *, answer_hash: str | None = None) -> StoredReward:
        """Store a reward, once. `answer_hash` is the rollout's, which the reward must have been given to.

        Raises `ContractViolation` for another answer's reward, or another reward of this version.
        """
        check_reward(reward, answer_hash)
        uri = paths.reward_path(job_id, reward.rollout_id, reward.reward_version)
        data = reward.model_dump_json(indent=1).encode() + b"\n"
        if not self._objects.create(uri, data):
            there = self._objects.read(uri)
            if there != data:
                raise ContractViolation(f"{uri} holds another reward: a new scorer needs a new reward_version")
        sha256 = sha256_of(data)
        return StoredReward(rollout_id=reward.rollout_id, reward_version=reward.reward_version, uri=uri, sha256=sha256)

    def get_reward(self, uri: str, sha256: str | None = None) -> Reward:
        """Read a reward and verify it. Raises `RolloutCorrupt` after quarantine, or `RolloutMissing`."""
        named = paths.read_reward_path(uri)
        if named is None:
            raise paths.foreign(uri)
        data = self._read(uri)
        if sha256 is not None and sha256_of(data) != sha256:
            raise self._quarantine(uri, f"its SHA-256 is not {sha256}")
        try:
            reward = Reward.model_validate_json(data)
        except ValidationError as error:
            raise self._quarantine(uri, f"it is no reward: {error.error_count()} errors") from error
        if (reward.rollout_id, reward.reward_version) != named:
            raise self._quarantine(uri, f"it is the reward {reward.reward_version} of {reward.rollout_id}")
        return reward

    def reward_uris(self, job_id: str) -> dict[str, list[str]]:
        """Paths of a job's rewards by rollout id."""
        found: dict[str, list[str]] = {}
        for uri in self._objects.files(f"{paths.name(job_id, 'job_id')}/rewards"):
            named = paths.read_reward_path(uri)
            if named is not None:
                found.setdefault(named[0], []).append(uri)
        return found

    # ---- inside ---------------------------------------------------------------------------

    def _write(self, uri: str, data: bytes) -> None:
        """Create the object; a damaged one in its place is put away first."""
        for _ in range(2):
            if self._objects.create(uri, data, lambda side: self._probe(f"object.{side}_rename")):
                return
            if self._objects.read(uri) == data:
                return
            self._quarantine(uri, "other bytes stood in its place")
        raise RolloutCorrupt(f"{uri} changes while it is written")

    def _settle(self, entry: StoredRollout, record: bytes) -> StoredRollout:
        """Create the entry, or find that another writer was first."""
        path = paths.entry_path(entry.job_id, entry.rollout_id)
        data = entry.model_dump_json(indent=1).encode() + b"\n"
        if self._objects.create(path, data, lambda side: self._probe(f"entry.{side}_rename")):
            return entry
        settled = self.entry(entry.job_id, entry.rollout_id) or entry
        if settled.uri == entry.uri:
            return settled
        self._objects.delete(entry.uri)
        return self._same(settled, record)

    def _same(self, settled: StoredRollout, record: bytes) -> StoredRollout:
        """The stored rollout, if its content is `record` in another compressor's bytes."""
        if encode_rollout(self.get(settled.uri, settled.sha256)) != record:
            raise ContractViolation(
                f"rollout {settled.rollout_id} is stored with other content; a rollout that ran again has a new attempt"
            )
        return settled

    def _examined(self, uri: str, entry: StoredRollout | None, job_id: str) -> StoredRollout | None:
        try:
            rollout = self.get(uri, entry.sha256 if entry else None)
        except RolloutCorrupt:
            return None
        if entry is not None:
            return entry
        data = self._read(uri)
        return self._settle(entry_of(rollout, job_id, sha256_of(data)), encode_rollout(rollout))

    def _read(self, uri: str) -> bytes:
        data = self._objects.read(uri)
        if data is None:
            raise RolloutMissing(f"there is no {uri} in the store")
        return data

    def _quarantine(self, uri: str, reason: str) -> RolloutCorrupt:
        """Put the object away and say so; the error is for the caller to raise."""
        place = paths.quarantine_path(uri)
        self._objects.move(uri, place)
        log.error("rollout_quarantined", path=uri, place=place, reason=reason)
        self._on_quarantine(uri, reason)
        return RolloutCorrupt(f"{uri} is corrupt ({reason}) and lies in {place} now")
