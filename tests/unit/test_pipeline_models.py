"""A writer and answerers behind a real port: what is taken of their words, and what an outage leaves."""

import re
from pathlib import Path

import pytest

from services.pipeline.answerers import Answerer, ask_answerers, compare, read_answers
from services.pipeline.endpoint import open_endpoint
from services.pipeline.lines import Query, StageFile
from services.pipeline.queries import Sources, Writer, make_queries
from services.pipeline.settings import QUERIES
from services.pipeline.writer import rewritten
from tests.pipeline_parts import ONCE, lines_of, settings, speaking, watch
from tests.suite_parts import question, wide_task
from wideseek.errors import InvalidRequest, ModelUnavailable
from wideseek.instances import Question, WideTask
from wideseek.messages import Sampling

ASKED = "What is the capital of Niger?"
KEY = "Unique columns: Country"


def query(**changes: object) -> Query:
    known = {"instance_id": "q", "kind": "question", "source": "factbook", "text": ASKED, "must_name": ("Niger",)}
    return Query.model_validate({**known, **changes})


async def written(words: str, asked: Query) -> Query:
    async def say(_prompt: str) -> str:
        return words

    return await rewritten(asked, say, {"answers": ["Niamey"]})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ('"Which city is the  capital of Niger?"', ""),
        ("Which city is the capital of Nigeria?", "lost: Niger"),
        ("", "nothing was written"),
        ("Niger?", "length"),
        (f"{ASKED} Please tell me: {'really ' * 20}Niger.", "length"),
        ("Is Niamey the capital city of Niger?", "tells the answer"),
    ],
)
async def test_new_words_are_taken_where_nothing_was_lost_or_told(words: str, why: str) -> None:
    found = await written(words, query())

    assert found.kept_because == why
    assert found.text == (ASKED if why else "Which city is the capital of Niger?")
    assert found.wording == ("template" if why else "writer")


async def test_how_to_answer_is_never_put_into_other_words() -> None:
    closing = "Take the values that the profiles record. Answer inside a ```markdown code fence."
    asked = query(kind="wide", text=f"List Niger and Mali. {closing}", must_name=("Niger", "Mali", "```markdown"))

    found = await written("I would like Niger and Mali.", asked)

    assert found.text == f"I would like Niger and Mali. {closing}"


async def test_a_writer_that_goes_down_stops_the_stage_and_the_next_call_ends_as_if_it_had_not(tmp_path: Path) -> None:
    with speaking(lambda prompt: "Kindly: " + prompt.rpartition("Request:\n")[2]) as speaker:
        writer = Writer(speaker.url, patience=ONCE)
        whole = await make_queries(tmp_path / "whole", Sources(settings()), watch(tmp_path / "whole"), writer)
        asked, speaker.down_after = len(speaker.prompts), len(speaker.prompts) + 8
        with pytest.raises(ModelUnavailable, match="503"):
            await make_queries(tmp_path / "cut", Sources(settings()), watch(tmp_path / "cut"), writer)
        kept = (tmp_path / "cut" / f"{QUERIES}.part").read_bytes().count(b"\n")
        speaker.down_after = None
        resumed = await make_queries(tmp_path / "cut", Sources(settings()), watch(tmp_path / "cut"), writer)

    assert kept == 8
    assert len(speaker.prompts) == 2 * asked
    assert resumed == whole
    assert {query.wording for query in whole} == {"writer"}
    assert (tmp_path / "cut" / QUERIES).read_bytes() == (tmp_path / "whole" / QUERIES).read_bytes()
    assert [line["event"] for line in lines_of(tmp_path / "cut" / "log.jsonl")] == [
        "began",
        "stopped",
        "began",
        "ended",
    ]


async def test_an_endpoint_is_used_by_name_and_its_thinking_left_out() -> None:
    with speaking(lambda _: "<think>hm</think> Done. ") as speaker:
        async with open_endpoint(speaker.url, api_key="k") as endpoint:
            assert (endpoint.name, await endpoint.say("Hi", Sampling(), max_tokens=9)) == ("talker", "Done.")
        with pytest.raises(InvalidRequest, match="no model 'other'"):
            async with open_endpoint(speaker.url, model="other"):
                pass
    with pytest.raises(InvalidRequest, match=r"with http\(s\)"):
        async with open_endpoint("nowhere"):
            pass
    with pytest.raises(ModelUnavailable, match=speaker.url):
        async with open_endpoint(speaker.url):
            pass


async def test_every_task_is_answered_in_two_ways_and_not_again(tmp_path: Path) -> None:
    tasks: list[WideTask | Question] = [wide_task(), question()]
    with speaking(lambda prompt: "two steps" if "two steps" in prompt else "at once") as speaker:
        assert read_answers(tmp_path) == []
        for _ in range(2):
            await ask_answerers(tmp_path, tasks, [Answerer(speaker.url)], watch(tmp_path))

    assert read_answers(tmp_path) == [{"w1": "at once", "q1": "at once"}, {"w1": "two steps", "q1": "two steps"}]
    assert len(speaker.prompts) == 4
    assert "Unique columns" in speaker.prompts[0]
    assert r"\boxed" in speaker.prompts[1]
    assert all(re.search(r"w1|q1", prompt) for prompt in speaker.prompts)


async def test_two_answers_are_held_against_each_other_and_against_the_gold() -> None:
    task = wide_task()
    gold, other = f"{task.answer}\n\n{KEY}", f"{task.answer.replace('Tael', 'Xx').replace('Umra', 'Yy')}\n\n{KEY}"
    cases = {
        None: (gold, gold),
        "inconsistent": (gold, other),
        "gold_disputed": (other, other),
        "other_key": (gold, gold.replace(KEY, "Unique columns: Country and Capital")),
    }
    for code, (first, second) in cases.items():
        compared = await compare(task, first, second, 0.9)
        assert (compared.reason.code if compared.reason else None) == code

    assert (await compare(task, "no table", gold, 0.9)).between == 0.0
    assert (await compare(task, gold, other, 0.9)).between == pytest.approx(10 / 12)


async def test_short_answers_are_compared_by_their_words() -> None:
    asked = question(answers=["Old Town"])
    right, wrong = r"It is \boxed{Old Town}.", r"\boxed{New Town}"

    assert (await compare(asked, right, right, 0.9)).reason is None
    for first, second, code in (
        (right, wrong, "inconsistent"),
        (wrong, wrong, "gold_disputed"),
        ("?", right, "inconsistent"),
    ):
        reason = (await compare(asked, first, second, 0.9)).reason
        assert reason is not None
        assert reason.code == code


async def test_a_file_of_answers_is_finished_or_not_there(tmp_path: Path) -> None:
    with speaking(lambda _: "x") as speaker:
        speaker.down_after = 1
        with pytest.raises(ModelUnavailable):
            await ask_answerers(tmp_path, [wide_task()], [Answerer(speaker.url, patience=ONCE)], watch(tmp_path))

    assert read_answers(tmp_path) == []
    assert StageFile(tmp_path / "answerers" / "first.jsonl", Query).finished
