"""Delivery guarantees: a real server, real worker processes, real signals."""

import signal
import time
from collections.abc import Iterator

import pytest

from services.kit.queue import task_id
from services.worker.app import DEADLINE_GRACE_S
from tests.integration.delivery_cluster import Cluster, stop_softly
from tests.servers import free_port, running_redis


@pytest.fixture
def cluster(redis_url: str) -> Iterator[Cluster]:
    with Cluster(redis_url) as cluster:
        yield cluster


async def test_a_subtask_longer_than_the_visibility_timeout_runs_once(cluster: Cluster) -> None:
    cluster.start()
    cluster.start()

    await cluster.publish(long={"seconds": 5})
    cluster.wait_for("finished")

    cluster.wait_for_settled()
    assert cluster.attempts("long") == 1
    assert cluster.names("finished") == ["long"]


async def test_work_of_a_killed_worker_is_finished_once_by_another(cluster: Cluster) -> None:
    workers = {worker.pid: worker for worker in (cluster.start(), cluster.start())}
    await cluster.publish(orphan={"seconds": 1})
    cluster.wait_for("started")
    pid = int(cluster.names("started")[0].rsplit(":", 1)[1])

    workers[pid].kill()
    killed_at = time.monotonic()
    cluster.wait_for("finished")

    assert time.monotonic() - killed_at < 2 + 0.5 + 1 + 4, "timeout, sweep, the task itself, and room"
    cluster.wait_for_settled()
    assert cluster.attempts("orphan") == 2
    assert cluster.names("finished") == ["orphan"]


async def test_a_message_taken_by_a_worker_that_dies_before_it_looks_is_not_lost(cluster: Cluster) -> None:
    victim = cluster.start()
    cluster.wait(cluster.waits_for_work, "a worker blocked on the queue")
    victim.send_signal(signal.SIGSTOP)

    await cluster.publish(unseen={})
    cluster.wait(lambda: cluster.queued() == 0, "the server to hand the message to the frozen worker")
    victim.kill()
    cluster.start()
    cluster.wait_for("finished")

    cluster.wait_for_settled()
    assert cluster.names("finished") == ["unseen"]
    assert cluster.attempts("unseen") == 1
    assert cluster.redis.exists("ws:delivery:sub.interactive.taken") == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_a_stopping_worker_puts_unfinished_work_back(cluster: Cluster, sent: signal.Signals) -> None:
    worker = cluster.start()
    await cluster.publish(long={"seconds": 30})
    cluster.wait_for("started")

    stopped_at = time.monotonic()
    stop_softly(worker, sent)
    exit_code = worker.wait(10)

    assert 1 <= time.monotonic() - stopped_at < 6, "the soft timeout is 1 s"
    assert exit_code == 0
    assert cluster.names("cleaned_up") == ["long"]
    assert (cluster.queued(), cluster.unacknowledged()) == (1, 0)


async def test_work_that_ends_while_the_worker_stops_is_acknowledged(redis_url: str) -> None:
    with Cluster(redis_url, visibility_timeout_s=12, soft_shutdown_timeout_s=10) as cluster:
        worker = cluster.start()
        await cluster.publish(short={"seconds": 1})
        cluster.wait_for("started")

        stopped_at = time.monotonic()
        stop_softly(worker)
        worker.wait(10)

        assert time.monotonic() - stopped_at < 5, "it need not sit out the soft timeout"
        assert cluster.names("finished") == ["short"]
        assert (cluster.queued(), cluster.unacknowledged()) == (0, 0)


async def test_a_stopping_worker_takes_nothing_new(redis_url: str) -> None:
    with Cluster(redis_url, visibility_timeout_s=6, soft_shutdown_timeout_s=3) as cluster:
        worker = cluster.start()
        await cluster.publish(first={"until_draining": True, "seconds": 30})
        cluster.wait_for("started")
        stop_softly(worker)
        cluster.wait_for("draining")

        await cluster.publish(second={}, third={})
        worker.wait(10)

        assert cluster.names("finished") == []
        assert (cluster.queued(), cluster.unacknowledged()) == (3, 0)


async def test_told_again_a_worker_cancels_before_its_soft_timeout(redis_url: str) -> None:
    with Cluster(redis_url, visibility_timeout_s=25, soft_shutdown_timeout_s=20) as cluster:
        worker = cluster.start()
        await cluster.publish(long={"seconds": 30})
        cluster.wait_for("started")

        def told_again() -> bool:
            stop_softly(worker)
            return bool(cluster.names("cleaned_up"))

        cluster.wait(told_again, "the cleanup", seconds=5)
        worker.wait(5)

        assert (cluster.queued(), cluster.unacknowledged()) == (1, 0)


