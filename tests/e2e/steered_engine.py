"""vLLM behind it, held to a script: a run whose sampling has the script's seed writes what the script's patterns allow.

An untrained model hardly ever calls a tool. vLLM's structured outputs make it: the tokens are still vLLM's own
samples with vLLM's own log-probabilities, so everything behind the model is exercised as it will be. With
`STEERED_ALWAYS` every completion is held to the training script and scored again without its patterns.
Other requests pass as they are.
"""

import asyncio
import os
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

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


def create(upstream: str, *, always: bool = False) -> FastAPI:
    """A proxy that adds the script's patterns to completions; `always`: to those with other seeds too."""
    app = FastAPI()
    client = httpx.AsyncClient(base_url=upstream, timeout=300, trust_env=False)

    async def steered(body: dict[str, Any]) -> dict[str, Any]:
        ids = {"model": body["model"], "tokens": body["prompt"]}
        prompt = (await client.post("/detokenize", json=ids)).json()["prompt"]
        script = TRAINED_LEAD if always else LEAD
        return {**body, "structured_outputs": {"regex": pattern(prompt, script)}}

    async def forced(model: str, prompt: list[int], token: int) -> float:
        asked = {"model": model, "prompt": prompt, "max_tokens": 1, "logprobs": 0, "allowed_token_ids": [token]}
        reply = (await client.post("/v1/completions", json={**asked, "add_special_tokens": False})).json()
        stated: float = reply["choices"][0]["logprobs"]["token_logprobs"][0]
        return stated

    async def own_words(body: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        """The reply with the log-probabilities that the policy itself gives its tokens.

        vLLM states those of the distribution that the pattern left; a learner knows no pattern.
        """
        (choice,) = reply["choices"]
        ids = [*body["prompt"], *choice["token_ids"]]
        places = range(len(body["prompt"]), len(ids))
        own = await asyncio.gather(*(forced(body["model"], ids[:place], ids[place]) for place in places))
        choice["logprobs"]["token_logprobs"] = list(own)
        return reply

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def forward(path: str, request: Request) -> Response:
        body: dict[str, Any] | None = await request.json() if request.method == "POST" else None
        scripted = path == "v1/completions" and body and (always or body.get("seed") == SCRIPT_SEED)
        if scripted and body:
            body = await steered(body)
        answer = await client.request(request.method, f"/{path}", json=body)
        if scripted and always and body and answer.status_code == 200:
            return JSONResponse(await own_words(body, answer.json()))
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


if __name__ == "__main__":
    port = int(os.environ["STEERED_PORT"])
    app = create(os.environ["STEERED_UPSTREAM"], always="STEERED_ALWAYS" in os.environ)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
