"""Which model serves a run: names resolved once, through the policies there are, and kept loaded while it works."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.kit.policies import BASE, ServedVersion, parse, served_name
from wideseek.contracts import Run
from wideseek.errors import InvalidRequest, ModelUnavailable

PIN_GRACE_S = 900.0
"""Seconds after a run's deadline for which its versions stay pinned, should nobody be left to unpin them."""

_LIKE_A_VERSION = re.compile(r"@v[0-9]+$")


class PolicyNames(Protocol):
    """The policies there are (`services.kit.policies.Policies`). Raises `QueueUnavailable` when Redis is down."""

    async def chosen(self, asked: str | None, run_id: str) -> ServedVersion | None:
        """The version that serves a run; None when there is no such policy, or no policy at all."""
        ...

    async def pin(self, model: str, run_id: str, until: float) -> None:
        """Keep a version loaded until the run has ended, at the latest until `until` (Unix seconds)."""
        ...

    async def unpin(self, model: str, run_id: str) -> None:
        """Say that the run has ended."""
        ...


class NoPolicies:
    """Where there is no trainer: every model is one that the engine lists."""

    async def chosen(self, asked: str | None, run_id: str) -> ServedVersion | None:  # noqa: ARG002  # the port's
        """None: there is no policy."""
        return None

    async def pin(self, model: str, run_id: str, until: float) -> None:
        """Nobody unloads anything."""

    async def unpin(self, model: str, run_id: str) -> None:
        """Nobody was told to keep anything."""


@dataclass(frozen=True)
class Named:
    """A model by the engine's name for it, and what the policies know of it."""

    model: str
    version: ServedVersion | None = None

    @property
    def pinnable(self) -> bool:
        """Whether it is a version of a policy, which is unloaded when no run holds on to it."""
        return parse(self.model) is not None


async def resolve(
    policies: PolicyNames, run_id: str, asked: str | None, *, default: str | None, served: Sequence[str]
) -> Named:
    """The model for what was asked: the configured default, a policy's version for this run, or a name of the engine's.

    Who asks for nothing gets the engine's own model where the policies are not of that engine.
    Raises `ModelUnavailable` when nothing is served, `QueueUnavailable`.
    """
    if not served:
        raise ModelUnavailable("the endpoint serves no model")
    wanted = asked or default
    version = await policies.chosen(wanted, run_id)
    if version is not None and (wanted is not None or await _is_of_this_engine(policies, version, run_id, served)):
        return Named(version.model, version)
    return Named(wanted if wanted is not None else served[0])


async def _is_of_this_engine(policies: PolicyNames, version: ServedVersion, run_id: str, served: Sequence[str]) -> bool:
    """Whether the engine serves a version or its base, so that a version it lacks is on its way.

    An engine of another model (the expert, on a home where a policy was trained) has policies of its own, or none.
    """
    if version.model in served:
        return True
    base = await policies.chosen(served_name(version.name, BASE), run_id)
    return base is not None and base.model in served


def check_served(model: str, served: Sequence[str], *, field: str | None) -> None:
    """Raise `InvalidRequest` for a model that was asked for and is not served, `ModelUnavailable` for a default."""
    if model in served:
        return
    listed = ", ".join(served) or "none"
    if field is None:
        raise ModelUnavailable(f"the default model {model} is not served; served: {listed}")
    if _LIKE_A_VERSION.search(model):
        message = f"policy version {model} is not loaded; name the policy alone for its current version, or one of"
        raise InvalidRequest(f"{message} those served: {listed}", field=field)
    raise InvalidRequest(f"unknown model {model}; served: {listed}", field=field)


async def unpin(policies: PolicyNames, run: Run) -> None:
    """Let go of the versions of a run that has ended. Raises `QueueUnavailable`."""
    for model in {run.model, run.subagent_model or run.model}:
        if parse(model) is not None:
            await policies.unpin(model, run.id)
