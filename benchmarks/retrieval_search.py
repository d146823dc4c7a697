"""How long searches take over an index: `python -m benchmarks.retrieval_search --root DIR --corpus NAME [--dense]`.

Queries are titles of the corpus with words added, asked one after another and then side by side through ASGI.
"""

import argparse
import asyncio
import random
import statistics
import time
from pathlib import Path
from typing import Any

import httpx

from services.retrieval.app import build_app
from services.retrieval.corpus import Corpus
from services.retrieval.manifest import read_manifest
from services.retrieval.settings import Bundled, RetrievalSettings

_WORDS = ("population", "history", "highest point", "who founded", "released in", "area and capital", "")


def queries(root: Path, corpus: str, count: int) -> list[str]:
    """Queries made of titles, the same for the same index."""
    manifest = read_manifest(root / corpus)
    if manifest is None:
        raise SystemExit(f"no index named {corpus} in {root}")
    draw = random.Random(1)
    pages = Corpus.open(root / corpus, manifest).store.pages(
        draw.sample(range(manifest.num_pages), min(count, manifest.num_pages))
    )
    return [f"{page.title} {draw.choice(_WORDS)}".strip() for page in pages.values()]


async def measure(root: Path, corpus: str, count: int, *, dense: bool) -> None:
    """Print start, latency and throughput."""
    asked = queries(root, corpus, count)
    app = build_app(RetrievalSettings(index_dir=root, default_corpus=corpus, bundled=Bundled.OFF, dense=dense))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://retrieval", timeout=120) as client,
    ):
        await _until_ready(client, "dense" if dense else "lexical")
        bodies = [{"queries": [query], "corpus": corpus} for query in asked]
        cuts = statistics.quantiles([await _timed(client, body) for body in bodies], n=100)
        print("one at a time:", ", ".join(f"p{share} {1e3 * cuts[share - 1]:.1f} ms" for share in (50, 95, 99)))
        began = time.perf_counter()
        await asyncio.gather(*(_timed(client, body) for body in bodies))
        print(f"side by side: {len(asked) / (time.perf_counter() - began):.0f} queries/s")


async def _until_ready(client: httpx.AsyncClient, check: str) -> None:
    began = time.perf_counter()
    while True:
        if (await client.get("/readyz")).json()["checks"][check] == "ready":
            break
        await asyncio.sleep(0.01)
    print(f"{check} ready after {time.perf_counter() - began:.2f} s")


async def _timed(client: httpx.AsyncClient, body: dict[str, Any]) -> float:
    began = time.perf_counter()
    (await client.post("/v1/search", json=body)).raise_for_status()
    return time.perf_counter() - began


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(".wideseek/indexes"))
    parser.add_argument("--corpus", default="factbook")
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--dense", action="store_true", help="wait for the encoder and rank by both")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.root, arguments.corpus, arguments.count, dense=arguments.dense))


if __name__ == "__main__":
    main()
