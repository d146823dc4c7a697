"""Jobs taken in, watched, cancelled and resumed: what the HTTP routes and the command share."""

from dataclasses import dataclass

from services.kit.processor import fastest_dtype
from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder, write_atomically, write_model
from services.trainer.jobs.assumptions import Assumptions
from services.trainer.jobs.book import JobBook, is_active
from services.trainer.jobs.checks import Surroundings, base_folder, check
from services.trainer.jobs.cost import Estimate, estimate
from services.trainer.jobs.launchers import Launcher
from services.trainer.jobs.measure import measured_rollouts
from services.trainer.jobs.views import DryRun
from wideseek.errors import Conflict, WideseekError


@dataclass(frozen=True)
class JobDesk:
    """What working with jobs takes."""

    book: JobBook
    launcher: Launcher
    around: Surroundings
    accelerator: bool = False
    """Whether learners of this trainer find one."""

    async def dry_run(self, config: JobConfig, *, offline: bool = False, assumed: Assumptions | None = None) -> DryRun:
        """Everything about a job but the job. Raises `InvalidRequest` with all that must change.

        `offline`: the job is for other machines; `assumed` says what those are like.
        """
        config = self.started(config)
        checks = await check(config, self.around, dry_run=True, offline=offline)
        return DryRun(
            config_sha256=config.sha256,
            config=config.model_dump(mode="json"),
            checks=checks,
            estimate=self.estimate(config, assumed),
        )

    def started(self, config: JobConfig) -> JobConfig:
        """The configuration with what is decided once, when a job is made.

        That is the adapter it starts from, which a later promotion does not change, and the number format, in which it
        goes on wherever it is resumed.
        """
        model, update = config.model, dict[str, object]()
        if model.precision == "fastest":
            update["precision"] = "bfloat16" if config.hardware.device == "cuda" else fastest_dtype()
        if model.start != "base" and model.init_adapter is None and model.adaptation != "full":
            update["init_adapter"] = self.around.current(config.policy)
        return config.model_copy(update={"model": model.model_copy(update=update)}) if update else config

    def estimate(self, config: JobConfig, assumed: Assumptions | None = None) -> Estimate:
        """What a job will cost."""
        base = base_folder(config, self.around.home)
        here = base if any(base.glob("*.safetensors")) else None
        # Rollouts that were measured here, of another model, say nothing about the one that is assumed.
        measured = measured_rollouts(self.book, config.policy) if assumed is None else None
        return estimate(config, here, measured, accelerator=self.accelerator, assumed=assumed)

    async def start(self, config: JobConfig) -> JobFolder:
        """A job that has begun. Raises `InvalidRequest`, `Conflict`, or the launcher's outage."""
        config = self.started(config)
        await check(config, self.around)
        folder = self.book.create(config)
        await self._launch(folder)
        return folder

    async def resume(self, job_id: str) -> JobFolder:
        """A job that goes on from its last checkpoint. Raises `JobNotFound`, `Conflict`, or the launcher's outage."""
        folder = self.book.reopen(job_id)
        await self._launch(folder)
        return folder

    async def cancel(self, job_id: str) -> JobFolder:
        """Ask a job to end after the step it is at; asking again changes nothing. Raises `JobNotFound`, `Conflict`."""
        folder = self.book.folder(job_id)
        state = folder.state()
        if state.status in {"completed", "failed"}:
            raise Conflict(f"{job_id} has {state.status} already")
        write_atomically(folder.stop_file, b"")
        if is_active(folder):
            if state.status == "running":
                write_model(folder.state_file, state.model_copy(update={"status": "cancelling"}))
        else:
            await self.launcher.stop(folder.record(), folder)
            write_model(folder.state_file, state.model_copy(update={"status": "cancelled"}))
        return folder

    async def _launch(self, folder: JobFolder) -> None:
        try:
            await self.launcher.start(folder.record(), folder)
        except WideseekError as error:
            failed = folder.state().model_copy(update={"status": "failed", "error": f"not started: {error}"})
            write_model(folder.state_file, failed)
            raise
