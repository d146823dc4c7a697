"""The composition root of jobs: what the service and the command `wideseek train` both stand on. No torch."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.trainer.jobs.book import JobBook
from services.trainer.jobs.checks import Surroundings
from services.trainer.jobs.desk import JobDesk
from services.trainer.jobs.launchers import Launcher, LocalLauncher
from services.trainer.learn.base import base_sha256
from services.trainer.policies.registry import Registry
from services.trainer.policies.states import newest_state
from services.trainer.settings import TrainerSettings
from wideseek.clients._http import Http
from wideseek.clients.model import model_http, served_models
from wideseek.clients.policies import EngineReplica
from wideseek.clients.retrieval import RetrievalClient, retrieval_http
from wideseek.errors import ContractViolation

_LAUNCHERS = {"local": ("local",), "kubernetes": ("local", "kubernetes", "trainjob")}
"""What a trainer can do with each `hardware.launcher`; `local` is the default and fits everywhere."""


@dataclass(frozen=True)
class Parts:
    """The jobs of a home, and what has to be closed at the end."""

    desk: JobDesk
    connections: tuple[Http | EngineReplica, ...]

    async def close(self) -> None:
        """End what cannot outlive the process."""
        await self.desk.launcher.close()
        for connection in self.connections:
            await connection.close()


def make_parts(settings: TrainerSettings, launcher: Launcher | None = None) -> Parts:
    """Jobs as these settings say. Raises `TrainerUnavailable` when Kubernetes is asked for and is not there."""
    retrieval = retrieval_http(settings.retrieval_url)
    api_key = settings.model_api_key.get_secret_value() if settings.model_api_key else None
    model = model_http(settings.model_url, api_key=api_key)
    engine = EngineReplica(settings.model_url, api_key=api_key)
    registry = Registry(settings.policies_folder.absolute())

    async def corpora() -> Sequence[str]:
        return [corpus.name for corpus in (await RetrievalClient(retrieval).corpora()).corpora]

    async def models() -> Sequence[str]:
        return [served.id for served in (await served_models(model)).data]

    async def engine_root() -> str:
        try:
            return (await engine.base()).root
        except ContractViolation:
            return ""  # an endpoint of another make

    def base_of(policy: str) -> tuple[int, str] | None:
        versions = registry.versions(policy)
        return (versions[-1].version, versions[-1].base_sha256) if versions else None

    def current(policy: str) -> Path | None:
        state = newest_state(registry, policy)
        return registry.path(policy, state.current) if state is not None and state.current else None

    around = Surroundings(
        home=settings.home,
        current=current,
        corpora=corpora,
        models=models,
        base_of=base_of,
        base_sha256=base_sha256,
        engine_root=engine_root,
        launchers=_LAUNCHERS[settings.launcher],
    )
    desk = JobDesk(
        book=JobBook(settings.jobs_folder.absolute(), _absolute_root(settings)),
        launcher=launcher or make_launcher(settings),
        around=around,
        accelerator=shutil.which("nvidia-smi") is not None,
    )
    return Parts(desk, (retrieval, model, engine))


def make_launcher(settings: TrainerSettings) -> Launcher:
    """The launcher that the settings name."""
    if settings.launcher == "local":
        return LocalLauncher()
    from services.trainer.jobs.kubernetes import in_cluster  # noqa: PLC0415  # a second that a local trainer is spared

    return in_cluster(settings)


def _absolute_root(settings: TrainerSettings) -> str:
    """The store's root; a folder in full, since jobs may be started elsewhere."""
    root = settings.store_root
    return root if "://" in root else str(Path(root).absolute())
