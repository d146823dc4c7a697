"""The HTTP door, over real HTTP and a real Redis."""

import json
from typing import Any

import pytest

from tests.integration.orchestrator_replica import (
    NIGER,
    QUERY,
    Lead,
    Replica,
    Served,
    corpus,
    door,
    eventually,
    replica,
)
from wideseek.errors import ModelUnavailable, RetrievalUnavailable
from wideseek.events import RunCompleted, RunCreated, RunIncomplete

UNKNOWN = "ws_" + "0" * 26


async def refused(orchestrator: Replica, body: Any, **options: Any) -> tuple[int, dict[str, Any]]:
    """Status and problem of a refused creation; nothing may have been created."""
    response = await orchestrator.http.post("/v1/widesearch", json=body, **options)
    assert response.headers["content-type"] == "application/problem+json", response.text
    assert await orchestrator.redis.short.keys("*run:*") == []
    return response.status_code, response.json()


async def test_a_query_is_taken_in_worked_on_and_answered(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        response = await orchestrator.http.post("/v1/widesearch", json=QUERY)
        run = await orchestrator.get(response.json()["id"], wait=10)

    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/widesearch/{run['id']}"
    assert run["status"] == "completed"
    assert run["table"] == NIGER.model_dump(mode="json")
    assert run["model"] == "expert"
    assert run["links"]["events"] == f"/v1/widesearch/{run['id']}/events"


async def test_waiting_long_enough_answers_with_the_ended_run(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        response = await orchestrator.http.post("/v1/widesearch", json={**QUERY, "wait": 10})

    assert response.status_code == 200
    assert response.json()["status"] == "completed"


async def test_waiting_too_short_answers_that_the_run_goes_on(redis_url: str) -> None:
    async with replica(redis_url, Lead(end=None)) as orchestrator:
        response = await orchestrator.http.post("/v1/widesearch", json={**QUERY, "wait": 0.2})

    assert response.status_code == 202
    assert response.json()["status"] in {"queued", "in_progress"}


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        ({"query": ""}, "/query", "at least 1 character"),
        ({"query": " \n\t"}, "/query", "white space"),
        ({"query": "x" * 16_001}, "/query", "at most 16000 characters"),
        ({"querry": "x"}, "/querry", "unknown field"),
        ({"columns": []}, "/columns", "at least 1 item"),
        ({"columns": [""]}, "/columns/0/name", "at least 1 character"),
        ({"columns": [" "]}, "/columns/0/name", "white space"),
        ({"columns": ["Name", "NAME "]}, "/columns", "names must differ"),
        ({"columns": ["Name"], "primary_key": "Id"}, "/primary_key", "not among the columns"),
        ({"primary_key": ["", "Name"]}, "/primary_key/0", "must not be empty"),
        ({"limits": {"max_rows": 0}}, "/limits/max_rows", "greater than or equal to 1"),
        ({"limits": {"max_seconds": 86_401}}, "/limits/max_seconds", "less than or equal to 86400"),
        ({"limits": {"max_depth": 2}}, "/limits/max_depth", "unknown field"),
        ({"model": "gpt"}, "/model", "served: expert, policy@v1"),
        (
            {"sources": {"corpora": ["factbook", "web"]}},
            "/sources/corpora",
            "unknown corpus web; served: factbook, atlas",
        ),
        ({"prompt_profile": "terse"}, "/prompt_profile", "'full' or 'compact'"),
        ({"output": "answer", "columns": ["Name"]}, "/columns", "has no table"),
        ({"output": "answer", "primary_key": "Name"}, "/primary_key", "has no table"),
        ({"subagent_model": "gpt"}, "/subagent_model", "served: expert, policy@v1"),
        ({"subagent_model": "expert", "mode": "single_agent"}, "/subagent_model", "has no subagents"),
        ({"subagent_model": "expert", "mode": "closed_book"}, "/subagent_model", "has no subagents"),
        ({"mode": "oracle_retrieval"}, "/sources/urls", "only the pages named here"),
        ({"mode": "oracle"}, "/mode", "'multi_agent', 'single_agent'"),
        ({"sources": {"urls": ["made:a", " "]}}, "/sources/urls/1", "one line of text"),
        ({"sources": {"urls": ["made:a\n# Task"]}}, "/sources/urls/0", "one line of text"),
        ({"sources": {"urls": ["x" * 2_001]}}, "/sources/urls/0", "at most 2000 characters"),
        ({"training": {"job_id": "j"}}, "/training/job_id", "set training.opt_in or leave it out"),
        ({"training": {"attempt": 1}}, "/training/attempt", "set training.opt_in or leave it out"),
        ({"training": {"opt_in": True, "job_id": "a/b"}}, "/training/job_id", "must not contain a slash"),
        ({"training": {"opt_in": True, "job_id": "a b"}}, "/training/job_id", "letters, digits, dot"),
        ({"training": {"opt_in": True, "task_id": "a..b"}}, "/training/task_id", "must not contain .."),
        ({"training": {"opt_in": True, "split": "tr\nain"}}, "/training/split", "control characters"),
        ({"training": {"opt_in": True, "split": ""}}, "/training/split", "must not be empty"),
        ({"training": {"opt_in": True, "task_id": "x" * 201}}, "/training/task_id", "200 characters"),
        ({"training": {"opt_in": True, "group_id": "g"}}, "/training/index_in_group", "go together"),
        ({"training": {"opt_in": True, "index_in_group": 0}}, "/training/group_id", "go together"),
        ({"wait": 601}, "/wait", "less than or equal to 600"),
    ],
)
async def test_what_cannot_be_served_is_refused_naming_the_field(
    redis_url: str, fields: dict[str, Any], pointer: str, said: str
) -> None:
    async with door(redis_url) as orchestrator:
        status, problem = await refused(orchestrator, {**QUERY, **fields})

    assert status == problem["status"] == 422
    assert problem["errors"][0]["pointer"] == pointer
    assert said in problem["errors"][0]["detail"]
    assert problem["code"] == "invalid-request"
    assert problem["retryable"] is False


