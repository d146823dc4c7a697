"""The parts of vLLM's OpenAI protocol that the expert serves, shaped as vLLM 0.32 answers.

Requests ignore fields they do not know (sampling parameters change nothing here), as vLLM does.
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field


class Lenient(BaseModel):
    """A request body; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class TokenizeRequest(Lenient):
    """Body of `POST /tokenize`: a `prompt`, or `messages` with `tools`."""

    model: str | None = None
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    add_generation_prompt: bool = True
    return_token_strs: bool = False


class DetokenizeRequest(Lenient):
    """Body of `POST /detokenize`."""

    model: str | None = None
    tokens: list[int]


class CompletionRequest(Lenient):
    """Body of `POST /v1/completions`: one prompt, as text or as token ids."""

    model: str | None = None
    prompt: str | list[int] | list[str] | list[list[int]]
    max_tokens: int | None = 16
    logprobs: int | None = Field(default=None, ge=0)
    return_token_ids: bool | None = None
    skip_special_tokens: bool = True
    stream: bool = False


class ChatRequest(Lenient):
    """Body of `POST /v1/chat/completions`."""

    model: str | None = None
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    return_token_ids: bool | None = None
    stream: bool = False


class BadRequest(Exception):
    """What the caller must change; answered in vLLM's error shape."""

    def __init__(
        self, message: str, *, param: str | None = None, status: int = 400, kind: str = "BadRequestError"
    ) -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.kind = kind


def error_body(message: str, kind: str, status: int, param: str | None = None) -> dict[str, Any]:
    """vLLM's error shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def usage(num_prompt: int, num_completion: int) -> dict[str, Any]:
    """Token counts of one answer."""
    return {
        "prompt_tokens": num_prompt,
        "total_tokens": num_prompt + num_completion,
        "completion_tokens": num_completion,
        "prompt_tokens_details": None,
    }


def envelope(prefix: str, kind: str, model: str) -> dict[str, Any]:
    """The fields every answer starts with."""
    return {"id": f"{prefix}-{uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def completion_logprobs(strings: Sequence[str]) -> dict[str, Any]:
    """Log-probabilities of a text completion: 0.0 each, the expert being certain by definition."""
    offsets, place = [], 0
    for string in strings:
        offsets.append(place)
        place += len(string)
    return {
        "text_offset": offsets,
        "token_logprobs": [0.0] * len(strings),
        "tokens": list(strings),
        "top_logprobs": [{string: 0.0} for string in strings],
    }


def chat_logprobs(strings: Sequence[str]) -> dict[str, Any]:
    """Log-probabilities of a chat completion."""
    return {
        "content": [
            {"token": string, "logprob": 0.0, "bytes": list(string.encode()), "top_logprobs": []} for string in strings
        ]
    }
