"""Somebody dies while a run is in flight: the run ends as it should, and nothing counts twice."""

import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.processes import Cluster, cluster, most_at_once, start_services, start_worker

NAMES = ["Mali", "Chad", "Niger", "Ghana", "Kenya", "Togo"]
QUERY = {
    "query": f"For {', '.join(NAMES[:-1])} and {NAMES[-1]}: Country, Capital (name of the capital city).",
    "columns": ["Country", "Capital"],
}


@pytest.fixture
def slow(tmp_path_factory: pytest.TempPathFactory, whole: Cluster) -> Iterator[Cluster]:
    """A cluster of its own whose engine takes a second a completion; it shares the index that is built."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "home").mkdir()
    (folder / "home" / "indexes").symlink_to(whole.folder / "home" / "indexes")
    with cluster(folder) as parts:
        parts.start(
            "slow",
            "tests.e2e.slow_engine",
            prefix="SLOW",
            env={"SLOW_UPSTREAM": whole.url("model"), "SLOW_SECONDS": "1"},
        )
        parts.env["MODEL_URL"] = parts.url("slow")
        start_services(parts, workers=2, model=False)
        yield parts


def in_flight(run: dict[str, object]) -> bool:
    progress = run["progress"]
    assert isinstance(progress, dict)
    return bool(progress["subagents"]["running"] >= 3)


def assert_counted_once(parts: Cluster, run_id: str) -> None:
    events = parts.events(run_id)
    ends = Counter(event["subtask_id"] for event in events if event["type"] == "subagent.completed")
    queued = Counter(event["subtask_id"] for event in events if event["type"] == "subagent.queued")
    assert set(ends.values()) == {1}
    assert set(queued.values()) == {1}
    assert ends.keys() == queued.keys()
    run = parts.run(run_id)
    assert run["progress"]["subagents"]["completed"] == len(NAMES)
    assert sorted(row[0] for row in run["table"]["rows"]) == sorted(NAMES)


def test_a_killed_worker_costs_no_subtask_and_none_counts_twice(slow: Cluster) -> None:
    run_id = slow.post(QUERY)["id"]
    slow.wait_for(run_id, in_flight, what="subagents in flight")

    slow.end("worker-0", signal.SIGKILL)

    run = slow.finished(run_id)
    assert run["status"] == "completed", run
    assert_counted_once(slow, run_id)


def test_every_worker_killed_and_one_restarted_finishes_the_run(slow: Cluster) -> None:
    run_id = slow.post(QUERY)["id"]
    slow.wait_for(run_id, in_flight, what="subagents in flight")

    slow.end("worker-0", signal.SIGKILL)
    slow.end("worker-1", signal.SIGKILL)
    start_worker(slow, "worker-2")

    assert slow.finished(run_id)["status"] == "completed"
    assert_counted_once(slow, run_id)


def test_a_killed_orchestrator_is_followed_by_another(slow: Cluster) -> None:
    run_id = slow.post(QUERY)["id"]
    slow.wait_for(run_id, in_flight, what="subagents in flight")

    slow.end("orchestrator", signal.SIGKILL)
    slow.start("orchestrator", "services.orchestrator.main", prefix="ORCHESTRATOR", env={"ORCHESTRATOR_LEASE_S": "2"})
    slow.wait_ready("orchestrator")

    run = slow.finished(run_id)
    assert run["status"] == "completed", run
    assert_counted_once(slow, run_id)
    claims = [event for event in slow.events(run_id) if event["type"] == "run.claimed"]
    assert [claim["claim"] for claim in claims] == [1, 2]


def test_a_single_agent_outlives_its_killed_orchestrator(slow: Cluster) -> None:
    run_id = slow.post({**QUERY, "mode": "single_agent"})["id"]
    slow.wait_for(run_id, lambda run: run["progress"]["turn"] >= 2, what="the second turn")

    slow.end("orchestrator", signal.SIGKILL)
    slow.start("orchestrator", "services.orchestrator.main", prefix="ORCHESTRATOR", env={"ORCHESTRATOR_LEASE_S": "2"})
    slow.wait_ready("orchestrator")

    run = slow.finished(run_id)
    assert run["status"] == "completed", run
    assert sorted(row[0] for row in run["table"]["rows"]) == sorted(NAMES)
    events = slow.events(run_id)
    assert [event["claim"] for event in events if event["type"] == "run.claimed"] == [1, 2]
    turns = [event["turn"] for event in events if event["type"] == "turn.completed"]
    assert turns == list(range(1, len(turns) + 1))
    results = Counter((event["turn"], event["index"]) for event in events if event["type"] == "tool.completed")
    assert set(results.values()) == {1}


def test_a_sequence_goes_on_after_a_killed_orchestrator(slow: Cluster) -> None:
    run_id = slow.post({**QUERY, "mode": "sequential"})["id"]
    slow.wait_for(run_id, lambda run: run["progress"]["subagents"]["completed"] >= 1, what="the first report")

    slow.end("orchestrator", signal.SIGKILL)
    slow.start("orchestrator", "services.orchestrator.main", prefix="ORCHESTRATOR", env={"ORCHESTRATOR_LEASE_S": "2"})
    slow.wait_ready("orchestrator")

    assert slow.finished(run_id)["status"] == "completed"
    assert_counted_once(slow, run_id)
    assert most_at_once(slow.events(run_id)) == 1


def test_a_cancel_is_proved(slow: Cluster) -> None:
    run_id = slow.post(QUERY)["id"]
    slow.wait_for(run_id, in_flight, what="subagents in flight")

    answer = slow.request("POST", f"/v1/widesearch/{run_id}/cancel")

    assert answer.status_code == 202
    run = slow.finished(run_id, seconds=10)
    assert run["status"] == "cancelled"
    proof = run["cancellation"]
    assert proof["stopped_at"] - proof["requested_at"] < 5
    assert proof["workers_stopped"] >= 3
    assert slow.request("POST", f"/v1/widesearch/{run_id}/cancel").json()["status"] == "cancelled"


def test_a_dead_retrieval_service_fails_the_run_by_name(slow: Cluster) -> None:
    slow.end("worker-0")
    slow.end("worker-1")
    slow.env["WORKER_PATIENCE_S"] = "1"
    start_worker(slow, "worker-2")
    slow.wait_ready("worker-2")
    run_id = slow.post(QUERY)["id"]
    slow.wait_for(run_id, lambda run: run["progress"]["turn"] >= 1, what="the lead's first turn")

    slow.end("retrieval", signal.SIGKILL)

    run = slow.finished(run_id)
    assert run["status"] == "failed", run
    assert run["error"]["service"] == "retrieval"
    assert run["table"] is None
    refused = slow.request("POST", "/v1/widesearch", json=QUERY)
    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    assert "retrieval" in refused.json()["detail"]
