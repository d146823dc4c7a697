"""What is known of the weights and corpora behind a run, and what the engine says of its models."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response

from services.kit.policies import ServedVersion
from services.orchestrator.models import Named, NoPolicies, check_served, resolve
from services.orchestrator.provenance import corpus_hash, weights_of
from services.orchestrator.upstreams import http_upstreams
from tests.integration.orchestrator_replica import corpus
from wideseek.clients._http import Http
from wideseek.contracts import RunRequest
from wideseek.errors import InvalidRequest, ModelUnavailable
from wideseek.events import Weights
from wideseek.rollout import RolloutSource


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def kept_model(home: Path) -> Weights:
    """A model in the home, and its hashes."""
    folder = home / "models" / "smollm2"
    folder.mkdir(parents=True)
    for name, text in (("MODEL.json", json.dumps({"sha256": "base"})), ("tokenizer.json", "t")):
        (folder / name).write_text(text)
    (folder / "chat_template.jinja").write_text("c")
    return Weights(base_model_hash="base", tokenizer_hash=sha("t"), template_hash=sha("c"))


async def test_a_models_hashes_are_those_of_its_folder(tmp_path: Path) -> None:
    stated = kept_model(tmp_path)

    assert await weights_of(Named("smollm2"), (), tmp_path) == stated
    assert await weights_of(Named("other"), (), tmp_path) == Weights()
    assert await weights_of(Named("../models/smollm2"), (), tmp_path) == Weights()
    assert await weights_of(Named("org/model"), (), tmp_path) == Weights()


async def test_a_versions_hashes_are_those_of_its_policy(tmp_path: Path) -> None:
    stated = kept_model(tmp_path)
    trained = ServedVersion(
        name="policy",
        version=3,
        model="policy@v3",
        adapter_sha256="a",
        base_sha256="b",
        tokenizer_sha256="t",
        template_sha256="c",
    )
    base = ServedVersion(name="policy", version=0, model="smollm2", base_sha256="base")

    third = await weights_of(Named("policy@v3", trained), (), tmp_path)
    zeroth = await weights_of(Named("smollm2", base), (), tmp_path)
    unknown = await weights_of(Named("policy@v5"), (), tmp_path)

    assert third == Weights(base_model_hash="b", adapter_hash="a", tokenizer_hash="t", template_hash="c", version=3)
    assert zeroth == stated
    assert unknown == Weights(version=5)


async def test_a_model_that_demonstrates_has_no_weights(tmp_path: Path) -> None:
    found = await weights_of(Named("expert"), {"expert"}, tmp_path)

    assert found == Weights(source=RolloutSource.DEMONSTRATION)


def test_the_corpora_searched_have_one_hash() -> None:
    served = [corpus("factbook", default=True), corpus("atlas")]
    plain, both = (
        RunRequest(query="?"),
        RunRequest.model_validate({"query": "?", "sources": {"corpora": ["atlas", "factbook"]}}),
    )

    assert corpus_hash(plain, served) == sha("factbook 0")
    assert corpus_hash(both, served) == corpus_hash(both, served[::-1]) == sha("atlas 0\nfactbook 0")
    assert corpus_hash(plain, ()) == ""


def engine(card: dict[str, Any]) -> Callable[[], Http]:
    app = FastAPI()

    @app.get("/health")
    async def health() -> Response:
        return Response()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"data": [{"id": "one", "max_model_len": 8, **card}, {"id": "two"}]}

    return lambda: Http("http://engine", ModelUnavailable, transport=httpx.ASGITransport(app))


@pytest.mark.parametrize(
    ("card", "expected"),
    [({"source": "demonstration"}, {"one"}), ({"source": "policy"}, set()), ({"source": None}, set()), ({}, set())],
)
async def test_the_engines_cards_say_who_demonstrates(card: dict[str, Any], expected: set[str]) -> None:
    async with engine(card)() as http:
        upstreams = http_upstreams(http, http)

        assert set(await upstreams.demonstrators()) == expected
        assert list(await upstreams.models()) == ["one", "two"]


class TwoVersions(NoPolicies):
    """A policy whose current version is its second."""

    async def chosen(self, asked: str | None, run_id: str) -> ServedVersion | None:
        number = {None: 2, "policy": 2, "policy@v0": 0, "policy@v2": 2}.get(asked)
        if number is None:
            return None
        return ServedVersion(name="policy", version=number, model=f"policy@v{number}" if number else "base")


@pytest.mark.parametrize(
    ("asked", "default", "served", "model"),
    [
        (None, None, ["base", "policy@v2"], "policy@v2"),
        (None, None, ["base"], "policy@v2"),
        (None, None, ["expert"], "expert"),
        (None, None, ["wideseek-smollm2"], "wideseek-smollm2"),
        (None, "base", ["base", "policy@v2"], "base"),
        (None, "policy", ["base", "policy@v2"], "policy@v2"),
        ("policy", "base", ["base"], "policy@v2"),
        ("policy@v2", None, ["expert"], "policy@v2"),
        ("policy@v9", None, ["base"], "policy@v9"),
        ("base", None, ["base"], "base"),
    ],
)
async def test_a_name_becomes_one_model(asked: str | None, default: str | None, served: list[str], model: str) -> None:
    assert (await resolve(TwoVersions(), "ws_1", asked, default=default, served=served)).model == model


async def test_a_merged_policy_is_found_by_the_link_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "trained-0a1b"
    folder.mkdir(parents=True)
    (folder / "MODEL.json").write_text(json.dumps({"sha256": "merged", "base_sha256": "base"}))
    (tmp_path / "models" / "trained").symlink_to(folder.name)

    assert (await weights_of(Named("trained"), (), tmp_path)).base_model_hash == "merged"


async def test_an_engine_that_serves_nothing_is_an_outage() -> None:
    with pytest.raises(ModelUnavailable, match="serves no model"):
        await resolve(NoPolicies(), "ws_1", "any", default=None, served=[])


def test_a_model_that_is_not_served_is_said_by_what_it_is() -> None:
    with pytest.raises(InvalidRequest, match="policy version policy@v9 is not loaded; name the policy alone"):
        check_served("policy@v9", ["base"], field="/model")
    with pytest.raises(InvalidRequest, match="unknown model x; served: base"):
        check_served("x", ["base"], field="/model")
    with pytest.raises(ModelUnavailable, match="default model policy@v2 is not served"):
        check_served("policy@v2", ["base"], field=None)
    check_served("base", ["base"], field=None)
