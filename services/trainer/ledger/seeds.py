"""The seed of a step: the same whoever asks, other for every step and lineage."""

import hashlib


def step_seed(seed: int, lineage: int, step: int) -> int:
    """First 8 bytes of SHA-256(`<seed>:<lineage>:<step>`), below 2**63.

    >>> step_seed(0, 0, 1) == step_seed(0, 0, 1) != step_seed(0, 1, 1)
    True
    """
    digest = hashlib.sha256(f"{seed}:{lineage}:{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
