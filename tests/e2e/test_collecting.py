"""Groups collected through the whole cluster: a policy's are rewarded, demonstrations are for supervised training."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.rollouts.index import RolloutIndex
from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.asker import Pace
from services.trainer.collect.attempts import Pupil
from services.trainer.collect.collector import Collector, Means
from services.trainer.collect.demonstrations import Demonstrations
from services.trainer.collect.evaluate import VersionEvaluation
from services.trainer.collect.groups import CollectedGroup
from services.trainer.collect.scoring import Scoring
from services.trainer.collect.source import TaskSource
from services.trainer.config import JobConfig
from services.trainer.folder import JobRecord
from tests.collect_parts import collecting
from tests.e2e.processes import Cluster, cluster, start_worker
from tests.evaluation_parts import PIPELINE
from wideseek.clients.orchestrator import Orchestrator
from wideseek.errors import InvalidRequest
from wideseek.instances import Question, WideTask

GOLD = "| Country | Capital |\n| --- | --- |\n| Mali | Bamako |\n| Chad | N'Djamena |\n| Niger | Niamey |"
WIDE = WideTask.model_validate(
    {
        "instance_id": "capitals",
        "query": "For Mali, Chad and Niger: Country, Capital (name of the capital city).",
        "evaluation": {"required": ["country", "capital"], "unique_columns": ["country"], "eval_pipeline": PIPELINE},
        "answer": GOLD,
    }
)
QUESTION = Question(instance_id="mali", question="What is the capital of Mali?", answers=("Bamako",))
CONFIG = JobConfig.model_validate(
    {
        "data": {"wide": ["w.jsonl"], "questions": ["q.jsonl"]},
        "rollouts": {"group_size": 2, "groups_per_step": 2, "max_staleness": 0},
        "evaluation": {"trials": 1},
    }
)
PACE = Pace(backoff_s=0.1, longest_s=1.0, poll_s=5.0)


def store_of(parts: Cluster) -> RolloutStore:
    return RolloutStore.open(str(parts.folder / "home" / "rollouts"))


@asynccontextmanager
async def opened(parts: Cluster, folder: Path, job_id: str) -> AsyncIterator[Collector]:
    """A collector of a job over the cluster's own doors, killed at the end."""
    redis = connect(parts.redis_url, max_connections=8)
    async with Orchestrator(parts.url("orchestrator")) as runs:
        means = Means(
            runs=runs,
            store=store_of(parts),
            index=RolloutIndex(redis, Keys("dev")),
            source=TaskSource([WIDE], [QUESTION], share=0.5, seed=0),
            journal=folder / "groups.jsonl",
            scoring=Scoring(),
            pace=PACE,
        )
        try:
            async with collecting(Collector(Pupil(job_id, CONFIG, "expert"), means), seconds=120) as collector:
                yield collector
        finally:
            await redis.aclose()


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory, whole: Cluster) -> Iterator[Cluster]:
    """A cluster of its own whose engine passes for a policy."""
    with cluster(tmp_path_factory.mktemp("school")) as parts:
        parts.ports["retrieval"] = whole.ports["retrieval"]
        upstream = {"PLAIN_UPSTREAM": whole.url("model")}
        parts.start("model", "tests.e2e.plain_engine", prefix="PLAIN", env=upstream)
        parts.wait_ready("model")
        parts.start("orchestrator", "services.orchestrator.main", prefix="ORCHESTRATOR")
        start_worker(parts, "worker-0")
        parts.wait_ready("orchestrator", "worker-0")
        yield parts


async def test_groups_come_back_rewarded_and_a_killed_collector_pays_for_none_twice(
    school: Cluster, tmp_path: Path
) -> None:
    async def collected() -> list[CollectedGroup]:
        async with opened(school, tmp_path, "learns") as collector:
            return await collector.take(2)

    first = await collected()
    again = await collected()

    assert again == first
    assert {group.kind for group in first} == {"wide", "question"}
    rollouts = [rollout for group in first for rollout in group.rollouts]
    assert [rollout.stored.job_id for rollout in rollouts] == ["learns"] * 4
    assert all(rollout.reward.components["answer"] == 1 for rollout in rollouts)
    assert all(rollout.reward.total > 1 and rollout.reward.valid for rollout in rollouts)
    wide = next(group for group in first if group.kind == "wide")
    assert {len(rollout.shape.agents) for rollout in wide.rollouts} == {4}
    assert all(agent.trained_tokens for rollout in rollouts for agent in rollout.shape.agents)
    assert {rollout.stored.split for rollout in rollouts} == {"train"}
    assert len(list(store_of(school).scan("learns"))) == 4


async def test_a_fixed_version_is_evaluated_through_the_cluster(school: Cluster) -> None:
    async with Orchestrator(school.url("orchestrator")) as runs:
        job = JobRecord(job_id="learns", created_at=0, config=CONFIG, rollouts_root="")
        model = Pupil("learns", CONFIG, "expert").model
        scores = await VersionEvaluation(job, runs, [WIDE, QUESTION], model).evaluate(0)

    assert {score.metric: score.mean for score in scores} == {
        "item_f1": 1.0,
        "row_f1": 1.0,
        "success": 1.0,
        "em": 1.0,
        "judged": 1.0,
    }


async def test_demonstrations_are_refused_for_rewards_and_taken_for_supervised_training(
    whole: Cluster, tmp_path: Path
) -> None:
    async with opened(whole, tmp_path, "shown") as collector:
        with pytest.raises(InvalidRequest, match=r"is a demonstration.*mode: sft"):
            await collector.take(2)

    found = await asyncio.to_thread(Demonstrations(store_of(whole), "learns").read, ["job:shown"])

    assert {agent.trained_tokens > 0 for demo in found for agent in demo.shape.agents} == {True}
    assert not any(demo.masks for demo in found)
