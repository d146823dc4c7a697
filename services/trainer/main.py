"""Start the trainer service: `python -m services.trainer.main`. It imports no torch: learners are processes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from services.kit.admin import AdminKey
from services.kit.http import Readiness, serve
from services.kit.keys import Keys
from services.kit.logs import configure_logs, get_logger
from services.kit.policies import Policies
from services.kit.redis import connect, redis_errors
from services.trainer.app import build_app
from services.trainer.metrics.prometheus import register
from services.trainer.parts import make_parts
from services.trainer.policies.manage import Manager
from services.trainer.policies.reconcile import reconcile
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.routes import router
from services.trainer.policies.states import States
from services.trainer.settings import TrainerSettings
from wideseek.errors import QueueUnavailable, WideseekError

log = get_logger(__name__)


def create(settings: TrainerSettings) -> FastAPI:
    """The service's app. Raises `TrainerUnavailable` when Kubernetes is asked for and is not there."""
    redis = connect(settings.redis_url, max_connections=16)
    api_key = settings.model_api_key.get_secret_value() if settings.model_api_key else None
    fleet = Fleet(settings.engines, api_key=api_key)
    policies = Registry(settings.policies_folder.absolute())
    states = States(policies, Policies(redis, Keys(settings.env)))
    parts = make_parts(settings)
    metrics = CollectorRegistry()
    register(parts.desk.book, metrics)

    async def ready() -> Readiness:
        try:
            async with redis_errors():
                await redis.ping()
        except QueueUnavailable as outage:
            return Readiness(ready=False, checks={"redis": str(outage)})
        return Readiness(ready=True, checks={"redis": "ok"})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeper = asyncio.create_task(keep_loaded(policies, states, fleet, every_s=settings.reconcile_s))
        yield
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await parts.close()
        await fleet.close()
        await redis.aclose()

    key = AdminKey(settings.admin_key.get_secret_value() if settings.admin_key else None, settings.host)
    manager = Manager(policies, states, fleet)
    doors = router(lambda: manager)
    return build_app(parts.desk, doors, key, ready=ready, registry=metrics, lifespan=lifespan)


async def keep_loaded(policies: Registry, states: States, fleet: Fleet, *, every_s: float) -> None:
    """Give restarted engines their policies back, for ever; an outage is said and tried again."""
    while True:
        try:
            for found in await reconcile(policies, states, fleet):
                log.info("policy_given_back", model=found.model, replica=found.replica, problem=found.problem)
        except WideseekError as error:
            log.warning("policies_not_reconciled", error=str(error))
        await asyncio.sleep(every_s)


def main() -> int:
    """Serve until told to stop; the exit code comes back."""
    try:
        settings = TrainerSettings()
    except ValidationError as error:
        sys.stderr.write(f"trainer: {error}\n")
        return 2
    configure_logs("trainer", settings.log_level)
    try:
        app = create(settings)
    except WideseekError as error:
        sys.stderr.write(f"trainer: {error}\n")
        return 2
    serve(app, host=settings.host, port=settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
