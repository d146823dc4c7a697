"""What a person does with policies: promote, try on a share, roll back, look.

A change is made by compare and set (`states`), so it does not wait for a publication and is not undone by one: what a
job publishes meanwhile is held. A rollback holds what jobs publish until somebody promotes by hand again.
"""

import asyncio
import time
from typing import Any, Literal

from pydantic import Field

from services.kit.policies import BASE, served_name
from services.trainer.policies.locks import policy_lock
from services.trainer.policies.probe import holds
from services.trainer.policies.records import Evaluated, Loaded, PolicyRecord, State
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.retire import back_to_base, withdraw
from services.trainer.policies.states import Change, States, pushed
from wideseek.errors import Conflict, InvalidRequest
from wideseek.values import Frozen

Status = Literal["current", "canary", "served", "unloaded", "refused"]


class VersionView(Frozen):
    """A version as the API shows it."""

    version: int = Field(ge=0)
    model: str
    """The name to ask for: `policy@v3`."""
    status: Status
    parent_version: int | None = None
    """None for the base."""
    lineage: tuple[int, ...] = ()
    """Ancestors down to the base, the nearest first."""
    job_id: str = ""
    step: int = 0
    created_at: float = 0.0
    """Unix seconds."""
    adapter_sha256: str = ""
    base_sha256: str = ""
    config_sha256: str = ""
    manifest_sha256: str = ""
    """The newest step manifest: the head of the chain that names every rollout it was trained on."""
    replicas: tuple[str, ...] = ()
    """Replicas that serve it."""
    mean_difference: float | None = None
    """Largest mean |difference| of log-probabilities that a replica showed in the probe."""
    refused: tuple[str, ...] = ()
    """Why it is not served."""
    evaluations: tuple[Evaluated, ...] = ()


class PolicySummary(Frozen):
    """A policy in a list."""

    name: str
    current: int = Field(ge=0)
    """0 is the base model."""
    canary: int | None = None
    canary_share: float = 0.0
    previous: int | None = None
    """Where a rollback goes back to, when no canary runs."""
    frozen: bool = False
    """After a rollback, until somebody promotes by hand: what jobs publish is held."""
    revision: int
    updated_at: float
    last_action: str


class PolicyDescription(PolicySummary):
    """A policy with all its versions, the newest first."""

    versions: tuple[VersionView, ...] = ()