@pytest.mark.parametrize(
    ("default", "asked", "profile"),
    [(None, {}, "full"), ("compact", {}, "compact"), ("compact", {"prompt_profile": "full"}, "full")],
)
async def test_the_profile_that_a_run_has_is_written_down(
    redis_url: str, default: str | None, asked: dict[str, Any], profile: str
) -> None:
    settings = {"default_prompt_profile": default} if default else {}
    async with door(redis_url, **settings) as orchestrator:
        run = await orchestrator.ask(**asked)
        first = (await orchestrator.log.read(run["id"]))[0].event

    assert isinstance(first, RunCreated)
    assert first.request.prompt_profile == profile


async def test_malformed_json_is_told_from_a_bad_request(redis_url: str) -> None:
    async with door(redis_url) as orchestrator:
        headers = {"content-type": "application/json"}
        response = await orchestrator.http.post("/v1/widesearch", content=b'{"query": ', headers=headers)

    assert response.status_code == 400
    assert response.json()["code"] == "malformed-json"


@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {}])
async def test_a_body_that_is_not_json_is_refused(redis_url: str, headers: dict[str, str]) -> None:
    async with door(redis_url) as orchestrator:
        response = await orchestrator.http.post("/v1/widesearch", content=b'{"query": "x"}', headers=headers)

    assert response.status_code == 415
    assert "application/json" in response.json()["detail"]


async def test_a_body_over_the_limit_is_refused(redis_url: str) -> None:
    async with door(redis_url, max_body_bytes=2_000) as orchestrator:
        status, problem = await refused(orchestrator, {**QUERY, "metadata": {"note": "x" * 2_000}})

    assert status == 413
    assert problem["code"] == "body-too-large"


@pytest.mark.parametrize(
    ("served", "service"),
    [
        (Served(models=ModelUnavailable("ConnectError")), "model"),
        (Served(models=()), "model"),
        (Served(corpora=RetrievalUnavailable("ConnectError")), "retrieval"),
        (Served(corpora=()), "retrieval"),
        (Served(corpora=(corpus("factbook", default=True, lexical=False),)), "retrieval"),
    ],
)
async def test_an_outage_at_submit_names_the_service_and_when_to_come_back(
    redis_url: str, served: Served, service: str
) -> None:
    async with replica(redis_url, served=served) as orchestrator:
        response = await orchestrator.http.post("/v1/widesearch", json=QUERY)
        ready = await orchestrator.http.get("/readyz")

    assert response.status_code == 503
    assert response.json()["detail"].startswith(f"{service}: ")
    assert int(response.headers["retry-after"]) > 0
    assert ready.status_code == 503
    assert ready.json()["checks"][service] != "ok"
    assert ready.json()["checks"]["redis"] == "ok"


