"""What agents and models say to each other."""

from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from wideseek.values import Frozen


class ChatRole(StrEnum):
    """The role of a chat message (an agent's own role is `Role`)."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Message(Frozen):
    """One chat message."""

    role: ChatRole
    text: str


class ToolSpec(Frozen):
    """A tool as the policy sees it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments object."""

    def openai(self) -> dict[str, Any]:
        """The OpenAI function format, which chat templates render."""
        return {"type": "function", "function": self.model_dump()}


class ToolCall(Frozen):
    """What the policy asked for."""

    name: str
    arguments: dict[str, Any]
    call_id: str = ""
    """The engine's id of the call; empty when the call was read from text."""


class Malformed(Frozen):
    """A tool call that could not be read: a value, not an error."""

    text: str
    problem: str
    """What is wrong and what to write instead, said to the policy."""
    call_id: str = ""
    """The engine's id of the call; empty when the call was read from text."""


class Sampling(Frozen):
    """How completions are drawn. Unset fields are left to the engine."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    seed: int | None = Field(default=None, ge=0)


class Completion(Frozen):
    """What the policy sampled in one turn."""

    text: str
    """Decoded text without the end-of-turn token."""
    token_ids: tuple[int, ...] = ()
    """Sampled ids, the end-of-turn token included when it was sampled."""
    logprobs: tuple[float, ...] = ()
    """Natural-log probability of each sampled id under the sampling engine; same length as `token_ids`."""
    prompt_token_ids: tuple[int, ...] = ()
    """The exact prompt, when the engine is token-exact."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = "stop"
    """`stop`, `length`, or `repetition` where the engine saw a loop: the engine's word."""
    model_name: str = ""
    """The engine's name for the weights that sampled this: base model or `policy@vN`."""
    trainable: bool = False
    """False when ids or log-probabilities were not recorded exactly."""
    calls: tuple[ToolCall | Malformed, ...] | None = None
    """Calls the endpoint parsed for us; None when they are to be read from `text`."""
    seconds: float = 0.0
    """Seconds between sending the request and the last byte."""
    request_id: str = ""
    """The engine's id of the request."""
    cached_tokens: int = 0
    """Tokens of the prompt that the engine had computed before, where it says so."""

    @property
    def truncated(self) -> bool:
        """Whether the completion ended because the room was used up."""
        return self.finish_reason == "length"

    @property
    def looped(self) -> bool:
        """Whether the engine ended the completion because it said the same over and over."""
        return self.finish_reason == "repetition"

    @model_validator(mode="after")
    def _aligned(self) -> "Completion":
        if self.logprobs and len(self.logprobs) != len(self.token_ids):
            raise ValueError(f"{len(self.logprobs)} log-probabilities for {len(self.token_ids)} tokens")
        return self
