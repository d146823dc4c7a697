"""The client of one engine replica, against an engine over HTTP: what it tolerates and what it says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.policy_engine import BASE_MODEL, PolicyEngine, listening, serving, write_adapter
from tests.servers import free_port
from wideseek.clients.policies import EngineReplica
from wideseek.errors import Conflict, ContractViolation, ModelUnavailable
from wideseek.messages import ChatRole, Message


@pytest.fixture
def engine(tmp_path: Path) -> PolicyEngine:
    return PolicyEngine(tmp_path / "base")


@pytest.fixture
async def replica(engine: PolicyEngine) -> AsyncIterator[EngineReplica]:
    async with serving(engine) as url, EngineReplica(f"{url}/v1") as client:
        yield client


def adapter(folder: Path, seed: int) -> str:
    (write_adapter(folder, (seed, 0.5)) / "STABLE").touch()
    return str(folder)


async def test_what_is_sampled_has_the_log_probabilities_that_reading_it_gives(
    replica: EngineReplica, tmp_path: Path
) -> None:
    await replica.load("a@v1", adapter(tmp_path / "a", 3))
    prompt = await replica.tokenize("a@v1", [Message(role=ChatRole.USER, text="What?")], [])

    sampled = await replica.sample("a@v1", prompt, tokens=12)
    read = await replica.score("a@v1", sampled.prompt + sampled.token_ids, start=len(prompt))

    assert len(sampled.token_ids) == 12
    assert read == pytest.approx(sampled.logprobs)
    other = await replica.score(BASE_MODEL, sampled.prompt + sampled.token_ids, start=len(prompt))
    assert read != pytest.approx(other)


async def test_loading_again_is_harmless_unless_the_name_stands_for_another_folder(
    replica: EngineReplica, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "a", 3)

    await replica.load("a@v1", folder)
    await replica.load("a@v1", folder)

    with pytest.raises(Conflict, match="unload it there first"):
        await replica.load("a@v1", adapter(tmp_path / "b", 4))
    assert [(one.id, one.root, one.parent) for one in await replica.models()][1] == ("a@v1", folder, BASE_MODEL)
    assert (await replica.base()).id == BASE_MODEL


async def test_unloading_what_is_not_there_is_harmless(replica: EngineReplica) -> None:
    await replica.unload("a@v1")


async def test_a_folder_that_is_not_there_is_refused_with_the_engines_words(replica: EngineReplica) -> None:
    with pytest.raises(Conflict, match="No adapter found"):
        await replica.load("a@v1", "/nowhere")


async def test_a_model_that_is_not_served_is_an_outage(replica: EngineReplica) -> None:
    with pytest.raises(ModelUnavailable, match="does not serve 'a@v9'"):
        await replica.sample("a@v9", [1, 2], tokens=2)


async def test_an_engine_that_takes_no_adapters_says_how_to_start_it() -> None:
    async with listening(FastAPI()) as url, EngineReplica(url) as plain:
        with pytest.raises(Conflict, match=r"--policy none`, or an engine .*VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"):
            await plain.load("a@v1", "/a")
        with pytest.raises(Conflict, match="VLLM_SERVER_DEV_MODE=1"):
            await plain.reload_weights("/a")


async def test_nobody_at_the_address_is_an_outage() -> None:
    async with EngineReplica(f"http://127.0.0.1:{free_port()}") as gone:
        for asked in (gone.models(), gone.load("a", "/a"), gone.unload("a"), gone.sample("a", [1], tokens=1)):
            with pytest.raises(ModelUnavailable):
                await asked


@pytest.mark.parametrize(
    "choice",
    [
        {"token_ids": None},
        {"token_ids": [1, 2], "logprobs": {"token_logprobs": [-1.0]}},
        {"token_ids": [1], "logprobs": {"token_logprobs": [-1.0]}, "prompt_token_ids": [9]},
    ],
)
async def test_an_answer_that_is_not_token_exact_is_a_broken_contract(choice: dict[str, object]) -> None:
    odd = FastAPI()

    @odd.post("/v1/completions")
    async def completions() -> dict[str, object]:
        return {"choices": [choice]}

    async with listening(odd) as url, EngineReplica(url) as replica:
        with pytest.raises(ContractViolation):
            await replica.sample("a", [1, 2], tokens=2)
        with pytest.raises(ContractViolation):
            await replica.score("a", [1, 2, 3], start=1)


async def test_a_replica_is_labelled_as_a_file_may_be() -> None:
    async with EngineReplica("http://10.0.0.7:8000") as replica:
        assert replica.label == "10.0.0.7-8000"
