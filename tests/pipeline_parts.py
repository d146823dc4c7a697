"""What the tests of the data pipeline work with: tables of pages, settings, and a language model on a real port."""

import gzip
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from rich.console import Console

from services.kit.asking import Patience
from services.kit.http import server
from services.pipeline.queries import Sources
from services.pipeline.run import Asked
from services.pipeline.settings import CheckSettings, QuerySettings
from services.pipeline.tables import Page
from services.pipeline.watch import Watch
from tests.servers import free_port, listens, wait_until

ONCE = Patience(tries=1)


def page(name: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> Page:
    """A page with one table."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return Page(f"https://wiki/{name}#Clubs", title or f"{name} – Clubs", f"# {name}\nAbout.\n\n## Clubs\n\n{table}\n")


def link(name: str) -> str:
    """A cell that is a link."""
    return f"[{name}](https://wiki/{name.replace(' ', '_')})"


CLUBS = [
    [str(place), link(f"Club {place}"), link(town), f"{place},500", "prose [with](https://x) links"]
    for place, town in enumerate(("Arvo", "Besk", "Celm", "Dorn", "Arvo"), 1)
]
HEADER = ("Rank", "Team", "City", "Capacity", "Remarks")


def write_tables(path: Path, pages: Sequence[Page]) -> Path:
    """A gzipped file of tables."""
    lines = [json.dumps({"url": one.url, "title": one.title, "text": one.text}) for one in pages]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def settings(**changes: Any) -> QuerySettings:
    """A small set."""
    return QuerySettings(**{"seed": 3, "count": 12, **changes})


def asked(folder: Path, **changes: Any) -> Asked:
    """A small pipeline without models and cluster."""
    queries = changes.pop("settings", settings())
    pages = changes.pop("pages", ())
    checks = changes.pop("checks", CheckSettings(sample=6))
    return Asked(folder, Sources(queries, pages), checks, **changes)


def watch(folder: Path) -> Watch:
    """Progress that nobody sees."""
    folder.mkdir(parents=True, exist_ok=True)
    return Watch(folder, Console(file=io.StringIO(), width=200))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


@dataclass
class Speaker:
    """A chat endpoint that says what a function makes of the prompt, and can be down."""

    says: Callable[[str], str]
    url: str = ""
    prompts: list[str] = field(default_factory=list)
    down_after: int | None = None
    """Replies after which it answers 503."""


def _app(speaker: Speaker) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"data": [{"id": "talker"}]}

    @app.post("/v1/chat/completions")
    async def chat(body: dict[str, Any]) -> dict[str, Any]:
        if speaker.down_after is not None and len(speaker.prompts) >= speaker.down_after:
            raise HTTPException(503, "too busy")
        prompt = body["messages"][0]["content"]
        speaker.prompts.append(prompt)
        return {"choices": [{"message": {"content": speaker.says(prompt)}, "finish_reason": "stop"}]}

    return app


@contextmanager
def speaking(says: Callable[[str], str]) -> Iterator[Speaker]:
    """The endpoint on a free port, in a thread."""
    port = free_port()
    speaker = Speaker(says, f"http://127.0.0.1:{port}/v1")
    uvicorn = server(_app(speaker), host="127.0.0.1", port=port)
    thread = threading.Thread(target=uvicorn.run)
    thread.start()
    try:
        wait_until(lambda: listens(port), seconds=10, what="the endpoint")
        yield speaker
    finally:
        uvicorn.should_exit = True
        thread.join(10)