async def test_a_ready_replica_says_so_and_names_the_missing_workers(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        before = (await orchestrator.http.get("/readyz")).json()
        now = await orchestrator.redis.short.time()
        beat = json.dumps({"at": now[0], "slots": 128, "in_flight": 0})
        await orchestrator.redis.short.hset(orchestrator.redis.keys.workers, "w1", beat)
        after = (await orchestrator.http.get("/readyz")).json()

    assert before["ready"] is True
    assert before["checks"]["workers"].startswith("none live")
    assert after["checks"]["workers"] == "ok: 1 live, 128 slots"


@pytest.mark.parametrize("path", ["", "/events", "/table"])
@pytest.mark.parametrize("run_id", [UNKNOWN, "nonsense", "ws_"])
async def test_an_unknown_run_is_not_found(redis_url: str, path: str, run_id: str) -> None:
    async with door(redis_url) as orchestrator:
        response = await orchestrator.http.get(f"/v1/widesearch/{run_id}{path}")
        cancelled = await orchestrator.http.post(f"/v1/widesearch/{run_id}/cancel")

    assert response.status_code == cancelled.status_code == 404
    assert response.json()["code"] == cancelled.json()["code"] == "run-not-found"


async def test_an_expired_log_is_noticed_by_a_replica_that_knew_the_run(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        run = await orchestrator.ask(wait=10)
        await orchestrator.redis.short.delete(orchestrator.redis.keys.log(run["id"]))
        response = await orchestrator.http.get(f"/v1/widesearch/{run['id']}")

    assert response.status_code == 404


async def test_the_table_comes_in_the_format_asked_for(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        run = await orchestrator.ask(wait=10)
        path = f"/v1/widesearch/{run['id']}/table"
        as_json = await orchestrator.http.get(path)
        as_md = await orchestrator.http.get(path, params={"format": "md"})
        as_csv = await orchestrator.http.get(path, headers={"accept": "text/csv;q=0.9, */*"})
        unknown = await orchestrator.http.get(path, params={"format": "pdf"})

    assert as_json.json() == NIGER.model_dump(mode="json")
    assert as_md.text.splitlines()[2] == "| Niger | Niamey |"
    assert as_md.headers["content-type"].startswith("text/markdown")
    assert as_csv.text == "Country,Capital\r\nNiger,Niamey\r\n"
    assert unknown.status_code == 422
    assert as_json.headers["wideseek-run-status"] == "completed"


async def test_a_working_run_shows_a_provisional_table(redis_url: str) -> None:
    async with replica(redis_url, Lead(end=None)) as orchestrator:
        run = await orchestrator.ask()
        path = f"/v1/widesearch/{run['id']}/table"

        async def rows() -> bool:
            return (await orchestrator.http.get(path)).status_code == 200

        await eventually(rows, "the first row")
        response = await orchestrator.http.get(path)

    assert response.json() == NIGER.model_dump(mode="json")
    assert response.headers["wideseek-run-status"] == "in_progress"


async def test_a_queued_run_has_no_table_yet(redis_url: str) -> None:
    async with replica(redis_url, max_runs=0) as orchestrator:
        run = await orchestrator.ask()
        response = await orchestrator.http.get(f"/v1/widesearch/{run['id']}/table")

    assert response.status_code == 409
    assert response.json()["code"] == "no-table-yet"
    assert response.headers["retry-after"]


async def test_a_failed_run_has_no_table_and_says_why(redis_url: str) -> None:
    async with replica(redis_url, Lead(end=RetrievalUnavailable("ConnectError"))) as orchestrator:
        run = await orchestrator.ask(wait=10)
        response = await orchestrator.http.get(f"/v1/widesearch/{run['id']}/table")

    assert run["status"] == "failed"
    assert run["error"]["service"] == "retrieval"
    assert response.status_code == 409
    assert response.json()["code"] == "run-failed"
    assert "retrieval" in response.json()["detail"]


async def test_an_incomplete_run_without_a_table_is_not_found_a_table(redis_url: str) -> None:
    async with replica(redis_url, max_runs=0) as orchestrator:
        run = await orchestrator.ask()
        end = RunIncomplete(reason="no_table", table=None, answer_text="I could not.")
        await orchestrator.log.append(run["id"], [end])
        response = await orchestrator.http.get(f"/v1/widesearch/{run['id']}/table")

    assert response.status_code == 404
    assert response.json()["code"] == "no-table"


async def test_a_run_that_answers_a_question_has_an_answer_and_no_table(redis_url: str) -> None:
    end = RunCompleted(answer_text=r"Clearly \boxed{Niamey}.")
    async with replica(redis_url, Lead(end=end)) as orchestrator:
        run = await orchestrator.ask(output="answer", wait=10)
        response = await orchestrator.http.get(f"/v1/widesearch/{run['id']}/table")

    assert (run["output"], run["answer"], run["answer_text"]) == ("answer", "Niamey", r"Clearly \boxed{Niamey}.")
    assert response.status_code == 404
    assert response.json()["code"] == "no-table"
    assert "answers a question" in response.json()["detail"]


async def test_the_run_shows_the_limits_and_the_models_it_was_taken_in_with(redis_url: str) -> None:
    async with replica(redis_url, max_runs=0) as orchestrator:
        team = await orchestrator.ask(mode="sequential", subagent_model="policy@v1", limits={"max_turns": 3})
        alone = await orchestrator.ask(mode="single_agent", model="policy@v1")

    assert (team["model"], team["subagent_model"], team["limits"]["max_turns"]) == ("expert", "policy@v1", 3)
    assert (alone["model"], alone["subagent_model"], alone["limits"]["max_turns"]) == ("policy@v1", None, 50)


async def test_a_closed_book_needs_no_retrieval(redis_url: str) -> None:
    served = Served(corpora=RetrievalUnavailable("ConnectError"))
    async with replica(redis_url, served=served) as orchestrator:
        run = await orchestrator.ask(mode="closed_book", wait=10)
        refused = await orchestrator.http.post("/v1/widesearch", json={**QUERY, "mode": "oracle_retrieval"})

    assert run["status"] == "completed"
    assert refused.status_code == 422


async def test_the_same_key_and_body_make_one_run(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        headers = {"idempotency-key": "k1"}
        first = await orchestrator.http.post("/v1/widesearch", json=QUERY, headers=headers)
        again = await orchestrator.http.post("/v1/widesearch", json=QUERY, headers=headers)
        ttl = [await orchestrator.redis.short.ttl(key) async for key in orchestrator.redis.short.scan_iter("*idem*")]

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert ttl[0] > 86_000


async def test_a_key_with_another_body_is_refused(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        headers = {"idempotency-key": "k1"}
        await orchestrator.http.post("/v1/widesearch", json=QUERY, headers=headers)
        response = await orchestrator.http.post("/v1/widesearch", json={"query": "Other?"}, headers=headers)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "header Idempotency-Key"


async def test_a_refused_request_leaves_its_key_free(redis_url: str) -> None:
    served = Served(models=ModelUnavailable("loading"))
    async with replica(redis_url, served=served) as orchestrator:
        headers = {"idempotency-key": "k1"}
        refusal = await orchestrator.http.post("/v1/widesearch", json=QUERY, headers=headers)
        served.models = ("expert",)
        response = await orchestrator.http.post("/v1/widesearch", json=QUERY, headers=headers)

    assert refusal.status_code == 503
    assert response.status_code == 202
    assert "idempotent-replayed" not in response.headers


async def test_metrics_count_ended_runs_by_status_and_show_slots(redis_url: str) -> None:
    async with replica(redis_url, max_runs=3) as orchestrator:
        run = await orchestrator.ask(wait=10)

        async def counted() -> bool:
            return 'wideseek_runs_total{status="completed"} 1.0' in (await orchestrator.http.get("/metrics")).text

        await eventually(counted, "the run to be counted")
        text = (await orchestrator.http.get("/metrics")).text

    assert "wideseek_run_slots 3.0" in text
    assert "wideseek_run_seconds_count 1.0" in text
    assert "wideseek_subagent_queue_depth 0.0" in text
    assert run["id"] not in text
