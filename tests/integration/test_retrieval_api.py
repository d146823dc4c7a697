"""The service's routes over real indexes of a few hundred pages, through ASGI."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.retrieval.app import build_app
from services.retrieval.documents import Document
from services.retrieval.encoder import Encoder
from services.retrieval.settings import Bundled, RetrievalSettings
from tests.retrieval_parts import HashingEncoder, index_of, islands

Client = httpx.AsyncClient


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("indexes")
    index_of(root, "isles", islands(), encoder=HashingEncoder())
    index_of(root, "words", islands(30))
    return root


@asynccontextmanager
async def _served(
    root: Path, load_encoder: Callable[[], Encoder] = HashingEncoder, **settings: Any
) -> AsyncIterator[Client]:
    given = RetrievalSettings(
        index_dir=root, default_corpus="isles", bundled=Bundled.OFF, poll_seconds=0.02, **settings
    )
    app = build_app(given, load_encoder)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        yield await stack.enter_async_context(Client(transport=transport, base_url="http://retrieval"))


async def _until(client: Client, check: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        answered = (await client.get("/readyz")).json()
        if answered["checks"][check] == state:
            return dict(answered)
        assert time.monotonic() < deadline, answered
        await asyncio.sleep(0.01)


@pytest.fixture
async def client(indexes: Path) -> AsyncIterator[Client]:
    async with _served(indexes) as served:
        await _until(served, "dense", "ready")
        yield served


async def _hits(client: Client, **body: Any) -> list[list[dict[str, Any]]]:
    answered = await client.post("/v1/search", json=body)
    assert answered.status_code == 200, answered.text
    return list(answered.json()["results"])


async def test_search_answers_each_query_in_order(client: Client) -> None:
    results = await _hits(client, queries=["Dravik", "Hollin population", "zzyzx"], count=3)

    assert [hits[0]["title"] for hits in results[:2]] == ["Dravik", "Hollin"]
    assert [len(hits) for hits in results[:2]] == [3, 3]
    assert all(hit["corpus"] == "isles" for hits in results for hit in hits)


async def test_search_says_what_it_ranked_by(client: Client) -> None:
    hybrid = await client.post("/v1/search", json={"queries": ["Dravik"]})
    lexical = await client.post("/v1/search", json={"queries": ["Dravik"], "corpus": "words"})

    assert (hybrid.json()["ranking"], lexical.json()["ranking"]) == ("hybrid", "lexical")


async def test_accented_names_are_found_without_their_accents(client: Client) -> None:
    results = await _hits(client, queries=["cotelune", "GRAVIKA", "Isbroya coastline", "eirnsay"], count=1)

    assert [hits[0]["title"] for hits in results] == ["Côtelune", "Gråvika", "Isbrøya", "Éirnsay"]


async def test_a_hit_is_verbatim_and_leads_to_its_page(client: Client) -> None:
    ((hit, *_),) = await _hits(client, queries=["Brónholt highest point"])

    page = (await client.get(f"/v1/pages/{hit['content_sha256']}")).json()

    assert page["url"] == hit["url"]
    assert page["text"][hit["start"] : hit["end"]] == hit["snippet"]
    assert hashlib.sha256(page["text"].encode()).hexdigest() == hit["content_sha256"]


async def test_several_corpora_are_searched_together(client: Client) -> None:
    ((*hits,),) = await _hits(client, queries=["Dravik"], corpus=["isles", "words"], count=4)

    assert {hit["corpus"] for hit in hits[:2]} == {"isles", "words"}


async def test_a_search_of_some_pages_looks_wherever_they_lie(client: Client) -> None:
    some = ["island:13", "island:3", "island:none"]

    ((*anywhere,),) = await _hits(client, queries=["Dravik capital"], urls=some, count=9)
    ((*there,),) = await _hits(client, queries=["Dravik capital"], urls=some, corpus="words", count=9)

    assert {(hit["url"], hit["corpus"]) for hit in there} == {("island:3", "words"), ("island:13", "words")}
    assert {hit["url"] for hit in anywhere} == {"island:3", "island:13"}
    assert {hit["corpus"] for hit in anywhere} == {"isles", "words"}


async def test_pages_outside_those_there_are_stay_unknown(client: Client) -> None:
    body = {"urls": ["island:3", " island:3#Geography", "island:4"], "only": ["island:3", "island:none"]}

    results = (await client.post("/v1/access", json=body)).json()["results"]

    assert [result["page"] and result["page"]["url"] for result in results] == ["island:3", "island:3", None]


async def test_corpora_are_listed_with_what_they_can(client: Client) -> None:
    listed = (await client.get("/v1/corpora")).json()["corpora"]

    told = [(c["name"], c["num_pages"], c["lexical"], c["dense_ready"], c["default"]) for c in listed]

    assert told == [("isles", 200, True, True, True), ("words", 30, True, False, False)]


async def test_access_gives_pages_and_the_passages_that_serve_the_need(client: Client) -> None:
    body = {"urls": ["island:3", "island:none"], "info_to_extract": "median age"}

    found, missing = (await client.post("/v1/access", json=body)).json()["results"]

    text = found["page"]["text"]
    assert found["page"]["title"] == "Dravik"
    assert text[found["passages"][2]["start"] : found["passages"][2]["end"]] == "Median age > total: 23 years"
    assert missing == {"url": "island:none", "page": None, "passages": []}


async def test_access_without_a_need_keeps_the_order_of_the_page(client: Client) -> None:
    (found,) = (await client.post("/v1/access", json={"urls": ["island:0"]})).json()["results"]

    starts = [passage["start"] for passage in found["passages"]]

    assert starts == sorted(starts)


async def test_access_looks_only_into_the_corpora_named(client: Client) -> None:
    body = {"urls": ["island:150"], "corpus": ["words"]}

    (found,) = (await client.post("/v1/access", json=body)).json()["results"]

    assert found["page"] is None


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/search", {"queries": ["x"], "corpus": "nowhere"}, "/corpus"),
        ("/v1/access", {"urls": ["x"], "corpus": ["isles", "nowhere"]}, "/corpus"),
        ("/v1/search", {"queries": []}, "/queries"),
        ("/v1/search", {"queries": [""]}, "/queries/0"),
        ("/v1/search", {"queries": ["x"], "count": 0}, "/count"),
        ("/v1/search", {"queries": ["x"], "top": 3}, "/top"),
        ("/v1/search", {"queries": ["x" * 2_001]}, "/queries/0"),
        ("/v1/access", {"urls": ["x"] * 65}, "/urls"),
        ("/v1/access", {}, "/urls"),
        ("/retrieve", {"queries": ["x"], "topk": 1_000}, "/topk"),
    ],
)
async def test_bad_input_is_a_problem_that_names_the_field(
    client: Client, path: str, body: dict[str, Any], pointer: str
) -> None:
    answered = await client.post(path, json=body)

    assert answered.status_code == 422
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json()["errors"][0]["pointer"] == pointer


async def test_malformed_json_is_a_problem(client: Client) -> None:
    answered = await client.post("/v1/search", content=b"{", headers={"content-type": "application/json"})

    assert answered.status_code == 400
    assert answered.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("sha", ["00" * 32, "no-hash", "zz" * 32])
async def test_an_unknown_content_hash_is_404(client: Client, sha: str) -> None:
    answered = await client.get(f"/v1/pages/{sha}")

    assert answered.status_code == 404
    assert sha in answered.json()["detail"]


async def test_the_reference_routes_answer_in_their_shape(client: Client) -> None:
    plain = (await client.post("/retrieve", json={"queries": ["Dravik", "Hollin"], "topk": 2})).json()["result"]
    scored = (await client.post("/retrieve", json={"queries": ["Dravik"], "return_scores": True})).json()["result"]
    pages = (await client.post("/access", json={"urls": ["island:3", "none"]})).json()["result"]

    assert [len(documents) for documents in plain] == [2, 2]
    assert plain[0][0]["url"] == "island:3"
    assert "Dravik" in plain[0][0]["contents"]
    assert scored[0][0]["document"] == plain[0][0]
    assert scored[0][0]["score"] > 0
    assert (pages[0]["url"], pages[1]) == ("island:3", None)
    assert pages[0]["contents"].startswith("# Dravik")


async def test_concurrent_queries_are_answered_each_with_its_own(client: Client) -> None:
    numbers = range(10, 74)
    titles = [page.title for page in islands()]

    answers = await asyncio.gather(*(_hits(client, queries=[titles[number]], count=1) for number in numbers))

    assert [hits[0][0]["title"] for hits in answers] == [titles[number] for number in numbers]


async def test_metrics_tell_load_and_outcomes(client: Client) -> None:
    await _hits(client, queries=["Dravik"])
    await client.post("/v1/search", json={"queries": ["x"], "corpus": "nowhere"})

    text = (await client.get("/metrics")).text

    assert 'wideseek_retrieval_requests_total{outcome="ok",route="search"} 1.0' in text
    assert 'wideseek_retrieval_requests_total{outcome="invalid",route="search"} 1.0' in text
    for name in ("queue_depth", "in_flight", "slots", "seconds_bucket", "encode_batch_count"):
        assert f"wideseek_retrieval_{name}" in text


async def test_openapi_carries_examples(client: Client) -> None:
    described = (await client.get("/openapi.json")).json()

    body = described["paths"]["/v1/search"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["examples"][0]["queries"]
    assert set(described["paths"]) >= {"/v1/search", "/v1/access", "/v1/pages/{content_sha256}", "/v1/corpora"}


async def test_queries_are_ranked_lexically_until_the_encoder_has_loaded(indexes: Path) -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow() -> Encoder:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
        return HashingEncoder()

    async with _served(indexes, slow) as client:
        await _until(client, "dense", "loading")
        early = await client.post("/v1/search", json={"queries": ["Dravik"]})
        ready = (await client.get("/readyz")).json()
        gate.set()
        await _until(client, "dense", "ready")
        late = await client.post("/v1/search", json={"queries": ["Dravik"]})

    assert (early.json()["ranking"], late.json()["ranking"]) == ("lexical", "hybrid")
    assert ready == {"ready": True, "checks": {"lexical": "ready", "dense": "loading"}}


async def test_an_encoder_that_cannot_load_leaves_lexical_search(indexes: Path) -> None:
    def broken() -> Encoder:
        raise OSError("no model here")

    async with _served(indexes, broken) as client:
        state = await _until(client, "dense", "failed: OSError: no model here")
        answered = await client.post("/v1/search", json={"queries": ["Dravik"]})

    assert state["ready"]
    assert answered.json()["ranking"] == "lexical"


async def test_a_dense_only_corpus_is_unavailable_without_its_encoder(tmp_path: Path) -> None:
    index_of(tmp_path, "isles", islands(20), lexical=False, encoder=HashingEncoder())

    async with _served(tmp_path, dense=False) as client:
        await _until(client, "dense", "off")
        answered = await client.post("/v1/search", json={"queries": ["Dravik"]})

    assert answered.status_code == 503
    assert "Retry-After" in answered.headers
    assert answered.json()["detail"].startswith("retrieval: ")


async def test_before_the_first_index_the_service_is_up_and_not_ready(tmp_path: Path) -> None:
    async with _served(tmp_path / "nothing") as client:
        alive = await client.get("/healthz")
        ready = await client.get("/readyz")
        answered = await client.post("/v1/search", json={"queries": ["Dravik"]})

    assert (alive.status_code, ready.status_code, answered.status_code) == (200, 503, 503)


async def test_new_and_replaced_indexes_are_picked_up_while_serving(tmp_path: Path) -> None:
    async with _served(tmp_path) as client:
        index_of(tmp_path, "isles", islands(20), encoder=HashingEncoder())
        await _until(client, "dense", "ready")
        before = await _hits(client, queries=["Dravik"], count=1)

        index_of(tmp_path, "isles", [Document("new:1", "Dravik", "all new")], encoder=HashingEncoder())
        deadline = time.monotonic() + 10
        while (after := await _hits(client, queries=["Dravik"], count=1))[0][0]["url"] != "new:1":
            assert time.monotonic() < deadline
        ranking = (await client.post("/v1/search", json={"queries": ["Dravik"]})).json()["ranking"]

    assert before[0][0]["url"] == "island:3"
    assert after[0][0]["snippet"] == "all new"
    assert ranking == "hybrid"


async def test_a_damaged_index_does_not_take_the_others_down(tmp_path: Path) -> None:
    index_of(tmp_path, "isles", islands(20))
    damaged = index_of(tmp_path, "words", islands(10))
    (tmp_path / "words" / damaged.data / "pages.sqlite").write_bytes(b"")
    (tmp_path / "words" / damaged.data / "passage_pages.npy").write_bytes(b"")

    async with _served(tmp_path) as client:
        await _until(client, "lexical", "ready")
        listed = (await client.get("/v1/corpora")).json()["corpora"]

    assert [corpus["name"] for corpus in listed] == ["isles"]
