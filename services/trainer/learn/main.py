"""The learner of a job: `python -m services.trainer.learn.main <job folder>`, or the same under torchrun.

Exit codes: 0 after a stop or the conductor's end, 65 when it refuses what it was given (starting again will not mend
it), else 1.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from services.kit.logs import configure_logs, get_logger
from services.kit.rollouts.store import RolloutStore
from services.kit.settings import ServiceSettings
from services.trainer.folder import JobFolder, JobRecord
from services.trainer.learn import checkpoint
from services.trainer.learn.base import base_sha256, resolve_base
from services.trainer.learn.orders import REFUSED, Orders, conductor_alive, job_open
from services.trainer.learn.policy import Policy, open_policy
from services.trainer.learn.process import LearnerProcess, only_learner
from services.trainer.learn.ranks import Ranks, joined
from services.trainer.learn.watchdog import watched
from wideseek.errors import UpstreamError, WideseekError

log = get_logger(__name__)


def learn(folder: JobFolder, home: Path, orders: Orders, *, probe: checkpoint.Probe = checkpoint.silent) -> None:
    """Train a job's manifests and answer its questions until told to stop.

    `probe` is called on rank 0 just before and after a checkpoint's marker is written. Raises `WideseekError` for
    what cannot be trained on, `FloatingPointError` for a gradient that is not finite.
    """
    with joined(folder.record().config.hardware) as ranks:
        learn_on(ranks, folder, home, orders, probe=probe)


def learn_on(
    ranks: Ranks, folder: JobFolder, home: Path, orders: Orders, *, probe: checkpoint.Probe = checkpoint.silent
) -> None:
    """`learn` on ranks that have joined already."""
    record = folder.record()
    with ExitStack() as held:
        free = held.enter_context(only_learner(folder, orders)) if ranks.leads else True
        if not ranks.tell(free):
            return
        if ranks.leads:
            checkpoint.clean(folder)
        base, sha256 = _base(record, home, ranks)
        policy = open_policy(folder, record.config, base, sha256, ranks)
        if ranks.leads:
            _greet(record, policy)
        LearnerProcess(policy, RolloutStore.open(record.rollouts_root), orders, probe).run()


def main(arguments: Sequence[str] | None = None, *, probe: checkpoint.Probe = checkpoint.silent) -> int:
    """Run the learner of the folder named on the command line; the exit code."""
    options = _options(arguments)
    settings = ServiceSettings()
    configure_logs("learner", settings.log_level)
    # A log is no terminal.
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it unannotated
    folder = JobFolder(options.folder)
    alive = job_open(folder) if options.parent is None else conductor_alive(options.parent)
    orders = Orders(folder, alive, drain=options.drain)
    # A job whose conductor is elsewhere tells its end through a file, which is read between steps.
    watch = nullcontext() if options.parent is None else watched(alive)
    try:
        with watch:
            learn(folder, settings.home, orders, probe=probe)
    except (WideseekError, FloatingPointError) as error:
        refused = not isinstance(error, UpstreamError)
        log.exception("learner_ended", error=f"{type(error).__name__}: {error}", refused=refused)
        return REFUSED if refused else 1
    return 0


def _greet(record: JobRecord, policy: Policy) -> None:
    log.info(
        "learner_ready",
        job_id=record.job_id,
        step=policy.step,
        base_sha256=policy.base_sha256,
        ranks=policy.ranks.world,
        device=str(policy.ranks.device),
        packed=policy.update.packed,
    )


def _base(record: JobRecord, home: Path, ranks: Ranks) -> tuple[Path, str]:
    """The base's folder and hash, found by rank 0 so that it is made and hashed once."""

    def find() -> tuple[Path, str]:
        folder = resolve_base(record.config.model.base, home)
        return folder, base_sha256(folder)

    return ranks.first(find)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.trainer.learn.main", description="Train a job.")
    parser.add_argument("folder", type=Path, help="folder of the job, with its job.json")
    parser.add_argument(
        "--parent", type=int, help="process id of the conductor: end once it is gone (none: once the job ends)"
    )
    parser.add_argument("--drain", action="store_true", help="end once nothing is left to train or to answer")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
