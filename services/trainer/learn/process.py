"""The learner's loop: read an order on rank 0, tell the others, carry it out together.

A step is trained, its checkpoint staged, `learner.json` written and the checkpoint committed, in this order: whoever
sees the marker finds the report.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.kit.logs import get_logger
from services.kit.rollouts.store import RolloutStore
from services.trainer.folder import JobFolder, LearnerReport, write_model
from services.trainer.learn import checkpoint, scoring
from services.trainer.learn.adapters import export_policy
from services.trainer.learn.loading import Loaded, load_rows
from services.trainer.learn.orders import Failure, Idle, Order, Orders, Score, ScoreFiles, Stop, Train, check_manifest
from services.trainer.learn.policy import Policy
from services.trainer.learn.sampled import Sampled
from services.trainer.learn.schedule import checkpoint_due
from services.trainer.ledger.manifest import Manifest
from services.trainer.objective.rows import Merging
from wideseek.errors import ContractViolation, StoreUnavailable, UpstreamError, WideseekError

POLL_S = 0.05
HEARTBEAT_S = 60.0
"""Other ranks hear from rank 0 at least this often, long before they give it up."""

log = get_logger(__name__)


@dataclass
class LearnerProcess:
    """One rank of a job's learner."""

    policy: Policy
    store: RolloutStore
    orders: Orders
    probe: checkpoint.Probe = checkpoint.silent
    """Called on rank 0 at the boundaries of a commit."""

    def run(self) -> None:
        """Carry out orders until one says stop."""
        while not isinstance(order := self.policy.ranks.first(self._next), Stop):
            if isinstance(order, Train):
                self._train(order)
            elif isinstance(order, Score):
                self._score(order)
        if self.policy.ranks.leads:
            log.info("learner_stops", reason=order.reason, step=self.policy.step)

    def _next(self) -> Order:
        deadline = time.monotonic() + HEARTBEAT_S
        while isinstance(order := self.orders.next(self.policy.step), Idle) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return order

    def _train(self, order: Train) -> None:
        policy, manifest = self.policy, order.manifest
        started = time.perf_counter()
        check_manifest(order, step=policy.step + 1, previous=policy.manifest_sha256, config_sha256=policy.config.sha256)
        loaded = self._load(manifest)
        scalars = policy.update.step(loaded.rows, lr=manifest.learning_rate)
        policy.step, policy.manifest_sha256 = manifest.step, order.sha256
        state = self._stage() if checkpoint_due(policy.config, policy.step) else None
        scalars["time/learn_s"] = time.perf_counter() - started
        if policy.ranks.leads:
            write_model(policy.folder.learner_file(manifest.step), self._report(order, scalars, loaded))
            if state is not None:
                checkpoint.commit(policy.folder, state, keep=policy.config.checkpoint.keep, probe=self.probe)
            log.info(
                "step_trained",
                step=manifest.step,
                of=policy.config.steps,
                committed=state is not None,
                seconds=round(scalars["time/learn_s"], 3),
                loss=scalars.get("loss/value"),
                grad_norm=scalars.get("loss/grad_norm"),
            )

    def _report(self, order: Train, scalars: dict[str, float], loaded: Loaded) -> LearnerReport:
        # What was collected is measured by the collector; demonstrations are measured by nobody else.
        sampled = loaded.sampled if self.policy.config.mode == "sft" else Sampled()
        return LearnerReport(
            step=order.manifest.step,
            manifest_sha256=order.sha256,
            scalars={**scalars, **loaded.merging.scalars(), **sampled.scalars()},
            histograms=sampled.histograms(),
        )

    def _load(self, manifest: Manifest) -> Loaded:
        """Rows of the step on every rank, or the same error on every rank."""
        loaded = Loaded([], Merging(), Sampled())
        failure: tuple[str, bool] | None = None
        try:
            loaded = load_rows(self.store, manifest, supervised=self.policy.config.mode == "sft")
        except WideseekError as error:
            failure = (f"step {manifest.step}: {error}", isinstance(error, UpstreamError))
        failures = [found for found in self.policy.ranks.collect(failure) if found is not None]
        if failures:
            told = "; ".join(dict.fromkeys(text for text, _ in failures))
            raise StoreUnavailable(told) if all(outage for _, outage in failures) else ContractViolation(told)
        return loaded

    def _stage(self) -> checkpoint.CheckpointState:
        policy = self.policy
        state = checkpoint.CheckpointState(
            step=policy.step,
            manifest_sha256=policy.manifest_sha256,
            config_sha256=policy.config.sha256,
            base_sha256=policy.base_sha256,
            world=policy.ranks.world,
        )
        checkpoint.stage(
            policy.folder,
            state,
            policy.scorer,
            policy.update.optimizer,
            lambda target: export_policy(policy.scorer.model, policy.config.model, policy.base, target, policy.ranks),
            policy.ranks,
        )
        return state

    def _score(self, order: Score) -> None:
        files = ScoreFiles(self.policy.folder)
        try:
            reply = scoring.answer(self.policy, order.request)
        except ContractViolation as error:
            log.warning("score_refused", name=order.name, step=order.request.step, error=str(error))
            if self.policy.ranks.leads:
                write_model(files.failure(order.name), Failure(error=str(error)))
            return
        if self.policy.ranks.leads:
            write_model(files.reply(order.name), reply)
            log.info("scored", name=order.name, step=order.request.step, rows=len(order.request.rows))


@contextmanager
def only_learner(folder: JobFolder, orders: Orders) -> Iterator[bool]:
    """Hold the job's checkpoints for this process alone, waiting for an older learner to end.

    False when the conductor ended or asked to stop meanwhile. The system lets go of the lock when the process dies.
    """
    root = folder.path / "ckpt"
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = False
        while not _locked(handle):
            if folder.stop_file.exists() or not orders.alive():
                yield False
                return
            if not told:
                log.warning("another_learner_is_at_work", folder=str(folder.path))
                told = True
            time.sleep(POLL_S)
        yield True
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
