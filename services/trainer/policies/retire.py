"""Taking versions out of service: those that nobody is served by any longer, and those that never were."""

from services.kit.logs import get_logger
from services.kit.policies import served_name
from services.trainer.policies.records import PolicyRecord, State
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.states import States
from wideseek.clients.policies import EngineReplica
from wideseek.errors import Conflict, ContractViolation, UpstreamError

log = get_logger(__name__)


async def retire(registry: Registry, states: States, fleet: Fleet, name: str) -> list[int]:
    """Unload drained versions; those that were. Call it holding the policy's lock.

    The newest versions stay, as many as the state's `keep`, and the current, the canary's, the previous and every
    pinned one. A version leaves the state first, so that no new run is given it, and the engines once its last pin is
    gone.
    """
    state = states.newest(name)
    candidates = [version for version in state.served[: -state.keep] if version not in state.kept]
    drained = [version for version in candidates if not await states.policies.pinned(served_name(name, version))]
    if drained:
        action = "unload " + ", ".join(f"v{version}" for version in drained)
        state = await states.change(name, "job", action, lambda newest: _without(newest, drained))
    unloaded = []
    for version in registry.marked(name):
        if version not in state.served and not await states.policies.pinned(served_name(name, version)):
            await fleet.unload(served_name(name, version))
            registry.unmark_loaded(name, version)
            unloaded.append(version)
    if unloaded:
        log.info("policy_unloaded", policy=name, versions=unloaded)
    return unloaded


async def withdraw(registry: Registry, fleet: Fleet, record: PolicyRecord, state: State) -> None:
    """Undo the loading of a version that did not pass: whole weights go back to those that were served."""
    registry.unmark_loaded(record.name, record.version)
    if record.adaptation == "lora":
        await fleet.unload(record.model)
        return
    try:
        await fleet.each(lambda replica: _restored(registry, replica, state))
    except (Conflict, UpstreamError, ContractViolation) as error:
        # `reconcile` finds the replica computing something else than the current version, and loads it again.
        log.error("weights_not_restored", policy=record.name, error=str(error))  # noqa: TRY400


async def _restored(registry: Registry, replica: EngineReplica, state: State) -> None:
    if state.current:
        await replica.reload_weights(str(registry.path(state.name, state.current)))
    else:
        await back_to_base(replica)


async def back_to_base(replica: EngineReplica) -> None:
    """Serve the weights again that the engine was started with."""
    await replica.reload_weights((await replica.base()).root)


def _without(state: State, versions: list[int]) -> dict[str, tuple[int, ...]] | None:
    gone = set(versions) - state.kept
    served = tuple(version for version in state.served if version not in gone)
    return {"served": served} if served != state.served else None
