"""The cluster and the adapter on real vLLM: the untrained model answers badly, the path must be right."""

import asyncio
import json
import math
import os
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.rollouts.store import RolloutStore
from services.kit.runlog import RunLog
from services.model.bundled import tokenizer_file
from services.model.expert.tokens import Tokens
from tests.e2e.processes import ROOT, Cluster, cluster, start_services
from tests.e2e.steered_engine import SCRIPT_SEED
from tests.servers import on_ci
from wideseek import agents
from wideseek.clients._http import Http
from wideseek.clients.model import TokenContext, VllmModel, model_http, open_vllm
from wideseek.errors import InvalidRequest, ModelUnavailable, PromptTooLong
from wideseek.events import Event, ToolCompleted, TurnCompleted
from wideseek.messages import ChatRole, Message, Sampling, ToolCall
from wideseek.rollout import RolloutSource
from wideseek.tools import call_subagent_spec
from wideseek.trajectory import Role, ToolResult

pytestmark = pytest.mark.vllm

NAME = "smollm2"
CONTEXT = 2_048
GREEDY = Sampling(temperature=0)
QUERY = {
    "query": "For Mali, Chad and Niger: Country, Capital (name of the capital city).",
    "columns": ["Country", "Capital"],
    "model": NAME,
    "limits": {"max_turns": 3, "max_seconds": 150, "max_width": 2},
}


