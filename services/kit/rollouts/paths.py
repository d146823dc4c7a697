"""Where things lie below the root of the store, and what a name must look like to become part of a path."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from wideseek.errors import ContractViolation, InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OBJECT = re.compile(
    r"(?P<job>[^/]+)/rollouts/(?P<day>\d{4}-\d\d-\d\d)/(?P<rollout>[^/.]+)\.(?P<sha>[0-9a-f]{12})\.pb\.zst"
)
_REWARD = re.compile(r"(?P<job>[^/]+)/rewards/(?P<rollout>[^/.]+)\.(?P<version>[^/]+)\.json")


@dataclass(frozen=True)
class ObjectPath:
    """A rollout's path, taken apart."""

    job_id: str
    day: str
    rollout_id: str
    sha12: str


def name(value: str, what: str) -> str:
    """The value, if it may be part of a path. Raises `InvalidRequest`."""
    if not _NAME.fullmatch(value):
        raise InvalidRequest(
            f"{what} is {value!r}: use letters, digits, dot, dash and underscore, 128 at most, no dot or dash first",
            field=what,
        )
    return value


def rollout_path(job_id: str, started_at: float, rollout_id: str, sha256: str) -> str:
    """`<job>/rollouts/<yyyy-mm-dd>/<rollout id>.<sha256[:12]>.pb.zst`; the day is UTC's."""
    day = datetime.fromtimestamp(started_at, UTC).strftime("%Y-%m-%d")
    return f"{name(job_id, 'job_id')}/rollouts/{day}/{name(rollout_id, 'rollout_id')}.{sha256[:12]}.pb.zst"


def entry_path(job_id: str, rollout_id: str) -> str:
    """The entry file of a rollout id."""
    return f"{name(job_id, 'job_id')}/entries/{name(rollout_id, 'rollout_id')}.json"


def reward_path(job_id: str, rollout_id: str, version: str) -> str:
    """`<job>/rewards/<rollout id>.<version>.json`."""
    checked = name(rollout_id, "rollout_id"), name(version, "reward_version")
    return f"{name(job_id, 'job_id')}/rewards/{checked[0]}.{checked[1]}.json"


def quarantine_path(uri: str) -> str:
    """Where a corrupt object goes."""
    return f"{uri.partition('/')[0]}/quarantine/{uri.rpartition('/')[2]}"


def read_rollout_path(uri: str) -> ObjectPath | None:
    """The parts of a rollout's path, None when it is no such path."""
    found = _OBJECT.fullmatch(uri)
    if found is None or not all(_NAME.fullmatch(found[part]) for part in ("job", "rollout")):
        return None
    return ObjectPath(found["job"], found["day"], found["rollout"], found["sha"])


def read_reward_path(uri: str) -> tuple[str, str] | None:
    """Rollout id and reward version of a reward's path, None when it is no such path."""
    found = _REWARD.fullmatch(uri)
    if found is None or not all(_NAME.fullmatch(found[part]) for part in ("job", "rollout", "version")):
        return None
    return found["rollout"], found["version"]


def foreign(uri: str) -> ContractViolation:
    """The error for a path that the store never made."""
    return ContractViolation(f"{uri!r} is no path of the rollout store")
