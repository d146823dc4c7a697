"""A language model behind an OpenAI-compatible endpoint, asked one thing at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.kit.asking import Patience, Stop
from wideseek.clients._http import Http
from wideseek.clients.engines import DEFAULT_CONTEXT, resolve_model
from wideseek.clients.openai import OpenAIModel
from wideseek.errors import InvalidRequest, ModelUnavailable
from wideseek.messages import ChatRole, Message, Sampling
from wideseek.toolcalls import after_thinking

_TIMEOUT_S = 300


@dataclass(frozen=True)
class Endpoint:
    """One model of an endpoint."""

    name: str
    """The endpoint's name of the model."""
    model: OpenAIModel
    patience: Patience
    stop: Stop = field(default_factory=Stop)

    async def say(self, prompt: str, sampling: Sampling, *, max_tokens: int) -> str:
        """The reply without its thinking. Raises `ModelUnavailable` when the endpoint stays down."""
        context = await self.model.begin([Message(role=ChatRole.USER, text=prompt)], [])
        done = await self.patience.spend_on(
            lambda: self.model.complete(context, sampling, max_tokens=max_tokens, final=True), self.stop
        )
        return after_thinking(done.text).strip()


@asynccontextmanager
async def open_endpoint(
    url: str, *, model: str | None = None, api_key: str | None = None, patience: Patience | None = None
) -> AsyncIterator[Endpoint]:
    """The endpoint at `url`, which may end in `/v1`, with the named model or the first it lists.

    Raises `InvalidRequest` for an address or a model that is none, `ModelUnavailable` when it is down.
    """
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest(f"{url}: expected the address of an endpoint, with http(s)://")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else None
    base = url.rstrip("/").removesuffix("/v1")
    async with Http(base, ModelUnavailable, timeout_s=_TIMEOUT_S, headers=headers) as http:
        try:
            name = await resolve_model(http, model)
        except ModelUnavailable as outage:
            raise ModelUnavailable(f"{url}: {outage}") from outage
        yield Endpoint(name, OpenAIModel(http, name, DEFAULT_CONTEXT), patience or Patience(tries=3))
