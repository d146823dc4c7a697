"""What a rollout becomes when it is stored: compressed bytes, and the entry that names them."""

import hashlib

import zstandard

from services.kit.rollouts import paths
from services.kit.rollouts.entry import StoredRollout
from wideseek.codec import decode_rollout
from wideseek.errors import ContractViolation
from wideseek.rollout import Rollout

LEVEL = 3
"""Of zstd: ten times smaller than the record, because every prompt repeats the one before it."""
_LARGEST = 2**31
"""Bytes a rollout may decompress to; more is no rollout."""


def sha256_of(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def compress(record: bytes) -> bytes:
    """A zstd frame that says its size."""
    return zstandard.ZstdCompressor(level=LEVEL).compress(record)


def entry_of(rollout: Rollout, job_id: str, sha256: str) -> StoredRollout:
    """The entry of a rollout whose object has this hash."""
    tokens = {
        agent.agent_id: sum(len(turn.sampled_token_ids) for turn in agent.turns if turn.trainable)
        for agent in rollout.agents
    }
    return StoredRollout(
        rollout_id=rollout.rollout_id,
        job_id=job_id,
        run_id=rollout.run_id,
        group_id=rollout.group_id or "",
        index_in_group=rollout.index_in_group or 0,
        attempt=rollout.attempt,
        task_id=rollout.task_id or "",
        split=rollout.split or "",
        status=rollout.status,
        source=rollout.source,
        uri=paths.rollout_path(job_id, rollout.started_at, rollout.rollout_id, sha256),
        sha256=sha256,
        version_min=rollout.policy_version_min,
        version_max=rollout.policy_version_max,
        tokens_by_agent=tokens,
        finished_at=rollout.finished_at,
    )


def read_record(data: bytes) -> Rollout:
    """The rollout in an object's bytes. Raises `ContractViolation`, for a frame that is cut short or longer too."""
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= _LARGEST:
            raise ContractViolation(f"a zstd frame of {size} bytes")
        record = zstandard.ZstdDecompressor().decompress(data, max_output_size=_LARGEST, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ContractViolation(f"no zstd frame: {error}") from error
    return decode_rollout(record)
