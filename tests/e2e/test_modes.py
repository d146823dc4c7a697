"""One query in every mode, on the whole cluster: what each mode uses, and what comes of it."""

from typing import Any

import pytest

from tests.e2e.processes import Cluster, most_at_once

QUERY = {
    "query": "For Mali, Chad and Niger: Country, Capital (name of the capital city) and Population (number of people).",
    "columns": ["Country", "Capital", "Population"],
}
CAPITALS = {"Mali": "Bamako", "Chad": "N'Djamena", "Niger": "Niamey"}
GOLD = ["factbook:africa/ml", "factbook:africa/cd", "factbook:africa/ng"]


def asked(whole: Cluster, mode: str, **fields: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The ended run and its events."""
    run = whole.finished(whole.post({**QUERY, "mode": mode, **fields})["id"])
    assert run["mode"] == mode
    return run, whole.events(run["id"])


def capitals(run: dict[str, Any]) -> dict[str, str]:
    assert run["status"] == "completed", run
    return {row[0]: row[1] for row in run["table"]["rows"]}


def called(events: list[dict[str, Any]]) -> set[str]:
    return {event["call"]["name"] for event in events if event["type"] == "tool.called"}


def roles(events: list[dict[str, Any]]) -> set[str]:
    return {event["role"] for event in events if event["type"] == "turn.completed"}


def test_a_team_works_side_by_side(whole: Cluster) -> None:
    run, events = asked(whole, "multi_agent")

    assert capitals(run) == CAPITALS
    assert most_at_once(events) == 3
    assert roles(events) == {"lead", "subagent"}


def test_a_single_agent_answers_alone(whole: Cluster) -> None:
    run, events = asked(whole, "single_agent")

    assert capitals(run) == CAPITALS
    assert roles(events) == {"single"}
    assert called(events) <= {"search", "access"}
    assert most_at_once(events) == 0
    assert run["limits"]["max_turns"] == 50
    assert set(run["usage"]) == {"single", "total"}
    assert {source["url"] for source in run["sources"]} >= set(GOLD)


def test_in_sequence_no_two_subagents_ever_overlap(whole: Cluster) -> None:
    run, events = asked(whole, "sequential")

    assert capitals(run) == CAPITALS
    assert most_at_once(events) == 1
    assert run["progress"]["subagents"]["completed"] == 3


def test_a_closed_book_searches_nothing_and_the_expert_knows_nothing(whole: Cluster) -> None:
    run, events = asked(whole, "closed_book")

    assert called(events) == set()
    assert run["usage"]["total"]["tool_calls"] == 0
    assert run["usage"]["total"]["model_calls"] == 1
    assert run["status"] == "incomplete"
    assert run["incomplete_reason"] == "no_facts"
    assert run["limits"]["max_turns"] == 1


def test_an_oracle_serves_the_pages_named_and_no_other(whole: Cluster) -> None:
    run, events = asked(whole, "oracle_retrieval", sources={"urls": GOLD})

    assert capitals(run) == CAPITALS
    assert {source["url"] for source in run["sources"]} <= set(GOLD)
    seen = {
        source["url"] for event in events if event["type"] == "tool.completed" for source in event["result"]["sources"]
    }
    assert seen <= set(GOLD)


def test_an_oracle_without_the_right_page_cannot_find_its_facts(whole: Cluster) -> None:
    run, _ = asked(whole, "oracle_retrieval", sources={"urls": GOLD[:2]})

    rows = {row[0]: row[1] for row in run["table"]["rows"]}
    assert rows["Mali"] == "Bamako"
    assert not rows.get("Niger")


@pytest.mark.parametrize("mode", ["multi_agent", "sequential", "oracle_retrieval"])
def test_a_subagent_model_nobody_serves_is_refused(whole: Cluster, mode: str) -> None:
    body = {**QUERY, "mode": mode, "sources": {"urls": GOLD}, "subagent_model": "policy@v9"}

    response = whole.request("POST", "/v1/widesearch", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/subagent_model"
    assert "served: expert" in response.json()["detail"]


@pytest.mark.parametrize("mode", ["multi_agent", "single_agent", "sequential"])
def test_a_question_comes_back_with_its_answer(whole: Cluster, mode: str) -> None:
    run = whole.finished(whole.post({"query": "What is the capital of Mali?", "output": "answer", "mode": mode})["id"])

    assert run["status"] == "completed", run
    assert run["answer"] == "Bamako"
    assert run["answer_text"].endswith("\\boxed{Bamako}")
    assert run["table"] is None
    assert whole.request("GET", f"/v1/widesearch/{run['id']}/table").status_code == 404
    assert not [event for event in whole.events(run["id"]) if event["type"] in {"row.upserted", "table.schema"}]


def test_a_question_from_memory_has_no_answer(whole: Cluster) -> None:
    body = {"query": "What is the capital of Mali?", "output": "answer", "mode": "closed_book"}

    run = whole.finished(whole.post(body)["id"])

    assert (run["status"], run["incomplete_reason"]) == ("incomplete", "no_answer")
    assert run["usage"]["total"]["tool_calls"] == 0


@pytest.mark.parametrize("mode", ["multi_agent", "single_agent"])
def test_agents_that_are_told_little_find_the_same(whole: Cluster, mode: str) -> None:
    query = "For Mali, Chad and Niger: Country, Capital (name of the capital city) and Population (total population)."
    run, events = asked(whole, mode, query=query, prompt_profile="compact")
    full, _ = asked(whole, mode, query=query, prompt_profile="full")

    assert capitals(run) == CAPITALS
    assert [row[2] for row in run["table"]["rows"]] == [row[2] for row in full["table"]["rows"]]
    assert run["usage"]["total"]["prompt_tokens"] < full["usage"]["total"]["prompt_tokens"] * 0.7
    upserted = {event["key"] for event in events if event["type"] == "row.upserted"}
    assert upserted == (set(CAPITALS) if mode == "multi_agent" else set())
