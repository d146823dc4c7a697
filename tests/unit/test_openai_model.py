"""Any chat-completions endpoint with tools, told through the agent loop."""

import json
from typing import Any

import httpx
import pytest

from tests.fakes import EchoSubagents, Purse
from wideseek import agents
from wideseek.agent import Agent
from wideseek.clients._http import Http
from wideseek.clients.engines import Engines, resolve_model
from wideseek.clients.openai import OpenAIModel, estimate
from wideseek.delegation import DelegationTools
from wideseek.errors import InvalidRequest, ModelUnavailable, PromptTooLong
from wideseek.events import AgentEvent
from wideseek.messages import ChatRole, Message
from wideseek.trajectory import StopReason, Trajectory


def said(content: str | None, *calls: tuple[str, str]) -> dict[str, Any]:
    shaped = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": shaped or None}
    usage = {"prompt_tokens": 50, "completion_tokens": 7}
    return {"choices": [{"message": message, "finish_reason": "tool_calls" if calls else "stop"}], "usage": usage}


class Endpoint:
    """A chat-completions server that answers from a script and keeps what it was asked."""

    def __init__(self, *replies: dict[str, Any] | int) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "gpt"}]})
        if request.url.path != "/v1/chat/completions":
            return httpx.Response(404, json={})
        self.asked.append(json.loads(request.content))
        reply = self.replies.pop(0)
        if isinstance(reply, int):
            return httpx.Response(reply, json={"error": {"message": "maximum context length is 10"}})
        return httpx.Response(200, json=reply)

    def http(self) -> Http:
        return Http("http://endpoint", ModelUnavailable, transport=httpx.MockTransport(self))


async def ignore(_: AgentEvent) -> None:
    """Take no note."""


async def lead(endpoint: Endpoint, *, max_turns: int = 5) -> Trajectory:
    async with endpoint.http() as http:
        model = await Engines(http, on_violation=lambda: None, context_tokens=9_000).model("gpt")
        tools = DelegationTools("ws_1", EchoSubagents(), model)
        return await Agent(agents.lead(max_turns=max_turns), model, tools, Purse(), ignore).run("What?")


async def test_calls_and_results_are_paired_by_id() -> None:
    one = ("call_subagent", json.dumps({"subtasks": [{"prompt": "a"}]}))
    endpoint = Endpoint(said(None, one, one), said("| A |\n|---|\n| 1 |"))

    trajectory = await lead(endpoint)

    assistant, first, second = endpoint.asked[1]["messages"][2:]
    assert [call["id"] for call in assistant["tool_calls"]] == ["c0", "c1"]
    assert (first["tool_call_id"], second["tool_call_id"]) == ("c0", "c1")
    assert "done: a" in first["content"]
    assert trajectory.stop_reason is StopReason.ANSWERED
    assert not trajectory.turns[0].completion.trainable


async def test_arguments_that_are_no_json_go_back_to_the_policy() -> None:
    endpoint = Endpoint(said(None, ("call_subagent", "{oops")), said("done"))

    trajectory = await lead(endpoint)

    assert trajectory.turns[0].results[0].failed
    assert "not valid JSON" in endpoint.asked[1]["messages"][-1]["content"]


async def test_a_call_written_as_text_is_read_too() -> None:
    text = '<tool_call>{"name": "call_subagent", "arguments": {"subtasks": ["a"]}}</tool_call>'
    endpoint = Endpoint(said(text), said("done"))

    await lead(endpoint)

    assert endpoint.asked[1]["messages"][-1]["role"] == "user"
    assert "done: a" in endpoint.asked[1]["messages"][-1]["content"]


async def test_the_last_turn_may_choose_no_tool() -> None:
    one = ("call_subagent", json.dumps({"subtasks": [{"prompt": "a"}]}))
    endpoint = Endpoint(said(None, one), said("done"))

    await lead(endpoint, max_turns=2)

    assert [body["tool_choice"] for body in endpoint.asked] == ["auto", "none"]


async def test_a_context_the_endpoint_refuses_is_a_limit() -> None:
    assert (await lead(Endpoint(400))).stop_reason is StopReason.CONTEXT_LIMIT


async def test_a_failing_endpoint_is_an_outage() -> None:
    with pytest.raises(ModelUnavailable):
        await lead(Endpoint(500))


async def test_an_engine_that_is_starting_is_not_taken_for_one_that_cannot_tokenise() -> None:
    starting = httpx.MockTransport(lambda _: httpx.Response(503))
    async with Http("http://engine", ModelUnavailable, transport=starting) as http:
        with pytest.raises(ModelUnavailable, match="503"):
            await Engines(http, on_violation=lambda: None).model("policy")


async def test_a_first_prompt_over_the_context_is_too_long() -> None:
    async with Endpoint().http() as http:
        with pytest.raises(PromptTooLong):
            await OpenAIModel(http, "gpt", 100).begin([Message(role=ChatRole.USER, text="x" * 400)], [])


async def test_a_model_is_resolved_by_name_or_to_the_first_served() -> None:
    async with Endpoint().http() as http:
        assert await resolve_model(http, None) == "gpt"
        with pytest.raises(InvalidRequest, match="served: gpt"):
            await resolve_model(http, "other")


def test_tokens_are_guessed_by_script() -> None:
    assert estimate("abcdef") == 2
    assert estimate("马里的首都") == 5
