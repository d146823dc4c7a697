"""The engine behind it, without saying that a rule speaks: to the cluster it is a policy that could be trained."""

import json
import os

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response


def create(upstream: str) -> FastAPI:
    """A proxy that takes the source out of model cards and nothing else."""
    app = FastAPI()
    client = httpx.AsyncClient(base_url=upstream, timeout=60, trust_env=False)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def forward(path: str, request: Request) -> Response:
        answer = await client.request(
            request.method, f"/{path}", content=await request.body(), headers={"content-type": "application/json"}
        )
        content = answer.content
        if path == "v1/models":
            listed = answer.json()
            cards = [{name: value for name, value in card.items() if name != "source"} for card in listed["data"]]
            content = json.dumps({**listed, "data": cards}).encode()
        return Response(content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


if __name__ == "__main__":
    port = int(os.environ["PLAIN_PORT"])
    uvicorn.run(create(os.environ["PLAIN_UPSTREAM"]), host="127.0.0.1", port=port, log_level="warning")