async def test_a_user_cancel_acknowledges_and_cleans_up(cluster: Cluster) -> None:
    cluster.start()
    await cluster.publish(unwanted={"seconds": 30})
    cluster.wait_for("started")

    cluster.redis.publish("cancel", task_id("r", "unwanted", 1))
    cluster.wait_for("cleaned_up")

    cluster.wait_for_settled()
    assert cluster.attempts("unwanted") == 1
    assert cluster.names("finished") == []


async def test_a_subagent_that_finds_its_run_cancelled_is_acknowledged(cluster: Cluster) -> None:
    cluster.start()

    await cluster.publish(late={"give_up": True})
    cluster.wait_for("started")

    cluster.wait_for_settled()
    assert cluster.attempts("late") == 1


async def test_a_message_that_kills_its_worker_stops_at_three_attempts(redis_url: str) -> None:
    with Cluster(redis_url, visibility_timeout_s=1.5, lease_interval_s=0.3, soft_shutdown_timeout_s=0.5) as cluster:
        await cluster.publish(poison={"kill_me": True})

        for _ in range(3):
            assert cluster.start(ready=False).wait(10) == -signal.SIGKILL
        survivor = cluster.start()
        cluster.wait_for("poisoned")

        cluster.wait_for_settled()
        assert survivor.poll() is None, "the fourth looked at the count and gave up"
        assert cluster.names("finished") == []


async def test_an_unexpected_error_is_tried_again_and_stops_at_three(cluster: Cluster) -> None:
    cluster.start()

    await cluster.publish(broken={"raise": "unexpected"})
    cluster.wait_for("poisoned")

    cluster.wait_for_settled()
    assert cluster.attempts("broken") == 4
    assert cluster.names("finished") == []


async def test_a_subagent_that_overruns_its_deadline_is_cancelled_and_not_tried_again(cluster: Cluster) -> None:
    cluster.start()
    deadline = time.time() + 1 - DEADLINE_GRACE_S

    await cluster.publish(deadline, overrunning={"seconds": 30})
    cluster.wait_for("cleaned_up")

    cluster.wait_for_settled()
    assert cluster.attempts("overrunning") == 1
    seen = cluster.redis.hgetall("delivery:overrunning")
    assert float(seen["deadline"]) == deadline
    assert time.time() - 30 < float(seen["enqueued_at"]) <= time.time()


async def test_a_worker_takes_no_more_than_it_has_slots(redis_url: str) -> None:
    with Cluster(redis_url, slots=2) as cluster:
        cluster.start()

        await cluster.publish_all({f"t{index}": {"seconds": 1.5} for index in range(5)})
        cluster.wait_for("started", 2)

        assert (cluster.queued(), cluster.unacknowledged()) == (3, 2)
        cluster.wait_for("finished", 5)


async def test_a_lost_connection_loses_and_doubles_nothing(cluster: Cluster) -> None:
    cluster.start()
    await cluster.publish(shaken={"seconds": 2})
    cluster.wait_for("started")

    cluster.redis.client_kill_filter(_type="normal", skipme=True)
    cluster.wait_for("finished", seconds=14)

    cluster.wait_for_settled()
    assert cluster.names("finished") == ["shaken"]


async def test_the_lease_is_a_sign_of_life(cluster: Cluster) -> None:
    cluster.start()
    await cluster.publish(first={"seconds": 1})
    cluster.wait_for("finished")

    await cluster.publish(second={})
    cluster.wait_for("finished", 2)

    age_s = float(cluster.redis.hget("delivery:second", "lease_age_s") or -1)
    assert 0 < age_s < 0.4 + 0.5, "the interval is 0.4 s"


async def test_a_worker_consumes_again_after_its_server_was_restarted() -> None:
    port = free_port()
    with Cluster(f"redis://127.0.0.1:{port}/0") as cluster:
        with running_redis(port):
            cluster.start()

        with running_redis(port):
            await cluster.publish(after={})
            cluster.wait_for("finished", seconds=14)

            cluster.wait_for_settled()
            assert cluster.names("finished") == ["after"]


async def test_a_busy_worker_stops_while_its_server_is_away() -> None:
    port = free_port()
    with Cluster(f"redis://127.0.0.1:{port}/0") as cluster:
        with running_redis(port):
            worker = cluster.start()
            await cluster.publish(long={"seconds": 30})
            cluster.wait_for("started")

        stop_softly(worker)

        worker.wait(12)
