"""The expert's HTTP door: vLLM's routes, vLLM's shapes."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse

from services.kit.http import Readiness, create_app
from services.model.expert.calls import split_calls
from services.model.expert.engine import MODEL_NAME, Engine, Generated
from services.model.expert.metrics import Metrics
from services.model.expert.protocol import (
    BadRequest,
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    TokenizeRequest,
    chat_logprobs,
    completion_logprobs,
    envelope,
    error_body,
    usage,
)
from services.model.expert.tokens import Tokens


def create_expert_app(tokenizer_file: Path, max_model_len: int, tokens_per_second: float | None = None) -> FastAPI:
    """An app that serves the expert with the tokenizer in `tokenizer_file`.

    `tokens_per_second` is the pace of each completion, others side by side; None: no slower than it can.
    """
    engine = Engine(Tokens(tokenizer_file), max_model_len)
    metrics = Metrics(MODEL_NAME)

    async def ready() -> Readiness:
        return Readiness(ready=True, checks={"model": "ok"})

    app = create_app("wideseek expert", ready=ready, registry=metrics.registry)
    app.add_exception_handler(BadRequest, _on_bad_request)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    door = _Door(engine, metrics, tokens_per_second)
    app.add_api_route("/health", door.health, methods=["GET"])
    app.add_api_route("/version", door.version, methods=["GET"])
    app.add_api_route("/v1/models", door.models, methods=["GET"])
    app.add_api_route("/tokenize", door.tokenize, methods=["POST"])
    app.add_api_route("/detokenize", door.detokenize, methods=["POST"])
    app.add_api_route("/v1/completions", door.completions, methods=["POST"], response_model=None)
    app.add_api_route("/v1/chat/completions", door.chat, methods=["POST"], response_model=None)
    return app


class _Door:
    """The routes, bound to one engine."""

    def __init__(self, engine: Engine, metrics: Metrics, tokens_per_second: float | None) -> None:
        self._engine = engine
        self._tokens_per_second = tokens_per_second
        self._tokens = engine.tokens
        self._metrics = metrics

    async def health(self) -> Response:
        """200 when the engine answers."""
        return Response(status_code=200)

    async def version(self) -> dict[str, str]:
        """The engine's version."""
        return {"version": "expert-1"}

    async def models(self) -> dict[str, Any]:
        """The one model there is; its completions demonstrate, they are no policy's."""
        card = {
            "id": MODEL_NAME,
            "object": "model",
            "created": 0,
            "owned_by": "wideseek",
            "root": MODEL_NAME,
            "parent": None,
            "max_model_len": self._engine.max_model_len,
            "permission": [],
            "source": "demonstration",
        }
        return {"object": "list", "data": [card]}

    async def tokenize(self, request: TokenizeRequest) -> dict[str, Any]:
        """Token ids of a prompt or of rendered messages."""
        if request.messages is not None:
            text = self._render(request.messages, request.tools, add_generation_prompt=request.add_generation_prompt)
        elif request.prompt is not None:
            text = request.prompt
        else:
            raise BadRequest("either prompt or messages is needed", param="prompt")
        ids = self._tokens.encode(text)
        strings = [self._tokens.decode([token]) for token in ids] if request.return_token_strs else None
        return {"count": len(ids), "max_model_len": self._engine.max_model_len, "tokens": ids, "token_strs": strings}

    async def detokenize(self, request: DetokenizeRequest) -> dict[str, str]:
        """The text behind ids."""
        return {"prompt": self._tokens.decode(request.tokens)}

    async def completions(self, request: CompletionRequest) -> Any:
        """Complete one prompt."""
        self._check_model(request.model)
        if request.stream:
            raise BadRequest("the expert streams chat completions only", param="stream")
        ids = self._prompt_ids(request.prompt)
        answer = await self._generate(ids, request.max_tokens)
        text = answer.text if request.skip_special_tokens else self._tokens.decode(answer.token_ids)
        strings = None if request.logprobs is None else self._strings(answer.token_ids)
        choice = {
            "index": 0,
            "text": text,
            "logprobs": None if strings is None else completion_logprobs(strings),
            "finish_reason": answer.finish_reason,
            "stop_reason": None,
            "token_ids": answer.token_ids if request.return_token_ids else None,
            "prompt_logprobs": None,
            "prompt_token_ids": ids if request.return_token_ids else None,
        }
        body = envelope("cmpl", "text_completion", MODEL_NAME)
        return {**body, "choices": [choice], "usage": usage(len(ids), len(answer.token_ids))}

    async def chat(self, request: ChatRequest) -> Any:
        """Answer a conversation; tool calls come back in OpenAI's shape."""
        self._check_model(request.model)
        tools = None if request.tool_choice == "none" else request.tools
        ids = self._tokens.encode(self._render(request.messages, tools, add_generation_prompt=True))
        answer = await self._generate(ids, request.max_completion_tokens or request.max_tokens)
        content, calls = split_calls(answer.text) if tools else (answer.text, [])
        message: dict[str, Any] = {"role": "assistant", "content": content or None}
        if calls:
            message["tool_calls"] = calls
        choice: dict[str, Any] = {
            "index": 0,
            "message": message,
            "logprobs": chat_logprobs(self._strings(answer.token_ids)) if request.logprobs else None,
            "finish_reason": "tool_calls" if calls else answer.finish_reason,
            "stop_reason": None,
            "token_ids": answer.token_ids if request.return_token_ids else None,
        }
        body = envelope("chatcmpl", "chat.completion", MODEL_NAME)
        if request.stream:
            return StreamingResponse(_events(body, choice), media_type="text/event-stream")
        prompt_ids = ids if request.return_token_ids else None
        return {
            **body,
            "choices": [choice],
            "prompt_token_ids": prompt_ids,
            "usage": usage(len(ids), len(answer.token_ids)),
        }

    async def _generate(self, ids: Sequence[int], max_tokens: int | None) -> Generated:
        with self._metrics.request():
            answer = await run_in_threadpool(self._engine.generate, ids, max_tokens)
            if self._tokens_per_second is not None:
                await asyncio.sleep(len(answer.token_ids) / self._tokens_per_second)
        self._metrics.answered(answer.role, len(ids), len(answer.token_ids))
        return answer

    def _render(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, *, add_generation_prompt: bool
    ) -> str:
        plain = [{**message, "content": _text(message.get("content"))} for message in messages]
        return self._tokens.render(plain, tools or [], add_generation_prompt=add_generation_prompt)

    def _prompt_ids(self, prompt: str | list[int] | list[str] | list[list[int]]) -> list[int]:
        first = prompt[0] if isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list) else prompt
        if first is not prompt and len(prompt) > 1:
            raise BadRequest("the expert takes one prompt a request", param="prompt")
        ids = (
            self._tokens.encode(first)
            if isinstance(first, str)
            else [token for token in first if isinstance(token, int)]
        )
        if not ids:
            raise BadRequest(
                "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)", param="prompt"
            )
        return ids

    def _strings(self, ids: Sequence[int]) -> list[str]:
        return [self._tokens.decode([token]) for token in ids]

    def _check_model(self, name: str | None) -> None:
        if name not in {None, MODEL_NAME}:
            raise BadRequest(
                f"The model `{name}` does not exist. Valid aliases: {MODEL_NAME}.",
                param="model",
                status=404,
                kind="NotFoundError",
            )


def _text(content: Any) -> str:
    """A message's content: a string, or the text parts of a list."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""


async def _events(body: dict[str, Any], choice: dict[str, Any]) -> AsyncIterator[str]:
    """A chat completion as server-sent events: the whole message in one chunk, then the reason it ended."""
    chunk = {**body, "object": "chat.completion.chunk"}
    message = choice["message"]
    calls = [{**call, "index": number} for number, call in enumerate(message.get("tool_calls", []))]
    delta = {"role": "assistant", "content": message["content"] or "", "tool_calls": calls}
    for part, reason in ((delta, None), ({}, choice["finish_reason"])):
        item = {"index": 0, "delta": part, "logprobs": None, "finish_reason": reason}
        yield f"data: {json.dumps({**chunk, 'choices': [item]})}\n\n"
    yield "data: [DONE]\n\n"


async def _on_bad_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BadRequest)
    return JSONResponse(error_body(str(error), error.kind, error.status, error.param), error.status)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    detail = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
    return JSONResponse(error_body(detail, "Bad Request", 400), 400)
