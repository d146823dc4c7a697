"""Giving replicas back what they have lost: one that was restarted serves no adapters until somebody loads them."""

import time

from services.kit.logs import get_logger
from services.kit.policies import BASE, parse
from services.trainer.policies.locks import policy_lock
from services.trainer.policies.probe import holds
from services.trainer.policies.records import Loaded, PolicyRecord, State
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet, load_on, merged_policy
from services.trainer.policies.report import ProbeData
from services.trainer.policies.retire import retire
from services.trainer.policies.states import States
from wideseek.clients.policies import EngineReplica
from wideseek.errors import Conflict, ContractViolation, ModelUnavailable
from wideseek.values import Frozen

log = get_logger(__name__)

_WHOLE_ROWS = 2
"""Rows by which whole weights are told from those the engine was started with."""


class Reconciled(Frozen):
    """A version that a replica had lost."""

    replica: str
    model: str
    problem: str = ""
    """Why it does not serve it yet; empty when it does again."""


async def reconcile(registry: Registry, states: States, fleet: Fleet) -> list[Reconciled]:
    """Mirror every policy to Redis, load what replicas lack, and unload what has drained.

    A version that is loaded again is held against the samples of its first probe. A policy that is being published is
    passed over, a replica that is down too: the next call finds them. Raises `QueueUnavailable`.
    """
    await states.restore()
    done: list[Reconciled] = []
    for name in states.names():
        try:
            async with policy_lock(registry.folder, name, wait_s=0):
                for replica in await fleet.replicas():
                    done += await _given_back(registry, states, states.newest(name), replica)
                await retire(registry, states, fleet, name)
        except Conflict as error:
            log.info("policy_busy", policy=name, reason=str(error))
    return done


async def _given_back(registry: Registry, states: States, state: State, replica: EngineReplica) -> list[Reconciled]:
    done = []
    try:
        models = await replica.models()
        present = {model.id for model in models}
        merged = next(
            (found for model in models if model.parent is None and (found := merged_policy(model.root))), None
        )
        if merged is not None and merged.sha256 != state.base_sha256:
            return []  # these weights are not those that the versions were trained on
        for version in state.served:
            record = registry.record(state.name, version)
            data = registry.probe(state.name, version)
            if data is not None and await _lacks(replica, record, state, present, data):
                done.append(await _loaded(registry, replica, record, state, data))
        for model in present:
            await _stray_unloaded(states, state, replica, model)
    except (ModelUnavailable, ContractViolation) as error:
        log.warning("replica_unreachable", replica=replica.label, error=str(error))
    return done


async def _stray_unloaded(states: States, state: State, replica: EngineReplica, model: str) -> None:
    """Unload what a process loaded that was killed before it could serve it."""
    found = parse(model)
    if found is None or found[0] != state.name or found[1] in state.served or await states.policies.pinned(model):
        return
    await replica.unload(model)
    log.info("stray_policy_unloaded", replica=replica.label, model=model)


async def _lacks(
    replica: EngineReplica, record: PolicyRecord, state: State, present: set[str], data: ProbeData
) -> bool:
    if record.adaptation == "lora":
        return record.model not in present
    few = data.model_copy(update={"rows": data.rows[:_WHOLE_ROWS]})
    return state.current != BASE and not await holds(replica, state.base_model, few)


async def _loaded(
    registry: Registry, replica: EngineReplica, record: PolicyRecord, state: State, data: ProbeData
) -> Reconciled:
    model = record.model if record.adaptation == "lora" else state.base_model
    try:
        await load_on(replica, record, registry.path(record.name, record.version))
        problem = "" if await holds(replica, model, data) else "computes something else than when it was published"
    except Conflict as error:
        problem = str(error)
    if problem:
        log.error("policy_not_given_back", replica=replica.label, model=record.model, problem=problem)
        await _withdrawn(replica, record)
    else:
        log.info("policy_given_back", replica=replica.label, model=record.model)
        held = next((one for one in registry.loaded(record.name, record.version) if one.replica == replica.label), None)
        registry.mark_loaded(record, held or Loaded(replica=replica.label, at=time.time()))
    return Reconciled(replica=replica.label, model=record.model, problem=problem)


async def _withdrawn(replica: EngineReplica, record: PolicyRecord) -> None:
    if record.adaptation == "lora":
        await replica.unload(record.model)
