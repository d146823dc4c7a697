"""A rolling restart under load: nothing lost, nothing finished twice."""

import signal
from collections import Counter

from tests.integration.delivery_cluster import Cluster, stop_softly

SUBTASKS = 120


async def test_a_rolling_restart_loses_and_doubles_nothing(redis_url: str) -> None:
    times = {"visibility_timeout_s": 3, "lease_interval_s": 0.5, "soft_shutdown_timeout_s": 1.5}
    with Cluster(redis_url, slots=12, **times) as cluster:
        first, second = cluster.start(), cluster.start()
        plans = {f"t{index}": {"seconds": 0.5 + index % 5 * 0.5} for index in range(SUBTASKS)}

        await cluster.publish_all(plans)
        cluster.wait_for("finished", 20, seconds=15)
        stop_softly(first)
        third = cluster.start()
        cluster.wait_for("finished", 50, seconds=15)
        second.kill()
        fourth = cluster.start()
        cluster.wait_for("finished", 80, seconds=15)
        stop_softly(third, signal.SIGTERM)
        cluster.wait_for("finished", SUBTASKS, seconds=30)

        cluster.wait_for_settled()
        assert Counter(cluster.names("finished")) == dict.fromkeys(plans, 1)
        assert cluster.names("poisoned") == []
        assert len(cluster.names("started")) > SUBTASKS, "the kill must have interrupted something"
        assert (first.wait(5), third.wait(5), fourth.poll()) == (0, 0, None)
