"""An engine for tests: vLLM's routes over a real chat template and a real vocabulary, a script for a policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


@dataclass
class Vocabulary:
    """Text to ids and back; `encode` reads special tokens as such."""

    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], str]
    end_of_turn: str = "<|im_end|>"


@dataclass
class TemplateEngine:
    """Renders like the engine does, and samples what the script says."""

    template: str
    vocabulary: Vocabulary
    replies: Sequence[str]
    max_model_len: int = 32_768
    prompts: list[list[int]] = field(default_factory=list)
    """Token ids of each completion's prompt."""
    sampled: list[list[int]] = field(default_factory=list)
    tamper: Callable[[list[int]], list[int]] = list
    """What the engine reports as the prompt; a test may make it lie."""

    def render(self, body: dict[str, Any]) -> str:
        """The template, with the environment that transformers gives it."""
        environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = _tojson
        return environment.from_string(self.template).render(
            messages=body["messages"],
            tools=body.get("tools") or None,
            add_generation_prompt=body.get("add_generation_prompt", True),
        )

    def tokenize(self, body: dict[str, Any]) -> list[int]:
        text = self.render(body) if "messages" in body else body["prompt"]
        return self.vocabulary.encode(text)

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        text = self.replies[len(self.prompts)]
        ids = self.vocabulary.encode(text + self.vocabulary.end_of_turn)
        finish = "stop" if len(ids) <= body["max_tokens"] else "length"
        ids = ids[: body["max_tokens"]]
        self.prompts.append(prompt)
        self.sampled.append(ids)
        choice = {
            "text": self.vocabulary.decode(ids[:-1] if finish == "stop" else ids),
            "finish_reason": finish,
            "token_ids": ids,
            "prompt_token_ids": self.tamper(prompt),
            "logprobs": {"token_logprobs": [-0.5] * len(ids)},
        }
        return {"choices": [choice], "usage": {"prompt_tokens": len(prompt), "completion_tokens": len(ids)}}

    def app(self) -> FastAPI:
        """The routes the adapter uses."""
        app = FastAPI()

        @app.get("/v1/models")
        async def models() -> dict[str, Any]:
            return {"data": [{"id": "policy", "max_model_len": self.max_model_len}]}

        @app.post("/tokenize")
        async def tokenize(request: Request) -> dict[str, Any]:
            ids = self.tokenize(await request.json())
            return {"tokens": ids, "count": len(ids), "max_model_len": self.max_model_len}

        @app.post("/v1/completions")
        async def completions(request: Request) -> JSONResponse:
            body = await request.json()
            if len(body["prompt"]) + body["max_tokens"] > self.max_model_len:
                error = {"error": {"message": f"This model's maximum context length is {self.max_model_len} tokens."}}
                return JSONResponse(error, 400)
            return JSONResponse(self.complete(body))

        return app

    def transport(self) -> httpx.AsyncBaseTransport:
        """The engine without a socket."""
        return httpx.ASGITransport(self.app())


def _tojson(value: Any) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, ensure_ascii=False)
