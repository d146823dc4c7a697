"""A step's manifest to training rows: objects fetched and verified, everything else taken from the manifest.

Masks, weights and advantages are data: nothing here decides what is trained on, it only refuses a manifest and a
record that disagree. Imports no torch.
"""

from collections.abc import Iterator
from typing import NamedTuple

from services.kit.rollouts.store import RolloutStore
from services.trainer.learn.layout import TrainRow
from services.trainer.learn.sampled import Sampled
from services.trainer.ledger.manifest import AgentShare, Entry, Manifest
from services.trainer.objective.credit import masked_turns
from services.trainer.objective.rows import Merging, Row, merge, merging, needed
from wideseek.errors import ContractViolation
from wideseek.rollout import AgentRecord, Rollout, RolloutSource


class Loaded(NamedTuple):
    """What a step is trained on."""

    rows: list[TrainRow]
    merging: Merging
    """Of the agents that are trained on, their masked turns included."""
    sampled: Sampled


def load_rows(store: RolloutStore, manifest: Manifest, *, supervised: bool) -> Loaded:
    """The rows of a step, in the manifest's order; an agent's forks share a sequence number.

    Raises `ContractViolation` for an object that is gone or corrupt, and for an agent, a role or a number of trained
    tokens that the record does not confirm; `StoreUnavailable` for an outage.
    """
    rows: list[TrainRow] = []
    found, sampled, sequence = Merging(), Sampled(), 0
    for entry in manifest.entries:
        rollout = _fetch(store, entry, supervised=supervised)
        sampled.add(rollout, entry.masked)
        for share, merged, came_to in _shared(rollout, entry):
            rows.extend(_row(row, share, entry, sequence) for row in merged)
            found += came_to
            sequence += 1
    return Loaded(rows, found, sampled)


def _fetch(store: RolloutStore, entry: Entry, *, supervised: bool) -> Rollout:
    rollout = store.get(entry.uri, entry.sha256)
    if rollout.rollout_id != entry.rollout_id:
        raise ContractViolation(f"{entry.uri} holds {rollout.rollout_id}, the manifest names {entry.rollout_id}")
    if not supervised and rollout.source is not RolloutSource.POLICY:
        raise ContractViolation(f"rollout {entry.rollout_id} is a demonstration; only mode sft learns from those")
    return rollout


def _shared(rollout: Rollout, entry: Entry) -> Iterator[tuple[AgentShare, list[Row], Merging]]:
    """Every agent that is trained on: its part in the loss, its rows, and what merging them came to."""
    shares = {share.agent_id: share for share in entry.agents}
    unknown = shares.keys() - {agent.agent_id for agent in rollout.agents}
    if unknown:
        raise ContractViolation(f"rollout {entry.rollout_id} has no agent {min(unknown)}, which the manifest weighs")
    for agent in rollout.agents:
        whole = merge(agent, masked_turns(entry.masked, agent.agent_id))
        rows = needed(whole)
        share = shares.get(agent.agent_id)
        _confirm(agent, share, sum(sum(row.trained) for row in rows), entry)
        if share is not None and rows:
            yield share, rows, merging(agent, whole)


def _confirm(agent: AgentRecord, share: AgentShare | None, trained: int, entry: Entry) -> None:
    named = f"agent {agent.agent_id} of rollout {entry.rollout_id}"
    if share is None:
        if trained:
            raise ContractViolation(f"{named} has {trained} trained tokens, but no weight in the manifest")
        return
    if share.trained_tokens != trained:
        raise ContractViolation(f"{named} has {trained} trained tokens, the manifest says {share.trained_tokens}")
    if share.role is not agent.role:
        raise ContractViolation(f"{named} is a {agent.role}, the manifest says {share.role}")


def _row(row: Row, share: AgentShare, entry: Entry, sequence: int) -> TrainRow:
    return TrainRow(
        token_ids=row.token_ids,
        trained=row.trained,
        behaviour=row.behaviour,
        weight=share.weight,
        advantage=share.advantage,
        role=share.role,
        sequence=sequence,
        minibatch=entry.minibatch,
    )
