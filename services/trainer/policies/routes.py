"""The doors of policies: list, look, promote, try on a share, roll back. Whoever includes them checks the key."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from fastapi.params import Depends
from pydantic import Field

from services.trainer.config import POLICY_NAME
from services.trainer.policies.manage import Manager, PolicyDescription, PolicySummary
from wideseek.contracts import Problem
from wideseek.values import Frozen

PREFIX = "/v1/admin/policies"
Name = Annotated[str, Path(pattern=POLICY_NAME, description="Name of the policy.", examples=["policy"])]


class PolicyList(Frozen):
    """All policies."""

    policies: tuple[PolicySummary, ...]


class Promotion(Frozen):
    """Which version is to serve all new runs."""

    version: int = Field(ge=0)
    """0 is the base model."""


class CanaryRequest(Frozen):
    """Which version is to serve a share of new runs."""

    version: int = Field(ge=0)
    share: float = Field(gt=0, lt=1)
    """Share of runs, chosen by run id."""


_SUMMARY = {
    "name": "policy",
    "current": 12,
    "canary": 13,
    "canary_share": 0.1,
    "previous": 11,
    "frozen": False,
    "revision": 27,
    "updated_at": 1795388027.5,
    "last_action": "publish v13",
}
_VERSION = {
    "version": 12,
    "model": "policy@v12",
    "status": "current",
    "parent_version": 11,
    "lineage": [11, 10, 9],
    "job_id": "job_5c1f",
    "step": 12,
    "created_at": 1795387000.0,
    "adapter_sha256": "0b1c…",
    "base_sha256": "9f3a…",
    "config_sha256": "77d2…",
    "manifest_sha256": "c4e8…",
    "replicas": ["10.0.0.7-8000"],
    "mean_difference": 6e-07,
    "refused": [],
    "evaluations": [{"metric": "item_f1", "mean": 0.61, "low": 0.58, "high": 0.64, "tasks": 200, "suite": "", "at": 0}],
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The admin key is missing."},
    403: {"model": Problem, "description": "The admin key is wrong, or the door is shut."},
    404: {"model": Problem, "description": "No such policy or version."},
    409: {"model": Problem, "description": "The version cannot be served, or another change came first."},
    422: {"model": Problem, "description": "The request must change."},
    503: {"model": Problem, "description": "An engine or Redis is down; try again."},
}


def _shown(value: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {**_ERRORS, 200: {"content": {"application/json": {"example": value}}}}


_DESCRIBED = _shown({**_SUMMARY, "versions": [_VERSION]})


def router(manager: Callable[[], Manager], *, dependencies: Sequence[Depends] = ()) -> APIRouter:
    """The routes. `manager` is called for each request; `dependencies` check the key."""
    routes = APIRouter(prefix=PREFIX, tags=["policies"], dependencies=list(dependencies))

    @routes.get("", summary="All policies", responses=_shown({"policies": [_SUMMARY]}))
    def policies() -> PolicyList:
        return PolicyList(policies=manager().all())

    @routes.get("/{name}", summary="A policy and its versions", responses=_DESCRIBED)
    def policy(name: Name) -> PolicyDescription:
        return manager().describe(name)

    @routes.post("/{name}/promote", summary="Serve all new runs with a version", responses=_DESCRIBED)
    async def promote(name: Name, body: Annotated[Promotion, Body(examples=[{"version": 12}])]) -> PolicyDescription:
        """The version is loaded first where it is not, and held against the samples of its probe."""
        return await manager().promote(name, body.version)

    @routes.post("/{name}/canary", summary="Serve a share of new runs with a version", responses=_DESCRIBED)
    async def canary(
        name: Name, body: Annotated[CanaryRequest, Body(examples=[{"version": 13, "share": 0.1}])]
    ) -> PolicyDescription:
        """Runs are chosen by their ids, so a run keeps its version."""
        return await manager().canary(name, body.version, body.share)

    @routes.post("/{name}/rollback", summary="Go back", responses=_DESCRIBED)
    async def rollback(name: Name) -> PolicyDescription:
        """Takes a running canary back; else goes back to the version before. Jobs promote nothing from then on, until
        somebody promotes a version by hand."""
        return await manager().rollback(name)

    return routes
