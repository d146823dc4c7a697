"""Which adapter an endpoint gets: token-exact where it can tokenise, chat completions elsewhere."""

from collections.abc import Callable

from wideseek.clients._http import Http
from wideseek.clients.model import VllmModel, open_vllm, served_models
from wideseek.clients.openai import OpenAIModel
from wideseek.errors import InvalidRequest, ModelUnavailable
from wideseek.ports import ChatModel

DEFAULT_CONTEXT = 32_768
"""Context of an endpoint that states none."""


async def resolve_model(http: Http, wanted: str | None) -> str:
    """The name to serve a run with: the wanted one, else the first the engine lists.

    Raises `InvalidRequest` naming the served models, `ModelUnavailable` when the engine is down.
    """
    served = [model.id for model in (await served_models(http)).data]
    if wanted is None and served:
        return served[0]
    if wanted is None or wanted not in served:
        raise InvalidRequest(f"no model {wanted!r} is served; served: {', '.join(served) or 'none'}", field="/model")
    return wanted


class Engines:
    """The models of one endpoint by name, each opened once."""

    def __init__(self, http: Http, *, on_violation: Callable[[], None], context_tokens: int | None = None) -> None:
        self._http = http
        self._on_violation = on_violation
        self._context_tokens = context_tokens
        self._open: dict[str, ChatModel] = {}

    async def model(self, name: str) -> ChatModel:
        """The adapter for a model. Raises `ModelUnavailable` when the engine is down."""
        if name not in self._open:
            self._open[name] = await self._opened(name)
        return self._open[name]

    async def _opened(self, name: str) -> VllmModel | OpenAIModel:
        probe = await self._http.raw("POST", "/tokenize", json={"model": name, "prompt": "a"}, timeout=10)
        if probe.is_server_error or probe.status_code == 429:
            # An engine that is starting must not be taken for one that cannot tokenise.
            raise ModelUnavailable(f"answered {probe.status_code} to /tokenize")
        if probe.is_success and "max_model_len" in probe.text:
            return await open_vllm(self._http, name, on_violation=self._on_violation)
        context = self._context_tokens or (await served_models(self._http)).context_of(name) or DEFAULT_CONTEXT
        return OpenAIModel(self._http, name, context)
