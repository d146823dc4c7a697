"""The engine behind it, slowed down: every completion waits, so that there is time to kill somebody."""

import asyncio
import os

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response

DELAY_S = float(os.environ.get("SLOW_SECONDS", "1"))


def create(upstream: str, delay_s: float) -> FastAPI:
    """A proxy that adds `delay_s` to each completion and nothing else."""
    app = FastAPI()
    client = httpx.AsyncClient(base_url=upstream, timeout=60, trust_env=False)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def forward(path: str, request: Request) -> Response:
        if path == "v1/completions":
            await asyncio.sleep(delay_s)
        answer = await client.request(
            request.method, f"/{path}", content=await request.body(), headers={"content-type": "application/json"}
        )
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


if __name__ == "__main__":
    port = int(os.environ["SLOW_PORT"])
    uvicorn.run(create(os.environ["SLOW_UPSTREAM"], DELAY_S), host="127.0.0.1", port=port, log_level="warning")