class Manager:
    """The policies of one deployment, for people.

    Changes raise `PolicyNotFound`, `Conflict` when a version cannot be served, `ModelUnavailable`, `QueueUnavailable`.
    """

    def __init__(self, registry: Registry, states: States, fleet: Fleet) -> None:
        self._registry = registry
        self._states = states
        self._fleet = fleet

    def all(self) -> tuple[PolicySummary, ...]:
        """Every policy, by name."""
        return tuple(PolicySummary(**_summary(self._states.newest(name))) for name in self._states.names())

    def describe(self, name: str) -> PolicyDescription:
        """A policy with its versions. Raises `PolicyNotFound`."""
        state = self._states.newest(name)
        versions = [self._version(state, record) for record in reversed(self._registry.versions(name))]
        status: Status = "current" if state.current == BASE else "canary" if state.canary == BASE else "served"
        base = VersionView(version=BASE, model=state.base_model, status=status, base_sha256=state.base_sha256)
        return PolicyDescription(**_summary(state), versions=(*versions, base))

    async def promote(self, name: str, version: int) -> PolicyDescription:
        """Serve all new runs with a version, which is loaded first where it is not."""

        def change(state: State) -> dict[str, Any]:
            canary = {"canary": None, "canary_share": 0.0} if state.canary == version else {}
            return {"frozen": False, **canary, **pushed(state, version)}

        return await self._changed(name, version, f"promote v{version}", change)

    async def canary(self, name: str, version: int, share: float) -> PolicyDescription:
        """Serve a share of new runs with a version. Raises `InvalidRequest` for a share that is none."""
        if not 0 < share < 1:
            raise InvalidRequest("share must lie between 0 and 1; promote a version to serve all runs", field="/share")

        if self._whole(self._states.newest(name)):
            raise Conflict(f"policy {name} replaces whole weights, so no two versions are served at once: promote one")

        def change(state: State) -> dict[str, Any]:
            if version == state.current:
                raise Conflict(f"{served_name(name, version)} serves all runs already")
            return {"canary": version, "canary_share": share}

        return await self._changed(name, version, f"canary v{version}", change)

    async def rollback(self, name: str) -> PolicyDescription:
        """Take a running canary back; where none runs, go back to the version that was current before.

        Raises `Conflict` when there is nothing to go back to.
        """
        state = self._states.newest(name)
        target = state.current if state.canary is not None else state.previous
        if target is None:
            raise Conflict(f"policy {name} has no version to go back to")

        def change(newest: State) -> dict[str, Any]:
            if (newest.current, newest.canary, newest.trail) != (state.current, state.canary, state.trail):
                raise Conflict(f"policy {name} changed meanwhile ({newest.action}): look, and ask again")
            if newest.canary is not None:
                return {"canary": None, "canary_share": 0.0, "frozen": True}
            return {"current": target, "trail": newest.trail[:-1], "frozen": True}

        return await self._changed(name, target, f"rollback to v{target}", change)

    async def _changed(self, name: str, version: int, action: str, change: Change) -> PolicyDescription:
        state = self._states.newest(name)
        if version in {BASE, *state.served} and not self._whole(state):
            await self._states.change(name, "hand", action, lambda newest: change(_served(newest, version)))
            return self.describe(name)
        async with policy_lock(self._registry.folder, name):
            await self._load_again(self._states.newest(name), version)
            await self._states.change(
                name, "hand", action, lambda newest: {**(change(newest) or {}), "served": self._joined(newest, version)}
            )
        return self.describe(name)

    async def _load_again(self, state: State, version: int) -> None:
        """Have every replica serve a version that has passed its probe before, and hold it against that."""
        if version == BASE:
            await self._fleet.each(back_to_base)
            return
        record = self._registry.record(state.name, version)
        data = self._registry.probe(state.name, version)
        refusal = self._registry.refusal(state.name, version)
        if refusal is not None or data is None:
            why = "; ".join(refusal.reasons) if refusal else "it has never passed its parity probe"
            raise Conflict(f"{record.model} cannot be served: {why}. Choose another version, or publish it again")
        await asyncio.to_thread(self._registry.verify, record)
        await self._fleet.load(record, self._registry.path(state.name, version))
        model = record.model if record.adaptation == "lora" else state.base_model
        checked = await self._fleet.each(lambda replica: holds(replica, model, data))
        wrong = [replica.url for replica, same in checked if not same]
        if wrong:
            await withdraw(self._registry, self._fleet, record, state)
            raise Conflict(f"{', '.join(wrong)} no longer computes {record.model} as it did when it was published")
        for replica, _ in checked:
            self._registry.mark_loaded(record, Loaded(replica=replica.label, at=time.time()))

    def _whole(self, state: State) -> bool:
        """Whether the policy's versions take the place of the base, so that one is served at a time."""
        versions = self._registry.versions(state.name)
        return bool(versions) and versions[-1].adaptation == "full"

    def _joined(self, state: State, version: int) -> tuple[int, ...]:
        if self._whole(state):
            return () if version == BASE else (version,)
        return tuple(sorted({*state.served, version} - {BASE}))

    def _version(self, state: State, record: PolicyRecord) -> VersionView:
        loaded = self._registry.loaded(record.name, record.version)
        refusal = self._registry.refusal(record.name, record.version)
        measured = [one.mean_difference for one in loaded if one.mean_difference is not None]
        return VersionView(
            **record.model_dump(include=_SHOWN),
            model=record.model,
            adapter_sha256=record.adapter_sha256,
            status=_status(state, record.version, refused=refusal is not None),
            lineage=tuple(one.version for one in self._registry.lineage(record.name, record.version)[1:]),
            replicas=tuple(one.replica for one in loaded),
            mean_difference=max(measured, default=None),
            refused=refusal.reasons if refusal else (),
            evaluations=tuple(self._registry.evaluations(record.name, record.version)),
        )


_SHOWN = {
    "version",
    "parent_version",
    "job_id",
    "step",
    "created_at",
    "base_sha256",
    "config_sha256",
    "manifest_sha256",
}


def _served(state: State, version: int) -> State:
    if version not in {BASE, *state.served}:
        raise Conflict(f"{served_name(state.name, version)} is being unloaded: ask again")
    return state


def _status(state: State, version: int, *, refused: bool) -> Status:
    if version == state.current:
        return "current"
    if version == state.canary:
        return "canary"
    if version in state.served:
        return "served"
    return "refused" if refused else "unloaded"


def _summary(state: State) -> dict[str, Any]:
    fields = state.model_dump(include={"name", "current", "canary", "canary_share", "frozen", "revision"})
    return {**fields, "previous": state.previous, "updated_at": state.at, "last_action": state.action}
