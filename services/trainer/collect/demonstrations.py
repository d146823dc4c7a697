"""Demonstrations for supervised training, from files of rollouts or from what a job has stored.

Every turn with exact tokens is learnt from, except those of agents that ran into a limit or that an outage ended.
Who has a reward and earned less than wanted is left out; so is who has nothing to learn from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.kit.logs import get_logger
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutCorrupt, RolloutStore
from services.trainer.objective.batch import RolloutShape
from services.trainer.objective.credit import demonstration_masks, demonstration_shape
from services.trainer.objective.drawn import draw, waves
from wideseek.codec import read_rollouts
from wideseek.errors import ContractViolation, InvalidRequest
from wideseek.rollout import Rollout, RolloutStatus, TurnMask
from wideseek.trajectory import Role
from wideseek.values import Frozen

JOB = "job:"
"""What a name begins with that stands for a job's stored rollouts."""

log = get_logger(__name__)


class Demonstration(Frozen):
    """A rollout to be learnt from."""

    stored: StoredRollout
    shape: RolloutShape
    """A group of its own, without a reward."""
    masks: tuple[TurnMask, ...]
    """Turns that are not learnt from."""


@dataclass(frozen=True)
class Demonstrations:
    """What `data.demonstrations` names. Blocks: call it through `asyncio.to_thread`."""

    store: RolloutStore
    job_id: str
    """The job that learns; rollouts of files are stored under it, so that manifests can name them."""
    subagents: int | None = None
    """Subagents of a demonstration that are learnt from; None: all of them."""
    max_context: int | None = None
    """Tokens of prompt and completion of the longest turn that is learnt from."""
    least_reward: float = 0.0
    """A rollout with rewards must have more than this by one of them."""

    def read(self, names: Sequence[str]) -> list[Demonstration]:
        """All that is fit, by rollout id, so that the order does not depend on where they lay.

        Raises `InvalidRequest` naming what is no file or job, holds no rollout, or when nothing is fit;
        `StoreUnavailable`.
        """
        found = {
            entry.rollout_id: self._demonstration(entry, rollout)
            for name in names
            for entry, rollout in self._named(name)
        }
        listed = [one for _, one in sorted(found.items()) if one is not None]
        if not listed:
            raise InvalidRequest(
                f"data.demonstrations: none of {len(found)} rollouts in {', '.join(names)} has exact tokens and ended "
                "well; record some of an engine that returns token ids"
            )
        log.info("demonstrations_read", fit=len(listed), of=len(found))
        return listed

    def _named(self, name: str) -> Iterator[tuple[StoredRollout, Rollout]]:
        pairs = self._of_job(name.removeprefix(JOB)) if name.startswith(JOB) else self._of_file(Path(name))
        first = next(pairs, None)
        if first is None:
            raise InvalidRequest(f"data.demonstrations: {name} holds no rollout that can be learnt from")
        yield first
        yield from pairs

    def _of_job(self, job_id: str) -> Iterator[tuple[StoredRollout, Rollout]]:
        rewards = self.store.reward_uris(job_id)
        for entry in self.store.scan(job_id):
            if entry.status is RolloutStatus.OK and self._earned(rewards.get(entry.rollout_id, ())):
                try:
                    yield entry, self.store.get(entry.uri, entry.sha256)
                except RolloutCorrupt as error:
                    log.warning("demonstration_corrupt", rollout=entry.rollout_id, why=str(error))

    def _of_file(self, path: Path) -> Iterator[tuple[StoredRollout, Rollout]]:
        try:
            with path.open("rb") as stream:
                for rollout in read_rollouts(stream):
                    if rollout.status is RolloutStatus.OK:
                        yield self.store.put(rollout, self.job_id), rollout
        except OSError as error:
            raise InvalidRequest(f"data.demonstrations: {path}: {error.strerror or error}") from error
        except ContractViolation as error:
            raise InvalidRequest(f"data.demonstrations: {path}: {error}") from error

    def _demonstration(self, stored: StoredRollout, rollout: Rollout) -> Demonstration | None:
        """None for a rollout that leaves nothing to learn from."""
        left_out = _not_drawn(rollout, self.subagents)
        masks = demonstration_masks(rollout, left_out=left_out, max_context=self.max_context)
        shape = demonstration_shape(rollout, masks)
        if not any(agent.trained_tokens for agent in shape.agents):
            return None
        return Demonstration(stored=stored, shape=shape, masks=masks)

    def _earned(self, uris: Sequence[str]) -> bool:
        """Whether it has no reward, or more than is wanted at least."""
        totals = [self.store.get_reward(uri).total for uri in uris]
        return not totals or max(totals) > self.least_reward


def _not_drawn(rollout: Rollout, number: int | None) -> frozenset[str]:
    """Ids of the subagents that are not learnt from: all but `number`, drawn by the rollout's id, wave by wave in turn.

    A lead hands out few subtasks that find the rows and many that look them up: each kind comes before more of one.
    """
    names = frozenset(agent.agent_id for agent in rollout.agents if agent.role is Role.SUBAGENT)
    return frozenset() if number is None else names - draw(waves(rollout), number, seed=rollout.rollout_id)
