"""An honest engine for tests of policies: vLLM's routes over real HTTP, a small distribution that adapters shift.

The probability of a token depends on the token before it, on the base's seed and on the adapter's file, so that a
trainer that reads the same file computes the same. It can be told to misbehave as real engines have.
"""

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from services.kit.http import server
from services.trainer.folder import ScoreRow
from tests.integration.orchestrator_replica import eventually

VOCABULARY = 48
BASE_MODEL = "smollm2"
WEIGHTS = "adapter_model.safetensors"


@lru_cache(maxsize=200_000)
def _vector(seed: int, previous: int) -> tuple[float, ...]:
    source = random.Random(f"{seed}/{previous}")
    return tuple(source.gauss(0, 1) for _ in range(VOCABULARY))


@dataclass(frozen=True)
class Weights:
    """A base and what an adapter adds to it: `{"seed", "scale"}` a shift."""

    base: int
    shifts: tuple[tuple[int, float], ...] = ()

    def logprobs(self, previous: int) -> list[float]:
        """Natural-log probabilities of every token after `previous`."""
        logits = list(_vector(self.base, previous))
        for seed, scale in self.shifts:
            logits = [value + scale * shift for value, shift in zip(logits, _vector(seed, previous), strict=True)]
        total = math.log(math.fsum(map(math.exp, logits)))
        return [value - total for value in logits]


