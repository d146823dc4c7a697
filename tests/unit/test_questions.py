"""Answers to questions: the box, the published metrics, and the judge beside them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.errors import JudgeUnavailable
from wideseek.instances import Question
from wideseek.ports import Alignment, AnswerPair, ColumnPairs
from wideseek.questions import (
    NO_ANSWER,
    AnswerScore,
    boxed,
    exact_match,
    multiset_f1,
    normalise_answer,
    score_answer,
)

CAPITAL = Question(instance_id="q1", question="What is the capital of Niger?", answers=("Niamey", "City of Niamey"))


@dataclass
class OneAnswerJudge:
    """Accepts one spelling, or is down."""

    accepts: str | None
    asked: list[AnswerPair] = field(default_factory=list)

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        raise NotImplementedError

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        raise NotImplementedError

    async def judge_answer(self, answer: AnswerPair) -> bool:
        self.asked.append(answer)
        if self.accepts is None:
            raise JudgeUnavailable("down")
        return answer.given == self.accepts


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"So: \boxed{Niamey}.", "Niamey"),
        (r"\boxed{one} or rather \boxed{two}", "two"),
        (r"\boxed{a {b {c}} d}", "a {b {c}} d"),
        (r"\boxed{\text{Kylie Minogue}}", "Kylie Minogue"),
        (r"\boxed{\textbf{\text{30}} \mathrm{km}}", "30 km"),
        (r"\boxed {5}", "5"),
        (r"\boxed{f(x) = \boxed{5}}", "5"),
        (r"\boxed{20\%}", r"20\%"),
        (r"\boxed{a \} b}", r"a \} b"),
        (r"a } stray brace, then \boxed{x}", "x"),
        (r"\boxed{x} and a { left open", "x"),
        (r"\boxed{first} and then \boxed{never closed", "first"),
        ("\\boxed{two\nlines}", "two\nlines"),
        (r"<think>\boxed{draft}</think>\boxed{final}", "final"),
        (r"\boxed{before}</think>\boxed{between}</think> \boxed{after}", "after"),
        (r"\boxed{  }", ""),
    ],
)
def test_the_last_closed_box_is_the_answer(text: str, content: str) -> None:
    assert boxed(text) == content


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Niamey",
        r"\boxed{never closed",
        r"\boxed{{half closed}",
        r"\boxed Niamey",
        r"<think>\boxed{only a thought}</think> done",
        r"<think>\boxed{thinking was never closed}",
    ],
)
def test_without_a_closed_box_after_thinking_there_is_no_answer(text: str) -> None:
    assert boxed(text) is None


@pytest.mark.parametrize("text", [r"\boxed{" * 50_000, r"\boxed{" + r"\text{" * 20_000 + "x" + "}" * 20_001])
def test_a_box_is_found_in_linear_time(text: str) -> None:
    started = time.process_time()

    boxed(text)

    assert time.process_time() - started < 2


@given(st.text(max_size=60))
def test_what_stands_in_a_plain_box_is_read_back(text: str) -> None:
    plain = "".join(letter for letter in text if letter not in "\\{}")

    assert boxed(f"so \\boxed{{{plain}}}") == plain.strip()


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Eye Network", "eye network"),
        ("  an   A46 road. ", "a46 road"),
        ("199,951", "199951"),
        ("$600,000", "600000"),
        (r"20\%", "20"),
        ("Levi's Stadium", "levis stadium"),
        ("Athens, the Acropolis", "athens acropolis"),
        ("Mário", "mário"),
        ("北京大学。", "北京大学"),
        ("Richard O’Brien", "richard o’brien"),
    ],
)
def test_answers_are_compared_in_the_published_normal_form(text: str, normal: str) -> None:
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(
    ("given_text", "accepted", "em", "f1"),
    [
        ("niamey", ["Niamey"], 1, 1),
        ("the Eye Network!", ["Eye Network"], 1, 1),
        ("199 951", ["199,951"], 0, 0),
        ("199951 sq km", ["199951", "199,951 sq km"], 1, 1),
        # common = {sheffield, england}: P = 2/2, R = 2/4
        ("Sheffield, England", ["Sheffield, South Yorkshire, England"], 0, 2 / 3),
        # multiset: one "new" of two is common, so P = 2/3, R = 2/2
        ("New New York", ["New York"], 0, 4 / 5),
        # the nearest of the accepted counts: P = 1/1, R = 1/2
        ("Byzantium", ["Rome", "Byzantium Constantinople"], 0, 2 / 3),
        ("Lagos", ["Niamey"], 0, 0),
        ("", ["Niamey"], 0, 0),
        ("Niamey", [], 0, 0),
        ("yes", ["no"], 0, 0),
        # normalising leaves nothing of either, and they are still told apart
        ("the", ["A"], 0, 0),
        ("a", ["A"], 1, 1),
        # a character is a token: common = 北 京, P = 2/2, R = 2/4
        ("北京", ["北京大学"], 0, 2 / 3),
        ("“北京 大学”。", ["北京大学"], 1, 1),
        ("IBM 公司", ["IBM公司"], 1, 1),
    ],
)
def test_hand_computed_overlaps(given_text: str, accepted: list[str], em: float, f1: float) -> None:
    assert exact_match(given_text, accepted) == em
    assert multiset_f1(given_text, accepted) == pytest.approx(f1)


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=3))
def test_an_exact_match_overlaps_in_full_and_nothing_overlaps_more(answer: str, accepted: list[str]) -> None:
    f1 = multiset_f1(answer, accepted)

    assert 0 <= f1 <= 1
    assert f1 == 1 or not exact_match(answer, accepted)
    assert exact_match(answer, [*accepted, answer]) == 1


async def test_without_a_judge_nothing_is_judged() -> None:
    score = await score_answer(r"It is \boxed{Niamey}", CAPITAL, None)

    assert score == AnswerScore(em=1, f1=1, judged=None, given="Niamey")


async def test_the_judge_is_asked_whatever_the_match_and_stands_apart() -> None:
    judge = OneAnswerJudge("Niamey, Niger")

    score = await score_answer(r"\boxed{Niamey, Niger}", CAPITAL, judge)

    # P = 1/2, R = 1/1
    assert score == AnswerScore(em=0, f1=2 / 3, judged=1, given="Niamey, Niger")
    assert judge.asked == [AnswerPair(question=CAPITAL.question, given="Niamey, Niger", accepted=CAPITAL.answers)]


@pytest.mark.parametrize("response", ["", "Niamey", r"\boxed{}", r"<think>\boxed{Niamey}</think>"])
async def test_no_answer_scores_nothing_and_no_judge_is_asked(response: str) -> None:
    judge = OneAnswerJudge(accepts=None)

    assert await score_answer(response, CAPITAL, judge) == AnswerScore(judged=0, problem=NO_ANSWER)
    assert await score_answer(response, CAPITAL, None) == AnswerScore(problem=NO_ANSWER)


async def test_an_outage_of_the_judge_is_raised_not_answered() -> None:
    with pytest.raises(JudgeUnavailable):
        await score_answer(r"\boxed{Niamey}", CAPITAL, OneAnswerJudge(accepts=None))


@pytest.mark.shared_data
@pytest.mark.parametrize("suite", ["factbook", "wiki"])
async def test_every_accepted_spelling_of_the_development_questions_is_right(shared_data: Path, suite: str) -> None:
    lines = (shared_data / suite / "qa_dev.jsonl").read_text("utf-8").splitlines()

    for question in map(Question.model_validate, map(json.loads, lines)):
        for answer in question.answers:
            score = await score_answer(f"\\boxed{{{answer}}}", question, None)
            assert (score.em, score.f1, score.problem) == (1, 1, ""), (question.instance_id, answer)
