"""The expert's HTTP door: vLLM's routes and shapes, and the token-exact protocol."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.model.expert.app import create_expert_app
from tests.expert_parts import Indexed, expert_app, expert_http, make_world, open_cluster, tokenizer_file
from wideseek.clients._http import Http
from wideseek.tools import call_subagent_spec
from wideseek.trajectory import Trajectory

TOOLS = [call_subagent_spec(20, "en").openai()]
MESSAGES = [{"role": "user", "content": "# Task\ncapital of Kesh and Dorva"}]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return expert_app(max_model_len=4_096)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[Http]:
    async with expert_http(app) as opened:
        yield opened


def tokens(client: TestClient, **body: Any) -> list[int]:
    ids: list[int] = client.post("/tokenize", json=body).json()["tokens"]
    return ids


def test_messages_and_text_are_tokenised_alike(client: TestClient) -> None:
    body = client.post("/tokenize", json={"messages": MESSAGES, "tools": TOOLS}).json()

    text = client.post("/detokenize", json={"tokens": body["tokens"]}).json()["prompt"]
    assert body["count"] == len(body["tokens"])
    assert body["max_model_len"] == 4_096
    assert text.endswith("<|im_start|>assistant\n")
    assert tokens(client, prompt=text) == body["tokens"]


def test_a_completion_has_ids_and_certain_logprobs_in_vllms_shape(client: TestClient) -> None:
    prompt = tokens(client, messages=MESSAGES, tools=TOOLS)

    body = client.post(
        "/v1/completions",
        json={"model": "expert", "prompt": prompt, "max_tokens": 2_000, "return_token_ids": True, "logprobs": 0},
    ).json()

    (choice,) = body["choices"]
    end = tokens(client, prompt="<|im_end|>")
    assert choice["prompt_token_ids"] == prompt
    assert choice["token_ids"][-1:] == end
    assert (
        client.post("/detokenize", json={"tokens": choice["token_ids"]}).json()["prompt"]
        == choice["text"] + "<|im_end|>"
    )
    assert choice["finish_reason"] == "stop"
    assert choice["logprobs"]["token_logprobs"] == [0.0] * len(choice["token_ids"])
    assert len(choice["logprobs"]["tokens"]) == len(choice["token_ids"])
    assert body["usage"]["completion_tokens"] == len(choice["token_ids"])


def test_ids_and_logprobs_come_only_when_asked_for(client: TestClient) -> None:
    (choice,) = client.post("/v1/completions", json={"prompt": "x", "max_tokens": 5}).json()["choices"]

    assert (choice["token_ids"], choice["prompt_token_ids"], choice["logprobs"]) == (None, None, None)


def test_a_spent_limit_is_reported_as_length_and_cuts_ids_and_text_together(client: TestClient) -> None:
    prompt = tokens(client, messages=MESSAGES, tools=TOOLS)

    (choice,) = client.post(
        "/v1/completions", json={"prompt": prompt, "max_tokens": 7, "return_token_ids": True, "logprobs": 1}
    ).json()["choices"]

    assert choice["finish_reason"] == "length"
    assert len(choice["token_ids"]) == len(choice["logprobs"]["token_logprobs"]) == 7
    assert client.post("/detokenize", json={"tokens": choice["token_ids"]}).json()["prompt"] == choice["text"]


@pytest.mark.parametrize(
    ("body", "status", "kind", "param"),
    [
        ({"prompt": [5] * 5_000}, 400, "BadRequestError", "input_tokens"),
        ({"prompt": [5] * 4_096, "max_tokens": 1}, 400, "BadRequestError", "max_tokens"),
        ({"prompt": [5, 60_000]}, 400, "BadRequestError", None),
        ({"prompt": [5], "max_tokens": 0}, 400, "BadRequestError", "max_tokens"),
        ({"prompt": []}, 400, "BadRequestError", "prompt"),
        ({"prompt": [5], "model": "nope"}, 404, "NotFoundError", "model"),
        ({}, 400, "Bad Request", None),
    ],
)
def test_a_bad_request_is_refused_in_vllms_shape(
    client: TestClient, body: dict[str, Any], status: int, kind: str, param: str | None
) -> None:
    answer = client.post("/v1/completions", json=body)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == (kind, param, status)


def test_the_chat_endpoint_answers_with_tool_calls(client: TestClient) -> None:
    body = client.post("/v1/chat/completions", json={"messages": MESSAGES, "tools": TOOLS}).json()

    (choice,) = body["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "call_subagent"
    assert "<tool_call>" not in choice["message"]["content"]


def test_the_chat_endpoint_without_tools_answers(client: TestClient) -> None:
    body = client.post(
        "/v1/chat/completions", json={"messages": MESSAGES, "tools": TOOLS, "tool_choice": "none"}
    ).json()

    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["choices"][0]["message"]["content"].startswith("```markdown")


def test_the_model_health_and_metrics_are_told(client: TestClient) -> None:
    client.post("/v1/completions", json={"prompt": "x", "max_tokens": 5})
    (card,) = client.get("/v1/models").json()["data"]
    metrics = client.get("/metrics").text

    assert (card["id"], card["max_model_len"]) == ("expert", 4_096)
    assert client.get("/health").status_code == 200
    assert 'vllm:num_requests_running{model_name="expert"} 0.0' in metrics
    assert "wideseek_expert_completions_total" in metrics


async def test_every_prompt_begins_with_the_prompt_and_completion_before_it(http: Http, tmp_path: Any) -> None:
    world, violations = make_world(7, "plain"), list[int]()
    fields = " and ".join(field.name.lower() for field in world.fields[:2])
    cluster = await open_cluster(http, Indexed.over(world.pages, tmp_path), violations=lambda: violations.append(1))

    trajectory = await cluster.ask(f"{fields} of {world.realms[1]} and {world.realms[2]}")

    assert not violations
    assert world.facts[world.realms[1]][world.fields[0].name] in trajectory.final_text
    assert_append_only(trajectory)


def assert_append_only(trajectory: Trajectory) -> None:
    completions = [turn.completion for turn in trajectory.turns]
    assert len(completions) > 1
    for earlier, later in itertools.pairwise(completions):
        history = earlier.prompt_token_ids + earlier.token_ids
        assert later.prompt_token_ids[: len(history)] == history
        assert all(logprob == 0.0 for logprob in later.logprobs)
        assert later.trainable


async def test_a_paced_expert_takes_the_time_an_engine_would_and_many_take_it_together() -> None:
    prompt = "<|im_start|>user\n# Task\ncapital of Kesh<|im_end|>\n<|im_start|>assistant\n"
    body = {"model": "expert", "prompt": prompt, "max_tokens": 50}
    paced = create_expert_app(tokenizer_file(), 4_096, tokens_per_second=100)
    async with expert_http(paced) as http:
        clock = asyncio.get_running_loop().time
        started = clock()
        answers = await asyncio.gather(*(http.raw("POST", "/v1/completions", json=body) for _ in range(8)))
        seconds = clock() - started

    sampled = answers[0].json()["usage"]["completion_tokens"]
    assert sampled / 100 <= seconds < 8 * sampled / 100