@pytest.fixture(scope="module")
def on_vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster on real vLLM with the bundled weights; `model` is vLLM itself, the agents go through the script."""
    python = Path(os.environ.get("MODEL_PYTHON") or ROOT / ".venv-model/bin/python")
    if not python.exists():
        missing = f"{python} is missing: run `make setup-model`"
        pytest.fail(missing) if on_ci() else pytest.skip(missing)
    with cluster(tmp_path_factory.mktemp("vllm")) as parts:
        settings = {"MODEL_ENGINE": "vllm", "MODEL_POLICY": "none"}
        settings |= {"MODEL_MAX_MODEL_LEN": str(CONTEXT), "MODEL_KV_CACHE_GIB": "1"}
        parts.start("model", "services.model.main", prefix="MODEL", env=settings)
        parts.wait_ready("model", seconds=600)
        upstream = {"STEERED_UPSTREAM": parts.url("model")}
        parts.start("model-steered", "tests.e2e.steered_engine", prefix="STEERED", env=upstream)
        parts.wait_ready("model-steered")
        parts.env["MODEL_URL"] = parts.url("model-steered")
        start_services(parts, model=False)
        yield parts


@pytest.fixture
async def engine(on_vllm: Cluster) -> AsyncIterator[Http]:
    async with model_http(on_vllm.url("model")) as http:
        yield http


@pytest.fixture
async def model(engine: Http) -> VllmModel:
    return await open_vllm(engine, NAME)


async def facts(parts: Cluster, run_id: str) -> list[Event]:
    async with connect(parts.redis_url) as redis:
        return [logged.event for logged in await RunLog(redis, Keys("dev")).read(run_id)]


def assert_token_exact(turns: list[TurnCompleted]) -> None:
    """Every turn has its ids and log-probabilities, and the next prompt of an agent begins with them."""
    by_agent: dict[tuple[str, int], list[TurnCompleted]] = {}
    for turn in turns:
        completion = turn.completion
        assert completion.model_name == NAME
        assert completion.trainable
        assert completion.token_ids
        assert len(completion.logprobs) == len(completion.token_ids) == completion.completion_tokens
        assert all(math.isfinite(value) and value <= 0 for value in completion.logprobs)
        assert len(completion.prompt_token_ids) == completion.prompt_tokens > 0
        by_agent.setdefault((turn.agent_id, turn.attempt), []).append(turn)
    for taken in by_agent.values():
        for before, after in pairwise(taken):
            grown = before.completion.prompt_token_ids + before.completion.token_ids
            assert after.completion.prompt_token_ids[: len(grown)] == grown


def assert_usage_adds_up(run: dict[str, Any], turns: list[TurnCompleted]) -> None:
    lead = [turn for turn in turns if turn.role is Role.LEAD]
    for spent, counted in ((run["usage"]["total"], turns), (run["usage"]["lead"], lead)):
        assert spent["model_calls"] == len(counted)
        assert spent["prompt_tokens"] == sum(turn.completion.prompt_tokens for turn in counted)
        assert spent["completion_tokens"] == sum(turn.completion.completion_tokens for turn in counted)


async def test_a_loop_is_ended_long_before_the_room_is_used_up(model: VllmModel) -> None:
    said = "Guyana, Suriname, " * 40
    context = await model.begin([Message(role=ChatRole.USER, text=f"Go on for ever, and change nothing: {said}")], [])

    completion = await model.complete(context, GREEDY, max_tokens=1_000, final=False)

    assert completion.looped
    assert completion.completion_tokens < 400
    assert len(completion.logprobs) == len(completion.token_ids) == completion.completion_tokens


async def test_whatever_an_untrained_model_says_the_run_ends_clearly_and_is_logged_exactly(on_vllm: Cluster) -> None:
    created = on_vllm.post({**QUERY, "sampling": {"temperature": 0, "seed": 1}})

    run = on_vllm.finished(created["id"], seconds=200)

    assert run["status"] in {"completed", "incomplete"}, run
    turns = [event for event in await facts(on_vllm, run["id"]) if isinstance(event, TurnCompleted)]
    assert turns
    assert_token_exact(turns)
    assert_usage_adds_up(run, turns)


def test_the_rollout_of_a_run_on_vllm_is_a_policys_and_can_be_trained_on(on_vllm: Cluster) -> None:
    training = {"opt_in": True, "job_id": "vllm", "group_id": "g", "index_in_group": 0}
    sampling = {"temperature": 0.2, "top_p": 1.0, "top_k": -1, "seed": 5}
    # One turn near the mode: an untrained model that wanders goes on for minutes on a slow processor.
    asked = {**QUERY, "sampling": sampling, "training": training, "limits": {"max_turns": 1}}
    run = on_vllm.finished(on_vllm.post(asked)["id"], seconds=400)

    home = on_vllm.folder / "home"
    store = RolloutStore.open(str(home / "rollouts"))
    [entry] = store.scan("vllm")
    rollout = store.get(entry.uri, entry.sha256)
    turns = [turn for agent in rollout.agents for turn in agent.turns]
    kept = json.loads((home / "models" / NAME / "MODEL.json").read_text())
    assert run["rollout_id"] == rollout.rollout_id
    assert (rollout.source, rollout.policy_version_max) == (RolloutSource.POLICY, 0)
    assert {turn.base_model_hash for turn in turns} == {kept["sha256"]}
    assert all(turn.tokenizer_hash and turn.template_hash and turn.request_id for turn in turns)
    assert all(turn.trainable for turn in turns)
    assert any(value < 0 for turn in turns for value in turn.sampled_logprobs)
    assert sum(len(turn.sampled_token_ids) for turn in turns) == run["usage"]["total"]["completion_tokens"]


async def test_a_malformed_call_is_answered_and_the_run_goes_on_over_a_subagent_to_a_table(on_vllm: Cluster) -> None:
    created = on_vllm.post({**QUERY, "sampling": {"temperature": 0, "seed": SCRIPT_SEED}})

    run = on_vllm.finished(created["id"], seconds=200)

    assert run["status"] == "completed", run
    assert len(run["table"]["rows"]) == 1
    events = await facts(on_vllm, run["id"])
    turns = [event for event in events if isinstance(event, TurnCompleted)]
    assert [turn.role for turn in turns] == [Role.LEAD, Role.LEAD, Role.SUBAGENT, Role.SUBAGENT, Role.LEAD]
    assert_token_exact(turns)
    assert_usage_adds_up(run, turns)
    results = [event.result for event in events if isinstance(event, ToolCompleted)]
    assert [result.call.name if result.call else None for result in results] == [None, "search", "call_subagent"]
    assert results[0].failed
    assert results[0].content.startswith("This call could not be read: the call is not valid JSON")
    assert results[1].sources
    assert turns[3].completion.text in results[2].content


async def test_the_dequantised_weights_speak_english(model: VllmModel) -> None:
    question = Message(role=ChatRole.USER, text="What is the capital of France? Answer in a sentence.")

    completion = await model.complete(await model.begin([question], []), GREEDY, max_tokens=40, final=True)

    assert "Paris" in completion.text
    assert completion.finish_reason == "stop"
    assert not completion.text.endswith("<|im_end|>")


async def test_vllm_renders_and_counts_as_our_own_tokenizer_does(on_vllm: Cluster, model: VllmModel) -> None:
    tokens = Tokens(tokenizer_file(on_vllm.folder / "home"))
    messages = [
        Message(role=ChatRole.SYSTEM, text=agents.lead().instructions),
        Message(role=ChatRole.USER, text="N'Djamena – 马里, 22 634 423 <b>&amp;</b>?"),
    ]
    tool = call_subagent_spec(2, "en")

    with_tools = await model.begin(messages, [tool])
    without = await model.begin(messages, [])
    counts = await model.count_tokens([messages[1].text, "", "a b"])

    plain = [{"role": message.role.value, "content": message.text} for message in messages]
    assert list(with_tools.token_ids) == tokens.encode(
        tokens.render(plain, [tool.openai()], add_generation_prompt=True)
    )
    assert list(without.token_ids) == tokens.encode(tokens.render(plain, [], add_generation_prompt=True))
    assert counts == [len(tokens.encode(text)) for text in (messages[1].text, "", "a b")]


async def test_a_context_only_grows_whether_the_end_of_turn_was_sampled_or_not(
    on_vllm: Cluster, model: VllmModel
) -> None:
    tokens = Tokens(tokenizer_file(on_vllm.folder / "home"))
    question = Message(role=ChatRole.USER, text="What is the capital of France? Answer in a sentence.")
    context = await model.begin([question], [])
    results = [ToolResult(call=ToolCall(name="search", arguments={}), content=content) for content in ("one", "two")]

    for max_tokens, sampled_the_end in ((40, True), (3, False)):
        completion = await model.complete(context, GREEDY, max_tokens=max_tokens, final=False)
        extended = await model.extend(context, completion, results, "Go on.")

        grown = context.token_ids + completion.token_ids
        assert (completion.token_ids[-1] == tokens.end_of_turn) is sampled_the_end
        assert extended.token_ids[: len(grown)] == grown
        added = tokens.decode(extended.token_ids[len(grown) :])
        assert added == ("" if sampled_the_end else "<|im_end|>") + (
            "\n<|im_start|>user\n<tool_response>\none\n</tool_response>"
            "\n<tool_response>\ntwo\n\nGo on.\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
        )


async def test_a_prompt_over_the_context_is_too_long_whoever_notices(engine: Http, model: VllmModel) -> None:
    long = "word " * (CONTEXT + 100)
    deceived = VllmModel(engine, NAME, 1_000_000)

    with pytest.raises(PromptTooLong):
        await model.begin([Message(role=ChatRole.USER, text=long)], [])
    context = await deceived.begin([Message(role=ChatRole.USER, text=long)], [])
    with pytest.raises(PromptTooLong):
        await deceived.complete(TokenContext(context.token_ids), GREEDY, max_tokens=1, final=False)


async def test_a_model_that_vllm_does_not_serve_is_named(engine: Http, model: VllmModel) -> None:
    context = await model.begin([Message(role=ChatRole.USER, text="a")], [])

    with pytest.raises(InvalidRequest, match=NAME):
        await open_vllm(engine, "nobody")
    with pytest.raises(ModelUnavailable, match="nobody"):
        await VllmModel(engine, "nobody", CONTEXT).complete(context, GREEDY, max_tokens=1, final=False)


async def metric(url: str, name: str) -> float:
    """A metric of vLLM's own, summed over its labels."""
    async with httpx.AsyncClient(trust_env=False) as client:
        lines = (await client.get(f"{url}/metrics", timeout=30)).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{"))


async def until_running(url: str, number: int, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while await metric(url, "vllm:num_requests_running") != number:
        assert time.monotonic() < deadline, f"waited {seconds} s for {number} running completions"
        await asyncio.sleep(0.05)


async def test_cancelling_a_completion_frees_the_engine_before_it_has_finished(
    on_vllm: Cluster, model: VllmModel
) -> None:
    url, finished = on_vllm.url("model"), "vllm:request_success_total"
    context = await model.begin([Message(role=ChatRole.USER, text="Count to a million in words.")], [])
    before = await metric(url, finished)
    completion = asyncio.ensure_future(model.complete(context, GREEDY, max_tokens=CONTEXT - 100, final=False))
    await until_running(url, 1, seconds=30)

    completion.cancel()

    await until_running(url, 0, seconds=10)
    assert await metric(url, finished) == before > 0
    with pytest.raises(asyncio.CancelledError):
        await completion
