"""Where a collector begins: what the job's manifests and checkpoints say has been trained on."""

from collections.abc import Iterable

from pydantic import Field

from services.trainer.ledger.manifest import Manifest
from wideseek.values import Frozen


class Start(Frozen):
    """All that a collector must know of the time before it."""

    lineage: int = Field(default=0, ge=0)
    trained: int = Field(default=0, ge=0)
    """Last committed step."""
    taken: int = Field(default=0, ge=0)
    """Last step whose manifest is written; the steps after `trained` are being trained."""
    version: int = Field(default=0, ge=0)
    """Policy version served now."""
    made_at: int = Field(default=0, ge=0)
    """Step that made it."""
    groups: frozenset[str] = frozenset()
    """Ids of the groups that manifests are made of."""
    resolved: frozenset[str] = frozenset()
    """Ids of all rollouts that manifests name, trained on or dropped."""
    cursor: str = "0-0"
    """Of the last manifest."""

    @classmethod
    def after(
        cls, manifests: Iterable[Manifest], *, trained: int, version: int, made_at: int, lineage: int = 0
    ) -> "Start":
        """The start behind these manifests, given in the order of their steps."""
        listed = list(manifests)
        entries = [entry for manifest in listed for entry in manifest.entries]
        dropped = [drop.rollout_id for manifest in listed for drop in manifest.dropped]
        return cls(
            lineage=lineage,
            trained=trained,
            taken=max([trained, *(manifest.step for manifest in listed)]),
            version=version,
            made_at=made_at,
            groups=frozenset(entry.group_id for entry in entries),
            resolved=frozenset([*(entry.rollout_id for entry in entries), *dropped]),
            cursor=listed[-1].cursor if listed else "0-0",
        )
