"""A run that opts in leaves one rollout, token by token; an orchestrator killed while it writes changes nothing."""

import asyncio
import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.index import RolloutIndex
from services.kit.rollouts.store import RolloutStore
from tests.e2e.processes import Cluster, cluster, start_worker
from tests.servers import wait_until
from wideseek.rollout import AgentRecord, AgentStatus, Rollout, RolloutSource, RolloutStatus
from wideseek.trajectory import Role

NAMES = ["Mali", "Chad", "Niger"]
QUERY = {
    "query": f"For {', '.join(NAMES[:-1])} and {NAMES[-1]}: Country, Capital (name of the capital city).",
    "columns": ["Country", "Capital"],
    "sampling": {"temperature": 1.0, "seed": 3},
}


def training(job_id: str) -> dict[str, object]:
    place = {"group_id": "g", "index_in_group": 0, "task_id": "borders-1", "split": "train"}
    return {**QUERY, "training": {"opt_in": True, "job_id": job_id, **place}}


def rollouts(parts: Cluster, job_id: str) -> list[Rollout]:
    store = RolloutStore.open(str(parts.folder / "home" / "rollouts"))
    return [store.get(entry.uri, entry.sha256) for entry in store.scan(job_id)]


def indexed(parts: Cluster, job_id: str) -> list[StoredRollout]:
    async def read() -> list[StoredRollout]:
        redis = connect(parts.redis_url, max_connections=2)
        try:
            return [entry for _, entry in await RolloutIndex(redis, Keys("dev")).read(job_id)]
        finally:
            await redis.aclose()

    return asyncio.run(read())


def assert_prompts_continue(agent: AgentRecord) -> None:
    """Every prompt is the one before with what was sampled, and more: ids are never rendered anew."""
    for before, after in zip(agent.turns, agent.turns[1:], strict=False):
        told = before.prompt_token_ids + before.sampled_token_ids
        assert after.prompt_token_ids[: len(told)] == told
        assert len(after.prompt_token_ids) > len(told)


def test_a_run_that_opts_in_is_recorded_to_the_last_token(whole: Cluster) -> None:
    run = whole.finished(whole.post(training("whole"))["id"])

    [rollout] = rollouts(whole, "whole")
    lead, *subagents = rollout.agents
    assert run["status"] == "completed", run
    assert run["rollout_id"] == rollout.rollout_id
    assert [entry.rollout_id for entry in indexed(whole, "whole")] == [rollout.rollout_id]
    assert (rollout.status, rollout.source) == (RolloutStatus.OK, RolloutSource.DEMONSTRATION)
    assert rollout.answer_text == run["answer_text"]
    assert rollout.answer_hash == hashlib.sha256(run["answer_text"].encode()).hexdigest()
    assert rollout.corpus_hash
    assert [agent.role for agent in rollout.agents] == [Role.LEAD, *[Role.SUBAGENT] * len(NAMES)]
    assert {agent.status for agent in rollout.agents} == {AgentStatus.ANSWERED}
    assert {agent.parent_agent_id for agent in subagents} == {lead.agent_id}
    turns = [turn for agent in rollout.agents for turn in agent.turns]
    assert all(turn.trainable and turn.model_name == "expert" for turn in turns)
    assert all(turn.sampling.temperature == 1.0 and turn.sampling.max_tokens > 0 for turn in turns)
    assert sum(len(turn.sampled_token_ids) for turn in turns) == run["usage"]["total"]["completion_tokens"]
    assert sum(len(turn.prompt_token_ids) for turn in turns) == run["usage"]["total"]["prompt_tokens"]
    for agent in rollout.agents:
        assert_prompts_continue(agent)


def test_a_run_that_does_not_opt_in_leaves_nothing(whole: Cluster) -> None:
    before = {path for path in (whole.folder / "home" / "rollouts").rglob("*") if path.is_file()}

    run = whole.finished(whole.post(QUERY)["id"])

    after = {path for path in (whole.folder / "home" / "rollouts").rglob("*") if path.is_file()}
    assert (run["status"], run["rollout_id"]) == ("completed", None)
    assert after == before
    assert "rollout.sealed" not in {event["type"] for event in whole.events(run["id"])}


@pytest.fixture
def mine(tmp_path: Path, whole: Cluster) -> Iterator[Cluster]:
    """A cluster of its own, on the retrieval service and the engine that are there."""
    with cluster(tmp_path) as parts:
        parts.ports |= {name: whole.ports[name] for name in ("model", "retrieval")}
        parts.env["ORCHESTRATOR_LEASE_S"] = "1"
        start_worker(parts, "worker-0")
        parts.wait_ready("worker-0")
        yield parts


@pytest.mark.parametrize("at", ["before_object", "after_object", "after_index"])
def test_an_orchestrator_killed_while_it_ends_a_run_leaves_one_rollout(mine: Cluster, tmp_path: Path, at: str) -> None:
    reached = tmp_path / "reached"
    stall = {"STALL_AT": at, "STALL_REACHED": str(reached)}
    mine.start("orchestrator", "tests.e2e.stalling_orchestrator", prefix="ORCHESTRATOR", env=stall)
    mine.wait_ready("orchestrator")
    run_id = mine.post(training("killed"))["id"]
    wait_until(reached.exists, seconds=60, what="the orchestrator to reach its place")
    before = rollouts(mine, "killed")

    mine.end("orchestrator", signal.SIGKILL)
    mine.start("orchestrator", "services.orchestrator.main", prefix="ORCHESTRATOR")
    mine.wait_ready("orchestrator")
    run = mine.finished(run_id)

    [rollout] = rollouts(mine, "killed")
    assert run["status"] == "completed", run
    assert run["rollout_id"] == rollout.rollout_id
    assert before == ([] if at == "before_object" else [rollout])
    assert {entry.rollout_id for entry in indexed(mine, "killed")} == {rollout.rollout_id}
    assert len(rollout.agents) == 1 + len(NAMES)
    events = mine.events(run_id)
    assert [event["claim"] for event in events if event["type"] == "run.claimed"] == [1, 2]
    assert sum(event["type"] == "rollout.sealed" for event in events) == 1
