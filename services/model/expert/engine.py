"""Prompt ids in, completion ids out: the expert behind its HTTP door."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.model.expert.policy import respond
from services.model.expert.protocol import BadRequest
from services.model.expert.tokens import Tokens

MODEL_NAME = "expert"


@dataclass(frozen=True)
class Generated:
    """One completion."""

    text: str
    """What the ids say, the end-of-turn token aside."""
    token_ids: list[int]
    """The end-of-turn token included when the completion is whole."""
    finish_reason: str
    role: str


class Engine:
    """A deterministic engine: the same prompt gives the same ids."""

    def __init__(self, tokens: Tokens, max_model_len: int) -> None:
        self.tokens = tokens
        self.max_model_len = max_model_len

    def generate(self, prompt: Sequence[int], max_tokens: int | None) -> Generated:
        """Complete `prompt` with at most `max_tokens` tokens (None: what the context has room for).

        Raises `BadRequest` when the prompt leaves no room or holds an id outside the vocabulary.
        """
        room = self.max_model_len - len(prompt)
        if room < 0:
            raise BadRequest(
                f"This model's maximum context length is {self.max_model_len} tokens. However, your prompt contains "
                f"{len(prompt)} input tokens, which exceeds this limit even without any output tokens. Please reduce "
                f"the length of the input prompt. (parameter=input_tokens, value={len(prompt)})",
                param="input_tokens",
            )
        # As vLLM does: a request for more than the context has room for is shortened to the room.
        limit = room if max_tokens is None else min(max_tokens, room)
        if limit < 1:
            raise BadRequest(
                f"max_tokens must be at least 1, got {limit}. (parameter=max_tokens, value={limit})", param="max_tokens"
            )
        unknown = next((token for token in prompt if not 0 <= token < self.tokens.vocabulary_size), None)
        if unknown is not None:
            raise BadRequest(f"Token id {unknown} is out of vocabulary")
        role, text = respond(self.tokens.decode(prompt))
        ids = [*self.tokens.encode(text), self.tokens.end_of_turn]
        if len(ids) <= limit:
            return Generated(text, ids, "stop", role)
        cut = ids[:limit]
        return Generated(self.tokens.decode(cut, skip_special=True), cut, "length", role)
