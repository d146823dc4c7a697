"""`OpenAIModel`: any chat-completions endpoint with tools. It serves equally; its rollouts are not trainable."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from wideseek.clients._http import Http, Stopwatch, upstream
from wideseek.errors import ModelUnavailable, PromptTooLong
from wideseek.messages import Completion, Malformed, Message, Sampling, ToolCall, ToolSpec
from wideseek.ports import Context
from wideseek.trajectory import ToolResult

CHARS_PER_TOKEN = 3
"""A cautious guess for endpoints that do not tokenise for us; Chinese counts a token a character."""

_TOO_LONG = ("context length", "context_length", "maximum context", "too many tokens", "prompt is too long")


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Function(_Reply):
    name: str = ""
    arguments: str = "{}"


class _Call(_Reply):
    id: str = ""
    function: _Function = _Function()


class _Message(_Reply):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(_Reply):
    message: _Message
    finish_reason: str | None = None


class _Usage(_Reply):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chat(_Reply):
    choices: list[_Choice]
    usage: _Usage = _Usage()


@dataclass(frozen=True)
class ChatContext:
    """A context as chat messages in the API's own shape."""

    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]
    num_tokens: int
    """An estimate; exact as far as the endpoint has reported its usage."""


class OpenAIModel:
    """A policy behind `/v1/chat/completions`."""

    def __init__(self, http: Http, name: str, max_model_len: int) -> None:
        self._http = http
        self._name = name
        self._max_model_len = max_model_len

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and completion together, as configured."""
        return self._max_model_len

    async def begin(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> ChatContext:
        """The first messages."""
        shaped = tuple({"role": message.role.value, "content": message.text} for message in messages)
        specs = tuple(tool.openai() for tool in tools)
        return self._fitting(ChatContext(shaped, specs, estimate(json.dumps([*shaped, *specs], ensure_ascii=False))))

    async def extend(
        self, context: Context, completion: Completion, results: Sequence[ToolResult], hint: str
    ) -> ChatContext:
        """The assistant's message, then one tool message a call; the hint stands on the last."""
        before = cast("ChatContext", context)
        calls = completion.calls or ()
        assistant: dict[str, Any] = {"role": "assistant", "content": completion.text}
        if calls:
            assistant["tool_calls"] = [_shaped_call(call) for call in calls]
        texts = [result.content for result in results] or [""]
        texts[-1] = f"{texts[-1]}\n\n{hint}".strip()
        if calls:
            pairs = zip(calls, texts, strict=True)
            answers = [{"role": "tool", "tool_call_id": call.call_id, "content": text} for call, text in pairs]
        else:
            answers = [{"role": "user", "content": "\n\n".join(texts)}]
        used = completion.prompt_tokens + completion.completion_tokens
        grown = used + sum(estimate(text) for text in texts)
        return self._fitting(replace(before, messages=(*before.messages, assistant, *answers), num_tokens=grown))

    async def complete(self, context: Context, sampling: Sampling, *, max_tokens: int, final: bool) -> Completion:
        """Ask for the next message; on the last turn no tool may be chosen."""
        chat = cast("ChatContext", context)
        body: dict[str, Any] = {"model": self._name, "messages": list(chat.messages), "max_tokens": max_tokens}
        if chat.tools:
            body |= {"tools": list(chat.tools), "tool_choice": "none" if final else "auto"}
        body |= sampling.model_dump(exclude_none=True)
        watch = Stopwatch()
        reply = await self._chat(body, chat.num_tokens)
        choice, usage = reply.choices[0], reply.usage
        text = choice.message.content or ""
        return Completion(
            text=text,
            calls=tuple(_read_call(call) for call in choice.message.tool_calls) if choice.message.tool_calls else None,
            prompt_tokens=usage.prompt_tokens or chat.num_tokens,
            completion_tokens=usage.completion_tokens or estimate(text),
            finish_reason="length" if choice.finish_reason == "length" else "stop",
            model_name=self._name,
            seconds=watch.seconds(),
        )

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """An estimate from above for most texts."""
        return [estimate(text) for text in texts]

    async def _chat(self, body: dict[str, Any], num_tokens: int) -> _Chat:
        response = await self._http.raw("POST", "/v1/chat/completions", json=body)
        if response.status_code in {400, 413} and any(sign in response.text.lower() for sign in _TOO_LONG):
            raise PromptTooLong(num_tokens, self._max_model_len)
        with upstream(ModelUnavailable):
            response.raise_for_status()
            return _Chat.model_validate_json(response.content)

    def _fitting(self, context: ChatContext) -> ChatContext:
        if context.num_tokens >= self._max_model_len:
            raise PromptTooLong(context.num_tokens, self._max_model_len)
        return context


def estimate(text: str) -> int:
    """Tokens of a text, guessed: a third of its Latin characters, every other character one."""
    wide = sum(1 for character in text if ord(character) > 0x2E7F)
    return wide + (len(text) - wide + CHARS_PER_TOKEN - 1) // CHARS_PER_TOKEN


def _read_call(call: _Call) -> ToolCall | Malformed:
    try:
        arguments = json.loads(call.function.arguments or "{}")
    except json.JSONDecodeError as error:
        problem = f"the arguments of {call.function.name} are not valid JSON: {error}"
        return Malformed(text=call.function.arguments, problem=problem, call_id=call.id)
    if not isinstance(arguments, dict):
        problem = f"the arguments of {call.function.name} must be an object"
        return Malformed(text=call.function.arguments, problem=problem, call_id=call.id)
    return ToolCall(name=call.function.name, arguments=arguments, call_id=call.id)


def _shaped_call(call: ToolCall | Malformed) -> dict[str, Any]:
    name = call.name if isinstance(call, ToolCall) else "unreadable"
    arguments = json.dumps(call.arguments) if isinstance(call, ToolCall) else "{}"
    return {"id": call.call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