def write_adapter(folder: Path, *shifts: tuple[int, float]) -> Path:
    """An adapter's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    (folder / WEIGHTS).write_text(json.dumps(shifts))
    return folder


def read_adapter(folder: Path) -> tuple[tuple[int, float], ...]:
    return tuple((int(seed), float(scale)) for seed, scale in json.loads((folder / WEIGHTS).read_text()))


def _noise(label: str, tokens: Sequence[int], sigma: float) -> float:
    """Rounding: the same for the same computation, heavy-tailed, different between engine and trainer."""
    if not sigma:
        return 0.0
    source = random.Random(f"{label}/{tuple(tokens[-6:])}/{len(tokens)}")
    return sigma * source.gauss(0, 1) * source.choice((0.3, 0.6, 1.0, 2.0))


@dataclass
class Trainer:
    """The scorer: what a learner with these weights computes."""

    weights: Weights
    sigma: float = 0.0
    asked: int = 0

    async def score(self, rows: Sequence[ScoreRow], /) -> list[tuple[float, ...]]:
        self.asked += 1
        return [
            tuple(self._scored(row.token_ids, place) for place in range(row.start, len(row.token_ids))) for row in rows
        ]

    def _scored(self, ids: Sequence[int], place: int) -> float:
        exact = self.weights.logprobs(ids[place - 1])[ids[place]]
        return exact + _noise("trainer", ids[: place + 1], self.sigma)


@dataclass
class PolicyEngine:
    """One replica, and its faults."""

    root: Path
    """Folder its base was loaded from."""
    base: int = 1
    sigma: float = 0.0
    dev_mode: bool = False
    loaded: dict[str, str] = field(default_factory=dict)
    """Folder by adapter name."""
    content: dict[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    whole: tuple[tuple[int, float], ...] = ()
    calls: list[str] = field(default_factory=list)
    serves_instead: dict[str, str] = field(default_factory=dict)
    """Adapter name -> the adapter (or base) whose weights are used in its place: a stale cache."""
    refuses_load: bool = False
    dies_in_load: bool = False
    template: int = 0
    drawn: list[int] = field(default_factory=list)
    """One entry a completion, so that each draws other tokens."""

    def weights(self, model: str) -> Weights:
        model = self.serves_instead.get(model, model)
        return Weights(self.base, self.whole + self.content.get(model, ()))

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        weights, ids = self.weights(body["model"]), list(body["prompt"])
        how, allowed = ("reading", body["allowed_token_ids"]) if "allowed_token_ids" in body else ("sampling", None)
        self.drawn.append(ids[-1])
        source, prompt, logprobs = random.Random(f"{len(self.drawn)}/{ids}"), list(ids), []
        for _ in range(body["max_tokens"]):
            odds = [math.exp(value) for value in weights.logprobs(ids[-1])]
            ids.append(allowed[0] if allowed else source.choices(range(VOCABULARY), odds)[0])
            logprobs.append(self._stated(weights, ids, len(ids) - 1, how))
        choice = {
            "text": "",
            "token_ids": ids[len(prompt) :],
            "prompt_token_ids": prompt,
            "logprobs": {"token_logprobs": logprobs},
        }
        return {"choices": [choice]}

    def _stated(self, weights: Weights, ids: list[int], place: int, how: str = "sampling") -> float:
        return weights.logprobs(ids[place - 1])[ids[place]] + _noise(how, ids[: place + 1], self.sigma)

    def models(self) -> dict[str, Any]:
        base = {"id": BASE_MODEL, "root": str(self.root), "parent": None}
        return {"data": [base, *({"id": name, "root": at, "parent": BASE_MODEL} for name, at in self.loaded.items())]}

    def restart(self) -> None:
        """Forget everything that was loaded."""
        self.loaded.clear()
        self.content.clear()
        self.whole = ()


def _stable(folder: Path) -> bool:
    return (folder / "STABLE").exists()


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "code": status}}, status)


def app(engine: PolicyEngine) -> FastAPI:
    routes = FastAPI()

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        return engine.models()

    @routes.post("/tokenize")
    async def tokenize(request: Request) -> dict[str, Any]:
        body = await request.json()
        text = json.dumps([body.get("messages"), bool(body.get("tools"))], ensure_ascii=False).encode()
        return {"tokens": [(one + engine.template) % VOCABULARY for one in text[-90:]], "max_model_len": 4_096}

    @routes.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        body = await request.json()
        name, folder = body["lora_name"], body["lora_path"]
        engine.calls.append(f"load {name}")
        if engine.dies_in_load:
            return _error(500, "EngineCore died")
        if engine.refuses_load:
            return _error(400, "LoRA rank 64 is greater than max_lora_rank 16.")
        if name in engine.loaded:
            return _error(400, f"The lora adapter '{name}' has already been loaded.")
        if not _stable(Path(folder)):
            return _error(404, f"Loading lora {name} failed: No adapter found for {folder}")
        engine.loaded[name], engine.content[name] = folder, read_adapter(Path(folder))
        return PlainTextResponse("Success")

    @routes.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        name = (await request.json())["lora_name"]
        engine.calls.append(f"unload {name}")
        if engine.loaded.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        del engine.content[name]
        return PlainTextResponse("Success")

    @routes.post("/v1/completions")
    async def completions(request: Request) -> Response:
        body = await request.json()
        if body["model"] not in {BASE_MODEL, *engine.loaded}:
            return _error(404, f"The model `{body['model']}` does not exist.")
        return JSONResponse(engine.complete(body))

    if engine.dev_mode:

        @routes.post("/{path:path}")
        async def developer(path: str, request: Request) -> dict[str, str]:
            engine.calls.append(path)
            if path == "collective_rpc":
                folder = Path((await request.json())["kwargs"]["weights_path"])
                engine.whole = () if folder == engine.root else read_adapter(folder)
            return {}

    return routes


@asynccontextmanager
async def listening(routes: FastAPI) -> AsyncIterator[str]:
    """An app behind a free port; its address."""
    uvicorn = server(routes, host="127.0.0.1", port=0)
    async with asyncio.TaskGroup() as group:
        done = group.create_task(uvicorn.serve())
        await eventually(lambda: uvicorn.started or done.done(), "the server to listen")
        try:
            yield f"http://127.0.0.1:{uvicorn.servers[0].sockets[0].getsockname()[1]}"
        finally:
            uvicorn.should_exit = True


@asynccontextmanager
async def serving(engine: PolicyEngine) -> AsyncIterator[str]:
    """The engine behind a free port; its address."""
    async with listening(app(engine)) as url:
        yield url
