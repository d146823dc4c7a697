"""`VllmModel`: a policy behind vLLM's own routes, with token-exact contexts.

A context is a sequence of token ids that only grows. The server renders and tokenises (`/tokenize`),
so our ids are its ids. The first prompt is rendered from messages and tools; what follows a completion
is rendered by difference, never by rendering the history again, because templates may rewrite history
(Qwen3's drops earlier thinking):

    prompt[t+1] = prompt[t] + sampled[t] + closing' + render(dummy, results, generation prompt) - render(dummy)

`closing` is what the template writes after a message's text (`<|im_end|>` and a newline in ChatML); the
part of it that the policy has sampled itself is left out. Protocol: vLLM's OpenAI server, `/tokenize`,
`/v1/completions` with token-id prompts, `return_token_ids` and `logprobs`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from wideseek.clients._http import Http, Stopwatch, upstream
from wideseek.concurrency import run_all
from wideseek.errors import ContractViolation, InvalidRequest, ModelUnavailable, PromptTooLong
from wideseek.messages import ChatRole, Completion, Message, Sampling, ToolSpec
from wideseek.ports import Context
from wideseek.trajectory import ToolResult


class _Reply(BaseModel):
    """Somebody else's answer: fields we do not know are left alone."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class _Tokenized(_Reply):
    tokens: list[int]
    max_model_len: int


class _Logprobs(_Reply):
    token_logprobs: list[float | None] = []


class _Choice(_Reply):
    text: str
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(_Reply):
    cached_tokens: int | None = None


class _Usage(_Reply):
    prompt_tokens_details: _PromptDetails | None = None


class _Completed(_Reply):
    id: str = ""
    choices: list[_Choice]
    usage: _Usage = _Usage()


class ServedModel(_Reply):
    """An entry of `/v1/models`."""

    id: str
    max_model_len: int | None = None
    source: str | None = None
    """`demonstration` where the engine says that a rule speaks, not a policy."""


class ServedModels(_Reply):
    """`/v1/models`."""

    data: list[ServedModel]

    def context_of(self, name: str) -> int | None:
        """The context length of a model; an adapter that states none has its base's."""
        stated = [model.max_model_len for model in self.data if model.max_model_len]
        own = next((model.max_model_len for model in self.data if model.id == name), None)
        return own or max(stated, default=None)


