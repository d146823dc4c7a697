"""One replica of the model engine as a place where policies are served: adapters by name, samples, log-probabilities.

Protocol: vLLM's OpenAI server started with `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=1`. Replacing the
whole weights needs `VLLM_SERVER_DEV_MODE=1` as well. The cache of prefixes is keyed by an adapter's name and path, so
a name is loaded once and its files are never changed.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from wideseek.clients._http import Http, upstream
from wideseek.clients.model import model_http
from wideseek.concurrency import run_all
from wideseek.errors import Conflict, ContractViolation, ModelUnavailable
from wideseek.messages import Message, ToolSpec
from wideseek.values import Frozen

_LOAD_S = 120
_SAMPLE_S = 600
"""An engine on a busy CPU compiles for minutes before its first tokens."""
_WEIGHTS_S = 600


class EngineModel(BaseModel):
    """An entry of an engine's `/v1/models`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    root: str = ""
    """Folder it was loaded from."""
    parent: str | None = None
    """The base model of an adapter; None for the base itself."""


class Sampled(Frozen):
    """Tokens an engine has sampled, with the log-probability it states for each."""

    prompt: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


class _Models(BaseModel):
    data: list[EngineModel]


class _Tokens(BaseModel):
    tokens: list[int]


class _Logprobs(BaseModel):
    token_logprobs: list[float | None] = []


class _Choice(BaseModel):
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _Completed(BaseModel):
    choices: list[_Choice]


