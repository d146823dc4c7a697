"""A query in, a table out: the whole cluster, real parts."""

from itertools import pairwise

import httpx

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.runlog import RunLog
from tests.e2e.processes import Cluster
from wideseek.events import ToolCompleted, TurnCompleted

COLUMNS = ["Country", "Capital", "Population"]
NAMED = {
    "query": "For Mali, Chad and Niger: Country, Capital (name of the capital city) and Population (number of people).",
    "columns": COLUMNS,
}


def test_a_broad_query_comes_back_as_a_table(whole: Cluster) -> None:
    run = whole.finished(whole.post(NAMED)["id"])

    assert run["status"] == "completed", run
    rows = {row[0]: row[1:] for row in run["table"]["rows"]}
    assert {name: cells[0] for name, cells in rows.items()} == {
        "Mali": "Bamako",
        "Chad": "N'Djamena",
        "Niger": "Niamey",
    }
    assert rows["Mali"][1].replace(",", "") == "22634423"
    assert run["usage"]["lead"]["model_calls"] >= 2
    assert run["progress"]["subagents"]["completed"] == 3
    assert {source["url"] for source in run["sources"]} >= {
        "factbook:africa/ml",
        "factbook:africa/cd",
        "factbook:africa/ng",
    }


async def test_the_log_holds_exact_tokens_and_where_every_text_came_from(whole: Cluster) -> None:
    run = whole.finished(whole.post(NAMED)["id"])

    async with connect(whole.redis_url) as redis:
        events = [logged.event for logged in await RunLog(redis, Keys("dev")).read(run["id"])]
    turns = [event for event in events if isinstance(event, TurnCompleted)]
    reads = [event.result for event in events if isinstance(event, ToolCompleted) and event.result.sources]
    assert all(
        turn.completion.trainable and len(turn.completion.logprobs) == len(turn.completion.token_ids) for turn in turns
    )
    by_agent: dict[str, list[TurnCompleted]] = {}
    for turn in turns:
        by_agent.setdefault(turn.agent_id, []).append(turn)
    for taken in by_agent.values():
        for before, after in pairwise(taken):
            grown = before.completion.prompt_token_ids + before.completion.token_ids
            assert after.completion.prompt_token_ids[: len(grown)] == grown
    for source in {source for result in reads for source in result.sources}:
        page = whole.request("GET", f"/v1/pages/{source.content_sha256}", to="retrieval").json()
        assert page["url"] == source.url
        assert page["text"][source.start : source.end]


def test_the_stream_resumes_where_it_was_left(whole: Cluster) -> None:
    run = whole.finished(whole.post(NAMED)["id"])

    everything = [event for event in whole.events(run["id"]) if "sequence_number" in event]
    middle = everything[len(everything) // 2]["sequence_number"]
    rest = [event for event in whole.events(run["id"], after=middle) if "sequence_number" in event]
    assert [event["sequence_number"] for event in everything] == list(range(1, len(everything) + 1))
    assert rest == everything[middle:]
    assert everything[0]["type"] == "run.created"
    assert everything[-1]["type"] == "run.completed"


def test_the_table_comes_in_each_format(whole: Cluster) -> None:
    run = whole.finished(whole.post(NAMED)["id"])

    texts = {
        form: whole.request("GET", f"/v1/widesearch/{run['id']}/table?format={form}").text
        for form in ("json", "md", "csv")
    }

    assert '"columns"' in texts["json"]
    assert texts["md"].startswith("| Country |")
    assert texts["csv"].splitlines()[0] == "Country,Capital,Population"


def test_a_bad_body_is_a_problem_that_names_the_field(whole: Cluster) -> None:
    response = whole.request("POST", "/v1/widesearch", json={"query": "", "colums": ["a"]})

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert {error["pointer"] for error in response.json()["errors"]} == {"/query", "/colums"}


def test_every_service_shows_its_metrics(whole: Cluster) -> None:
    for name in ("orchestrator", "worker-0", "retrieval", "model"):
        text = httpx.get(f"{whole.url(name)}/metrics", trust_env=False).text
        assert "wideseek_" in text, name
