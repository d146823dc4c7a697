"""What an operator sees of a living cluster."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.processes import Cluster
from tests.manifests import named, rendered
from tests.promql import evaluate, samples
from tests.redis_keys import undocumented

NAMES = ["Mali", "Chad", "Niger", "Ghana", "Kenya", "Togo", "Benin", "Egypt"]
QUERY = {"query": f"For {', '.join(NAMES)}: Country and Population (total).", "columns": ["Country", "Population"]}
SLOTS = 32


def pages(cluster: Cluster) -> list[str]:
    """The metrics of every process that the autoscaler's query sums over."""
    return [httpx.get(f"{cluster.url(name)}/metrics", trust_env=False).text for name in ("orchestrator", "worker-0")]


def scaler_query() -> str:
    scaled = named(rendered("base"), "ScaledObject", "worker")
    query: str = scaled["spec"]["triggers"][0]["metadata"]["query"]
    return query


def test_the_autoscalers_query_is_computed_from_live_metrics(whole: Cluster) -> None:
    query, loads, started = scaler_query(), [], time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(lambda: whole.finished(whole.post(QUERY)["id"]))
        while not run.done() and time.monotonic() - started < 90:
            load = evaluate(query, pages(whole))
            assert load is not None
            loads.append(load)

    assert run.result()["status"] == "completed"
    assert evaluate(query, pages(whole)) == 0
    assert 0 < max(loads) <= len(NAMES) / SLOTS
    assert samples("wideseek_subagent_slots", {}, pages(whole)) == [SLOTS]


def test_a_living_cluster_leaves_no_undocumented_key(whole: Cluster) -> None:
    whole.finished(whole.post(QUERY)["id"])

    assert undocumented(whole.redis_url, "dev") == []


def test_readiness_names_every_dependency(whole: Cluster) -> None:
    checks = whole.request("GET", "/readyz").json()["checks"]

    assert {"redis", "model", "retrieval", "workers"} <= checks.keys()


@pytest.mark.parametrize("name", ["orchestrator", "worker-0", "retrieval"])
def test_liveness_asks_nobody_else(whole: Cluster, name: str) -> None:
    response = httpx.get(f"{whole.url(name)}/healthz", trust_env=False)

    assert response.json() == {"status": "ok"}
