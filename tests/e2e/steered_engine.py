"""vLLM behind it, held to a script: a run whose sampling has the script's seed writes what the script's patterns allow.

An untrained model hardly ever calls a tool. vLLM's structured outputs make it: the tokens are still vLLM's own
samples with vLLM's own log-probabilities, so everything behind the model is exercised as it will be. With
`STEERED_ALWAYS` every completion is held to the training script and scored again without its patterns.
Other requests pass as they are.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

SCRIPT_SEED = 7_331
_CALL = r"<tool_call>\n\{\"name\": \"%s\", \"arguments\": \{\"%s\": \[\{\"%s\": \"%s\"\}\]\}\}\n</tool_call>"
LEAD = (
    r"<tool_call>\n\{\"name\": \"call_subagent\", \"arguments\": [a-z ]{3,12}\n</tool_call>",
    _CALL % ("call_subagent", "subtasks", "prompt", "Find the capital of (Mali|Chad|Niger)"),
    r"\| Country \| Capital \|\n\| --- \| --- \|\n\| (Mali|Chad|Niger) \| [A-Z][a-z]{2,8} \|",
)
"""A call that is not JSON, a call, a table: by turn."""
SUBAGENT = (
    _CALL % ("search", "queries", "query", "(Mali|Chad|Niger) capital"),
    r"The capital is [A-Z][a-z]{2,8}\.",
)


_ROW = r"\n\| (Mali|Chad|Niger) \| (Bamako|Niamey|[A-Z][a-z]{2,8}) \|"
TRAINED_LEAD = (
    _CALL % ("call_subagent", "subtasks", "prompt", "Find the capital of (Mali|Chad|Niger)"),
    r"\| Country \| Capital \|\n\| --- \| --- \|" + _ROW + f"({_ROW})?({_ROW})?",
)
"""A call, then a table of one to three rows, so that rewards differ."""


def pattern(prompt: str, lead: tuple[str, ...] = LEAD) -> str:
    """What the script allows after this prompt."""
    script = lead if "call_subagent" in prompt else SUBAGENT
    turn = prompt.count("<|im_start|>assistant\n")
    return script[min(turn, len(script)) - 1]


class Gate:
    """Requests pass together, or one passes alone.

    With adapters enabled, a request for prompt log-probabilities ends vLLM 0.32 on a CPU when another is in its batch.
    """

    def __init__(self) -> None:
        self._passing = 0
        self._shut = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Pass beside others."""
        async with self._shut:
            self._passing += 1
            self._idle.clear()
        try:
            yield
        finally:
            self._passing -= 1
            if not self._passing:
                self._idle.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Pass once nobody else does; who comes meanwhile waits."""
        async with self._shut:
            await self._idle.wait()
            yield


def create(upstream: str, *, always: bool = False) -> FastAPI:
    """A proxy that adds the script's patterns to completions; `always`: to those with other seeds too."""
    app = FastAPI()
    client, gate = httpx.AsyncClient(base_url=upstream, timeout=300, trust_env=False), Gate()

    async def steered(body: dict[str, Any]) -> dict[str, Any]:
        ids = {"model": body["model"], "tokens": body["prompt"]}
        prompt = (await client.post("/detokenize", json=ids)).json()["prompt"]
        script = TRAINED_LEAD if always else LEAD
        return {**body, "structured_outputs": {"regex": pattern(prompt, script)}}

    async def own_words(body: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        """The reply with the log-probabilities that the policy itself gives its tokens.

        vLLM states those of the distribution that the pattern left; a learner knows no pattern.
        """
        (choice,) = reply["choices"]
        ids = [*body["prompt"], *choice["token_ids"]]
        places = range(len(body["prompt"]), len(ids))
        asked = {"model": body["model"], "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0, "temperature": 0}
        async with gate.alone():
            scored = (await client.post("/v1/completions", json={**asked, "add_special_tokens": False})).json()
        stated = scored["choices"][0]["prompt_logprobs"]
        own = [min(0.0, stated[place][str(ids[place])]["logprob"]) for place in places]
        choice["logprobs"]["token_logprobs"] = own
        return reply

    async def streamed(path: str, body: dict[str, Any]) -> AsyncIterator[bytes]:
        async with gate.together(), client.stream("POST", f"/{path}", json=body) as answer:
            async for chunk in answer.aiter_raw():
                yield chunk

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def forward(path: str, request: Request) -> Response:
        body: dict[str, Any] | None = await request.json() if request.method == "POST" else None
        scripted = path == "v1/completions" and body and (always or body.get("seed") == SCRIPT_SEED)
        scripted = scripted and not (body or {}).get("stream")
        if scripted and body:
            body = await steered(body)
        if body and body.get("stream"):
            return StreamingResponse(streamed(path, body), media_type="text/event-stream")
        async with gate.together():
            answer = await client.request(request.method, f"/{path}", json=body)
        if scripted and always and body and answer.status_code == 200:
            return JSONResponse(await own_words(body, answer.json()))
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


if __name__ == "__main__":
    port = int(os.environ["STEERED_PORT"])
    app = create(os.environ["STEERED_UPSTREAM"], always="STEERED_ALWAYS" in os.environ)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
