"""How long searches take over an index: `python -m benchmarks.retrieval_search --root DIR --corpus NAME [--dense]`.

Queries are titles of the corpus with words added, asked one after another and then side by side through ASGI.
"""

import argparse
import asyncio
import random
import statistics
import time
from pathlib import Path

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
    started = time.perf_counter()
    app = build_app(RetrievalSettings(index_dir=root, default_corpus=corpus, bundled=Bundled.OFF, dense=dense))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://retrieval", timeout=120) as client:
            check = "dense" if dense else "lexical"
            while (await client.get("/readyz")).json()["checks"][check] != "ready":
                await asyncio.sleep(0.01)
            print(f"{check} ready after {time.perf_counter() - started:.2f} s")
            seconds = []
            for query in asked:
                began = time.perf_counter()
                (await client.post("/v1/search", json={"queries": [query], "corpus": corpus})).raise_for_status()
                seconds.append(time.perf_counter() - began)
            cuts = statistics.quantiles(seconds, n=100)
            print(
                f"one at a time: median {1e3 * cuts[49]:.1f} ms, p95 {1e3 * cuts[94]:.1f} ms, p99 {1e3 * cuts[98]:.1f} ms"
            )
            began = time.perf_counter()
            bodies = [{"queries": [query], "corpus": corpus} for query in asked]
            await asyncio.gather(*(client.post("/v1/search", json=body) for body in bodies))
            print(f"side by side: {len(asked) / (time.perf_counter() - began):.0f} queries/s")


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