def model_http(url: str, *, api_key: str | None = None, timeout_s: float = 600) -> Http:
    """Connections to a model engine; completions may take minutes."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    base = url.rstrip("/").removesuffix("/v1")
    return Http(base, ModelUnavailable, timeout_s=timeout_s, headers=headers)


async def served_models(http: Http) -> ServedModels:
    """What the engine serves. Raises `ModelUnavailable` when it is down."""
    return await http.get("/v1/models", ServedModels, timeout_s=5)


@dataclass(frozen=True)
class TokenContext:
    """A context as token ids."""

    token_ids: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        """Length of the next prompt."""
        return len(self.token_ids)


_LOOP = {"min_pattern_size": 4, "max_pattern_size": 64, "min_count": 6}
"""What vLLM ends as a loop, in tokens: a small policy that has begun one goes on until its room is used up. Four tokens
at least, so that the zeros of a number are none. What is sampled before it is sampled as ever."""


def _ignore() -> None:
    return None


class VllmModel:
    """A policy on an engine with vLLM's routes. Its completions are trainable."""

    def __init__(
        self, http: Http, name: str, max_model_len: int, *, on_violation: Callable[[], None] = _ignore
    ) -> None:
        self._http = http
        self._name = name
        self._max_model_len = max_model_len
        self._on_violation = on_violation
        """Called when the engine's prompt is not the one we sent: the context is no longer token-exact."""
        self._frame: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and completion together."""
        return self._max_model_len

    async def begin(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> TokenContext:
        """The first prompt, rendered by the server with the model's template."""
        ids = await self._render(
            [{"role": message.role.value, "content": message.text} for message in messages],
            tools=[tool.openai() for tool in tools],
            add_generation_prompt=True,
        )
        return self._fitting(ids)

    async def extend(
        self, context: Context, completion: Completion, results: Sequence[ToolResult], hint: str
    ) -> TokenContext:
        """What was sampled and what came back, appended to the ids as they are."""
        before = cast("TokenContext", context)
        dummy, closing = await self._framing()
        rendered = await self._render([_DUMMY[0], *_result_messages(results, hint)], add_generation_prompt=True)
        if rendered[: len(dummy)] != dummy:
            raise ContractViolation("the chat template changes a message when others follow it")
        sampled = completion.token_ids
        ended = closing[1:] if sampled and sampled[-1] == closing[0] else closing
        return self._fitting(before.token_ids + sampled + ended + rendered[len(dummy) :])

    async def complete(
        self,
        context: Context,
        sampling: Sampling,
        *,
        max_tokens: int,
        final: bool,  # noqa: ARG002  # the tools stand in the prompt; the hint withholds them
    ) -> Completion:
        """Sample from the ids, with the log-probability of each sampled id."""
        ids = cast("TokenContext", context).token_ids
        body = {
            "model": self._name,
            "prompt": list(ids),
            "max_tokens": max_tokens,
            "logprobs": 0,
            "return_token_ids": True,
            "add_special_tokens": False,
            "repetition_detection": _LOOP,
            **sampling.model_dump(exclude_none=True),
        }
        watch = Stopwatch()
        reply = await self._completed(body)
        return self._completion(ids, reply, watch.seconds())

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens aside."""
        counted = await run_all(self._tokenize({"prompt": text, "add_special_tokens": False}) for text in texts)
        return [len(reply.tokens) for reply in counted]

    async def _completed(self, body: dict[str, Any]) -> _Completed:
        response = await self._http.raw("POST", "/v1/completions", json=body)
        if response.status_code == 400 and "context length" in response.text:
            raise PromptTooLong(len(body["prompt"]), self._max_model_len)
        with upstream(ModelUnavailable):
            if response.status_code == 404:
                raise ModelUnavailable(f"the engine does not serve {self._name!r}")
            response.raise_for_status()
            return _Completed.model_validate_json(response.content)

    def _completion(self, sent: tuple[int, ...], reply: _Completed, seconds: float) -> Completion:
        choice = reply.choices[0]
        sampled = tuple(choice.token_ids or ())
        stated = choice.logprobs.token_logprobs if choice.logprobs else []
        # A token with no finite log-probability leaves the turn inexact; the log could not hold it either.
        logprobs = tuple(value for value in stated if value is not None and math.isfinite(value))
        if not sampled and choice.text:
            raise ContractViolation("the engine returned no token ids; it must honour return_token_ids")
        exact = choice.prompt_token_ids is None or tuple(choice.prompt_token_ids) == sent
        if not exact:
            self._on_violation()
        return Completion(
            text=choice.text,
            token_ids=sampled,
            logprobs=logprobs if len(logprobs) == len(sampled) else (),
            prompt_token_ids=sent,
            prompt_tokens=len(sent),
            completion_tokens=len(sampled),
            finish_reason=choice.finish_reason or "stop",
            model_name=self._name,
            trainable=exact and len(logprobs) == len(sampled),
            seconds=seconds,
            request_id=reply.id,
            cached_tokens=(details.cached_tokens or 0) if (details := reply.usage.prompt_tokens_details) else 0,
        )

    async def _framing(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids of a dummy user message, and of what the template writes after a message's text."""
        if self._frame is None:
            one, other = [await self._render([dummy], add_generation_prompt=False) for dummy in _DUMMY]
            size = 0
            while size < min(len(one), len(other)) and one[-1 - size] == other[-1 - size]:
                size += 1
            if size == 0:
                raise ContractViolation("the chat template writes nothing after a message: turns cannot be told apart")
            self._frame = one, one[len(one) - size :]
        return self._frame

    async def _render(
        self, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool, tools: Sequence[Any] = ()
    ) -> tuple[int, ...]:
        body = {"messages": list(messages), "add_generation_prompt": add_generation_prompt, "add_special_tokens": False}
        reply = await self._tokenize({**body, "tools": list(tools)} if tools else body)
        return tuple(reply.tokens)

    async def _tokenize(self, body: dict[str, Any]) -> _Tokenized:
        return await self._http.post("/tokenize", {"model": self._name, **body}, _Tokenized, timeout_s=30)

    def _fitting(self, ids: tuple[int, ...]) -> TokenContext:
        if len(ids) >= self._max_model_len:
            raise PromptTooLong(len(ids), self._max_model_len)
        return TokenContext(ids)


_DUMMY = ({"role": "user", "content": "a"}, {"role": "user", "content": "b"})
"""Two messages that differ in their one token of text, so that their common end is the template's."""


def _result_messages(results: Sequence[ToolResult], hint: str) -> list[dict[str, Any]]:
    """All results of a turn as consecutive tool messages, the hint at the end of the last."""
    if not results:
        return [{"role": ChatRole.USER.value, "content": hint}]
    texts = [result.content for result in results]
    texts[-1] = f"{texts[-1]}\n\n{hint}".rstrip()
    return [{"role": ChatRole.TOOL.value, "content": text} for text in texts]


async def open_vllm(http: Http, name: str, *, on_violation: Callable[[], None] = _ignore) -> VllmModel:
    """A model by its served name. Raises `InvalidRequest` when the engine does not serve it."""
    models = await served_models(http)
    if all(model.id != name for model in models.data):
        served = ", ".join(model.id for model in models.data)
        raise InvalidRequest(f"no model {name!r} is served; served: {served}", field="/model")
    length = models.context_of(name)
    if length is None:
        length = (await VllmModel(http, name, 1)._tokenize({"prompt": "a"})).max_model_len
    return VllmModel(http, name, length, on_violation=on_violation)
