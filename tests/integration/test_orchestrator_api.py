"""The HTTP door, over real HTTP and a real Redis."""

from tests.integration.orchestrator_replica import QUERY, replica


async def test_a_query_is_taken_in_worked_on_and_answered(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        response = await orchestrator.http.post("/v1/widesearch", json=QUERY)
        run = await orchestrator.get(response.json()["id"], wait=10)

    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/widesearch/{run['id']}"
    assert run["status"] == "completed"
    assert run["table"] == {"columns": ["Country", "Capital"], "rows": [["Niger", "Niamey"]]}
    assert run["model"] == "expert"
