"""What a run is checked for, and how long an answer about a service is trusted."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from services.orchestrator.modes import answering_agent, with_own_limits
from services.orchestrator.readiness import state
from services.orchestrator.requirements import check_corpora, check_request
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.submit import Remembered, Submit, Terms, Upstreams, new_run_id
from services.orchestrator.tables import Format, chosen
from tests.integration.orchestrator_replica import Served, corpus
from wideseek.contracts import CorpusInfo, PromptProfile, RunRequest
from wideseek.errors import InvalidRequest, ModelUnavailable, RetrievalUnavailable
from wideseek.trajectory import Role


def request(**fields: Any) -> RunRequest:
    return RunRequest.model_validate({"query": "Which?", **fields})


async def checked(served: Served | None = None, default_model: str | None = None, **fields: Any) -> Terms:
    """The terms of a request; the log is out of reach."""
    upstreams = (served or Served()).upstreams()
    return await Submit(None, upstreams, default_model).check(request(**fields), "ws_1")  # type: ignore[arg-type]


def test_run_ids_sort_by_time_and_do_not_repeat() -> None:
    ids = [new_run_id() for _ in range(1_000)]

    assert len(set(ids)) == 1_000
    assert all(len(run_id) == 29 and run_id.startswith("ws_01") for run_id in ids)
    assert [run_id[:13] for run_id in ids] == sorted(run_id[:13] for run_id in ids)


async def test_an_answer_is_asked_for_once_while_it_is_trusted() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return asked

    remembered = Remembered(ask, seconds=60)
    answers = await asyncio.gather(*(remembered() for _ in range(5)))

    assert answers == [1] * 5


async def test_an_outage_is_remembered_too() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        raise ModelUnavailable("down")

    remembered = Remembered(ask, seconds=60)
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="down"):
            await remembered()

    assert asked == 1


async def test_an_answer_is_asked_for_again_when_it_is_old() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        return asked

    remembered = Remembered(ask, seconds=-1)

    assert [await remembered(), await remembered()] == [1, 2]


def test_a_corpus_still_loading_is_an_outage_not_a_mistake() -> None:
    served = [corpus("factbook", default=True), corpus("atlas", lexical=False)]

    check_corpora((), served)
    check_corpora(("factbook",), served)

    with pytest.raises(RetrievalUnavailable, match="atlas is loading"):
        check_corpora(("atlas",), served)
    with pytest.raises(InvalidRequest, match="unknown corpus web"):
        check_corpora(("web",), served)


@pytest.mark.parametrize(
    ("fields", "turns"),
    [
        ({}, 10),
        ({"mode": "sequential"}, 10),
        ({"mode": "oracle_retrieval"}, 10),
        ({"mode": "single_agent"}, 50),
        ({"mode": "single_agent", "limits": {"max_rows": 9}}, 50),
        ({"mode": "single_agent", "limits": {"max_turns": 10}}, 10),
        ({"limits": {"max_turns": 7}}, 7),
        ({"mode": "closed_book", "limits": {"max_turns": 7}}, 1),
    ],
)
def test_the_turns_of_the_mode_are_written_down_unless_the_caller_named_some(fields: Any, turns: int) -> None:
    effective = with_own_limits(request(**fields))

    stored = RunRequest.model_validate_json(effective.model_dump_json())
    assert stored.limits.max_turns == turns
    assert answering_agent(stored, "en").max_turns == turns
    assert stored.model_copy(update={"limits": request(**fields).limits}) == request(**fields)


@pytest.mark.parametrize(
    ("fields", "width"),
    [
        ({}, 20),
        ({"prompt_profile": "compact"}, 40),
        ({"prompt_profile": "compact", "limits": {"max_rows": 9}}, 40),
        ({"prompt_profile": "compact", "limits": {"max_width": 20}}, 20),
    ],
)
def test_the_width_of_the_profile_is_written_down_unless_the_caller_named_one(fields: Any, width: int) -> None:
    effective = with_own_limits(request(**fields))

    assert effective.limits.max_width == width
    assert answering_agent(effective, "en").max_items == width


@pytest.mark.parametrize(
    ("mode", "role", "items"),
    [
        ("multi_agent", Role.LEAD, 3),
        ("sequential", Role.LEAD, 3),
        ("oracle_retrieval", Role.LEAD, 3),
        ("single_agent", Role.SINGLE, 5),
        ("closed_book", Role.SINGLE, 1),
    ],
)
@pytest.mark.parametrize("output", ["table", "answer"])
def test_each_mode_has_its_agent(mode: str, role: Role, items: int, output: str) -> None:
    agent = answering_agent(request(mode=mode, output=output, limits={"max_width": 3}), "en")

    assert (agent.role, agent.max_items) == (role, items)
    assert ("boxed{" in agent.instructions) == (output == "answer")


async def test_both_models_are_resolved_once() -> None:
    plain = await checked()
    both = await checked(model="policy@v1", subagent_model="expert")
    default = await checked(default_model="policy@v1")

    assert (plain.model, plain.subagent_model) == ("expert", None)
    assert (both.model, both.subagent_model) == ("policy@v1", "expert")
    assert (default.model, default.subagent_model) == ("policy@v1", None)


async def test_a_default_model_that_is_not_served_is_an_outage() -> None:
    with pytest.raises(ModelUnavailable, match="policy@v7 is not served"):
        await checked(default_model="policy@v7")


async def test_a_closed_book_is_taken_in_while_retrieval_is_down() -> None:
    async def unasked() -> Sequence[CorpusInfo]:
        raise AssertionError("retrieval was asked")

    upstreams = Upstreams(models=Served().upstreams().models, corpora=unasked)

    terms = await Submit(None, upstreams).check(request(mode="closed_book"), "ws_1")  # type: ignore[arg-type]

    assert terms.request.limits.max_turns == 1
    with pytest.raises(RetrievalUnavailable):
        await checked(Served(corpora=RetrievalUnavailable("down")), mode="single_agent")


@pytest.mark.parametrize(
    "fields",
    [
        {"output": "answer"},
        {"output": "answer", "mode": "closed_book"},
        {"output": "answer", "prompt_profile": "compact"},
        {"mode": "oracle_retrieval", "sources": {"urls": ["made:a"]}},
        {"mode": "closed_book", "sources": {"urls": ["made:a"], "corpora": ["atlas"]}},
        {"mode": "sequential", "subagent_model": "policy@v1"},
        {"sources": {"urls": ["https://e.org/A_(b)", " made:spaced name "]}},
    ],
)
def test_what_goes_together_is_taken_in(fields: Any) -> None:
    check_request(request(**fields))


def test_subagents_of_their_own_are_a_mistake_where_none_work() -> None:
    with pytest.raises(InvalidRequest, match="no subagents") as mistaken:
        check_request(request(mode="single_agent", subagent_model="expert"))

    assert mistaken.value.field == "/subagent_model"


@pytest.mark.parametrize(
    ("asked", "default", "profile"),
    [
        (None, "full", "full"),
        (None, "compact", "compact"),
        ("full", "compact", "full"),
        ("compact", "full", "compact"),
    ],
)
async def test_the_profile_is_the_deployments_unless_the_caller_names_one(
    asked: str | None, default: str, profile: str
) -> None:
    submit = Submit(None, Served().upstreams(), default_profile=PromptProfile(default))  # type: ignore[arg-type]

    terms = await submit.check(request(prompt_profile=asked), "ws_1")

    assert terms.request.prompt_profile == profile
    assert answering_agent(terms.request, "en").profile == profile


async def test_a_check_says_ok_or_what_is_wrong() -> None:
    async def fine() -> str:
        return "ok"

    async def down() -> str:
        raise RetrievalUnavailable("loading")

    assert [await state(fine), await state(down)] == ["ok", "loading"]


@pytest.mark.parametrize(
    ("asked", "accept", "format_"),
    [
        (None, "", Format.JSON),
        (None, "*/*", Format.JSON),
        (None, "text/markdown", Format.MD),
        (None, "text/html, TEXT/CSV; q=0.5", Format.CSV),
        (Format.JSON, "text/csv", Format.JSON),
    ],
)
def test_the_format_is_named_or_accepted(asked: Format | None, accept: str, format_: Format) -> None:
    assert chosen(asked, accept) is format_


def test_settings_have_the_defaults_of_a_local_cluster() -> None:
    settings = OrchestratorSettings()

    assert settings.port == 8080
    assert settings.redis_url == "redis://127.0.0.1:6380/0"
    assert settings.retention_s == 7 * 86_400