class EngineReplica:
    """One replica. Methods raise `ModelUnavailable` when it is down; use as an async context manager, or close it."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._http: Http = model_http(url, api_key=api_key, timeout_s=_LOAD_S)
        self.url = self._http.base_url
        self.label = self.url.split("://", 1)[-1].replace("/", "-").replace(":", "-")
        """The replica's name in files and metrics: `10.0.0.7-8000`."""

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def models(self) -> tuple[EngineModel, ...]:
        """What is served now: the base model first, then adapters."""
        return tuple((await self._http.get("/v1/models", _Models, timeout_s=10)).data)

    async def base(self) -> EngineModel:
        """The base model."""
        found = next((model for model in await self.models() if model.parent is None), None)
        if found is None:
            raise ContractViolation(f"{self.url} lists no base model")
        return found

    async def load(self, model: str, folder: str) -> None:
        """Serve an adapter under a name; nothing happens when it is served from this folder already.

        Raises `Conflict` when the engine cannot take it, saying what it says.
        """
        body = {"lora_name": model, "lora_path": folder}
        response = await self._http.raw("POST", "/v1/load_lora_adapter", json=body, timeout=_LOAD_S)
        if response.is_success:
            return
        if response.status_code == 400 and "already been loaded" in response.text:
            await self._require_same(model, folder)
            return
        if response.status_code == 404 and "No adapter found" not in response.text:
            raise Conflict(
                f"{self.url} has no route for adapters: start the cluster with `wideseek up --model smollm2 "
                "--policy none`, or an engine of your own with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
            )
        self._refuse(response, f"{self.url} cannot load {model} from {folder}")

    async def unload(self, model: str) -> None:
        """Stop serving an adapter; nothing happens when it is not served. Requests that are under way end well."""
        response = await self._http.raw("POST", "/v1/unload_lora_adapter", json={"lora_name": model}, timeout=_LOAD_S)
        if not response.is_success and response.status_code != 404:
            self._refuse(response, f"{self.url} cannot unload {model}")

    async def tokenize(self, model: str, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[int, ...]:
        """A prompt's ids, rendered with the engine's own template."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": one.role.value, "content": one.text} for one in messages],
            "add_generation_prompt": True,
            "add_special_tokens": False,
        }
        if tools:
            body["tools"] = [tool.openai() for tool in tools]
        return tuple((await self._http.post("/tokenize", body, _Tokens, timeout_s=30)).tokens)

    async def sample(self, model: str, prompt: Sequence[int], *, tokens: int) -> Sampled:
        """Draw `tokens` tokens at temperature 1, past the end of the turn if need be.

        No seed is sent: vLLM 0.32 on a CPU dies of a seeded request whose prompt it reads in pieces ("CPU Generator
        does not use offset"), and pieces it makes whenever it is busy.
        """
        choice = await self._complete(
            {
                "model": model,
                "prompt": list(prompt),
                "max_tokens": tokens,
                "temperature": 1.0,
                "ignore_eos": True,
                "logprobs": 0,
                "return_token_ids": True,
                "add_special_tokens": False,
            }
        )
        logprobs = [value for value in (choice.logprobs.token_logprobs if choice.logprobs else []) if value is not None]
        sampled = choice.token_ids or []
        if not sampled or len(sampled) != len(logprobs):
            raise ContractViolation(f"{self.url}: {len(sampled)} token ids and {len(logprobs)} log-probabilities")
        if choice.prompt_token_ids is not None and choice.prompt_token_ids != list(prompt):
            raise ContractViolation(f"{self.url} changed the prompt it was given")
        return Sampled(prompt=tuple(prompt), token_ids=tuple(sampled), logprobs=tuple(logprobs))

    async def score(
        self, model: str, token_ids: Sequence[int], *, start: int, end: int | None = None
    ) -> tuple[float, ...]:
        """Log-probabilities of given ids from `start` up to `end`, each as the engine states it for a next token.

        A token is forced by allowing no other; vLLM states log-probabilities of the distribution before that. Its
        `prompt_logprobs` would take one request, but with adapters enabled that ends vLLM 0.32 on a CPU as soon as
        another request is in the same batch.
        """
        places = range(start, len(token_ids) if end is None else min(end, len(token_ids)))
        return tuple(await run_all(self._forced(model, token_ids[:place], token_ids[place]) for place in places))

    async def _forced(self, model: str, prompt: Sequence[int], token: int) -> float:
        choice = await self._complete(
            {
                "model": model,
                "prompt": list(prompt),
                "max_tokens": 1,
                "temperature": 1.0,
                "allowed_token_ids": [token],
                "ignore_eos": True,
                "logprobs": 0,
                "return_token_ids": True,
                "add_special_tokens": False,
            }
        )
        stated = choice.logprobs.token_logprobs if choice.logprobs else []
        if choice.token_ids != [token] or len(stated) != 1 or stated[0] is None:
            raise ContractViolation(f"{self.url} did not state the log-probability of the one token it was allowed")
        return stated[0]

    async def reload_weights(self, folder: str) -> None:
        """Replace the whole weights while no request runs, and forget the prefixes computed with the old ones.

        Raises `Conflict` when the engine has no routes for it.
        """
        async with self._paused():
            call = {"method": "reload_weights", "kwargs": {"weights_path": folder}}
            await self._developer("/collective_rpc", _WEIGHTS_S, json=call)
            await self._developer("/reset_prefix_cache", 60)

    @asynccontextmanager
    async def _paused(self) -> AsyncIterator[None]:
        await self._developer("/pause", _WEIGHTS_S, params={"mode": "wait"})
        try:
            yield
        finally:
            await self._developer("/resume", 60)

    async def _developer(self, path: str, timeout_s: float, **options: Any) -> None:
        response = await self._http.raw("POST", path, timeout=timeout_s, **options)
        if response.status_code == 404:
            raise Conflict(
                f"{self.url} has no route {path}, so whole weights cannot be replaced: start the engine with "
                "VLLM_SERVER_DEV_MODE=1 on a closed network, or train with model.adaptation = 'lora'"
            )
        if not response.is_success:
            self._refuse(response, f"{self.url} failed {path}")

    async def _complete(self, body: dict[str, Any]) -> _Choice:
        response = await self._http.raw("POST", "/v1/completions", json=body, timeout=_SAMPLE_S)
        if response.status_code == 404:
            raise ModelUnavailable(f"{self.url} does not serve {body['model']!r}")
        with upstream(ModelUnavailable):
            response.raise_for_status()
            return _Completed.model_validate_json(response.content).choices[0]

    async def _require_same(self, model: str, folder: str) -> None:
        held = next((one.root for one in await self.models() if one.id == model), "")
        if held != folder:
            raise Conflict(f"{self.url} serves {model} from {held or 'elsewhere'}, not {folder}: unload it there first")

    def _refuse(self, response: Any, what: str) -> None:
        if response.status_code >= 500 or response.status_code == 429:
            raise ModelUnavailable(f"{what}: {response.status_code} {response.text[:500]}")
        raise Conflict(f"{what}: {response.status_code} {response.text[:500]}")


async def all_models(replicas: Sequence[EngineReplica]) -> list[tuple[EngineModel, ...]]:
    """What each replica serves, side by side."""
    return await run_all(replica.models() for replica in replicas)
