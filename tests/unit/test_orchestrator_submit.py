"""What a run is checked for, and how long an answer about a service is trusted."""

import asyncio

import pytest

from services.orchestrator.readiness import state
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.submit import Remembered, check_corpora, new_run_id
from services.orchestrator.tables import Format, chosen
from tests.integration.orchestrator_replica import corpus
from wideseek.errors import InvalidRequest, ModelUnavailable, RetrievalUnavailable


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
