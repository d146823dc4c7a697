"""Which policy is in service: the versions of a job's steps, published one after another without a gap."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.kit.policies import BASE, parse
from services.trainer.collect.attempts import Pupil
from services.trainer.conduct.ports import Learning, Served
from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder, ScoreRow
from services.trainer.ledger.manifest import Manifest
from services.trainer.ledger.versions import StepPolicy, Versions
from services.trainer.policies.probe import Alternative
from services.trainer.policies.publish import Publisher
from services.trainer.policies.records import Candidate, State
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.states import States
from wideseek.errors import Conflict


@dataclass
class OpenedPolicy:
    """The job's policy as the cluster knows it, with the base that the engines serve as its version 0."""

    job_id: str
    config: JobConfig
    fleet: Fleet
    states: States
    base_sha256: str
    base_model: str = ""
    """The engines' name of the base, once opened."""

    async def open(self) -> State:
        """The policy's state, mirrored to Redis.

        Raises `Conflict` when the engines serve another base than the job trains, or the policy is of another.
        """
        name = self.config.policy
        base = await self.fleet.require_base(self.base_sha256)
        state = await self.states.open(name, base_model=base.id, base_sha256=self.base_sha256)
        if state.base_sha256 != self.base_sha256:
            raise Conflict(
                f"model.base: policy {name} is of the base {state.base_sha256[:12]}, this one is "
                f"{self.base_sha256[:12]}; name that base, or another policy"
            )
        self.base_model = base.id
        return state

    @property
    def pupil(self) -> Pupil:
        """The policy as rollouts ask for it; to be read once opened."""
        return Pupil(job_id=self.job_id, config=self.config, base_model=self.base_model)

    def model(self, version: int) -> str:
        """The engines' name of a version; to be asked once opened."""
        return self.pupil.model(version)


@dataclass(frozen=True)
class StepScorer:
    """The learner with the weights of one step."""

    learner: Learning
    step: int

    async def score(self, rows: Sequence[ScoreRow], /) -> list[tuple[float, ...]]:
        """Natural-log probabilities of the rows. Raises `TrainerUnavailable`."""
        return await self.learner.score(rows, step=self.step)


class Unpublished:
    """For jobs whose policies stay in their folder (`publish.every: 0`)."""

    async def begin(self, step: int) -> Served:  # noqa: ARG002  # the port's signature
        """Nothing is in service but the base."""
        return Served(version=BASE, step=0)

    async def publish(self, step: int, manifest_sha256: str) -> Served:  # noqa: ARG002  # the port's signature
        """Never asked."""
        raise Conflict(f"publish.every is 0, so step {step} is not published")


@dataclass(frozen=True)
class StepPublishing:
    """Publishes the policies of one job's steps."""

    folder: JobFolder
    opened: OpenedPolicy
    registry: Registry
    publisher: Publisher
    learner: Learning

    @property
    def config(self) -> JobConfig:
        """The job's."""
        return self.opened.config

    async def begin(self, step: int) -> Served:
        """Have the newest version up to a committed step in service."""
        state = await self.opened.open()
        versions = Versions(self.folder)
        newest = versions.newest(step) or self._origin(versions)
        if newest.version == BASE:
            return Served(version=BASE, step=0)
        if newest.version in state.served and (newest.step == 0 or not self._adapter(newest.step).exists()):
            return Served(version=newest.version, step=newest.step)
        return await self._published(newest, self._manifest_sha256(newest.step))

    async def publish(self, step: int, manifest_sha256: str) -> Served:
        """Have the policy of a step in service, under the number that was decided for it or the next one."""
        versions = Versions(self.folder)
        decided = versions.assigned(step)
        if decided is None:
            before = versions.newest(step)
            number = await asyncio.to_thread(self.registry.next_version, self.config.policy)
            decided = versions.assign(step, number, BASE if before is None else before.version)
        return await self._published(decided, manifest_sha256)

    async def _published(self, decided: StepPolicy, manifest_sha256: str) -> Served:
        candidate = Candidate(
            name=self.config.policy,
            version=decided.version,
            adapter=self._adapter(decided.step),
            parent_version=decided.parent_version,
            job_id=self.opened.job_id,
            step=decided.step,
            base_sha256=self.opened.base_sha256,
            config_sha256=self.config.sha256,
            manifest_sha256=manifest_sha256,
            adaptation=self.config.model.adaptation,
        )
        published = await self.publisher.publish(
            candidate,
            StepScorer(self.learner, decided.step),
            self.config.publish,
            precision=self.config.model.precision,
            alternatives=self._alternatives(decided),
        )
        report = published.report
        return Served(
            version=decided.version,
            step=decided.step,
            scalars=published.scalars,
            histograms={} if report is None else {"parity/difference": report.differences},
        )

    def _adapter(self, step: int) -> Path:
        given = self.config.model.init_adapter
        return given if step == 0 and given is not None else self.folder.adapter(step)

    def _manifest_sha256(self, step: int) -> str:
        file = self.folder.manifest_file(step)
        return Manifest.model_validate_json(file.read_bytes()).sha256 if step else ""

    def _alternatives(self, decided: StepPolicy) -> list[Alternative]:
        """Versions that a replica must not serve in the candidate's place, as far as the learner can compute them."""
        steps: dict[int, int] = {}
        if self.config.model.init_adapter is None:
            steps[BASE] = 0
        before = Versions(self.folder).newest(decided.step - 1) if decided.step else None
        if before is not None and before.version != BASE and before.step in self.folder.committed():
            steps[before.version] = before.step
        return [Alternative(version, StepScorer(self.learner, step)) for version, step in steps.items()]

    def _origin(self, versions: Versions) -> StepPolicy:
        """What the job starts from: the base, a version that is published already, or an adapter to be published."""
        given = self.config.model.init_adapter
        if given is None:
            return StepPolicy(step=0, version=BASE)
        known = parse(given.resolve().name)
        if known and known[0] == self.config.policy and given.resolve() == self.registry.path(*known).resolve():
            return versions.assign(0, known[1], known[1])
        return versions.assign(0, self.registry.next_version(self.config.policy), BASE)
