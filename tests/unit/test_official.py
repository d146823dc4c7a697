"""The official scorer as a whole: order of operations, where the judge is asked, what an error costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wideseek.errors import JudgeUnavailable
from wideseek.instances import InvalidInstance, Scores, WideTask
from wideseek.official import find_table, gold_frame, piped_rows, score_official
from wideseek.ports import Alignment, AnswerPair, ColumnPairs

GOLD = "| Country | Capital |\n| --- | --- |\n| France | Paris |\n| Peru | Lima |\n| Chad | N'Djamena |"
TEXT = {"preprocess": ["norm_str"], "metric": ["exact_match"]}


@dataclass
class Told:
    """A judge that answers what it is told to, and keeps what it was asked."""

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Column -> found -> wanted."""
    scores: Sequence[float] = ()
    aligned: list[Alignment] = field(default_factory=list)
    judged: list[ColumnPairs] = field(default_factory=list)

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        self.aligned.append(alignment)
        return self.names.get(alignment.column, {})

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        self.judged.append(cells)
        return self.scores

    async def judge_answer(self, answer: AnswerPair) -> bool:
        raise AssertionError("no question was asked")


class Down:
    """A judge that is not there."""

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        raise JudgeUnavailable("refused")

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        raise JudgeUnavailable("refused")

    async def judge_answer(self, answer: AnswerPair) -> bool:
        raise JudgeUnavailable("refused")


def task(answer: str = GOLD, key: str = "country", **rules: object) -> WideTask:
    pipeline = rules or {"country": TEXT, "capital": TEXT}
    required = [*dict.fromkeys([key, *pipeline])]
    evaluation = {"required": required, "unique_columns": [key], "eval_pipeline": pipeline}
    return WideTask.model_validate({"instance_id": "one", "evaluation": evaluation, "answer": answer})


def fenced(*rows: str, header: str = "| Country | Capital |") -> str:
    return "\n".join(["```markdown", header, "| --- | --- |", *rows, "```"])


async def test_one_wrong_cell_of_six_costs_its_row_and_itself() -> None:
    response = fenced("| France | Paris |", "| Peru | Cusco |", "| Chad | N'Djamena |")

    scores = await score_official(response, task(), Told())

    third = 2 / 3
    assert scores.model_dump() == pytest.approx(
        {"score": 0, "precision_by_row": third, "recall_by_row": third, "f1_by_row": third}
        | {"precision_by_item": 5 / 6, "recall_by_item": 5 / 6, "f1_by_item": 5 / 6}
    )


async def test_a_key_written_three_ways_counts_three_times_as_it_does_officially() -> None:
    response = fenced("| France | Paris |", "| FRANCE | Paris |", "| france | Paris |", "| Peru | Lima |")

    scores = await score_official(response, task(GOLD.rsplit("\n", 1)[0]), Told())

    assert (scores.precision_by_row, scores.recall_by_row) == (1.0, 2.0)
    assert scores.f1_by_item == pytest.approx(4 / 3)
    assert scores.score == 0.0


async def test_the_judge_is_asked_about_headings_only_when_they_differ() -> None:
    judge = Told({"": {"seatofgovernment": "capital"}})
    response = fenced("| France | Paris |", "| Peru | Lima |", header="| Country | Seat of Government |")

    scores = await score_official(response, task(), judge)

    headings, keys = judge.aligned
    assert (headings.column, headings.found, headings.wanted) == (
        "",
        ("country", "seatofgovernment"),
        ("country", "capital"),
    )
    assert keys.column == "country"
    assert scores.recall_by_row == pytest.approx(2 / 3)


async def test_keys_are_aligned_after_duplicates_are_gone_and_before_they_are_normalised() -> None:
    judge = Told({"country": {"French Republic": "France", "Gaul": "France"}})
    response = fenced("| French Republic | Paris |", "| French Republic | Lyon |", "| Gaul | Paris |")

    scores = await score_official(response, task(), judge)

    assert judge.aligned[0].found == ("French Republic", "Gaul")
    assert judge.aligned[0].wanted == ("France", "Peru", "Chad")
    assert scores.precision_by_row == 1.0
    assert scores.recall_by_row == pytest.approx(2 / 3)


async def test_a_key_without_exact_match_is_not_aligned() -> None:
    judge = Told()
    near = {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": 0.1}
    gold = "| Rank | Team |\n| --- | --- |\n| 1 | Ajax |"

    scores = await score_official(
        fenced("| 1 | Ajax |", header="| Rank | Team |"), task(gold, "rank", rank=near, team=TEXT), judge
    )

    assert not judge.aligned
    assert scores.score == 1.0


async def test_a_judged_column_takes_the_scores_as_they_come() -> None:
    judge = Told(scores=[1.0, 0.5, 0.0])
    rule = {"preprocess": ["norm_str"], "metric": ["llm_judge"], "criterion": "the same city"}

    scores = await score_official(f"```markdown\n{GOLD}\n```", task(country=TEXT, capital=rule), judge)

    assert judge.judged[0].criterion == "the same city"
    assert judge.judged[0].pairs == (("paris", "paris"), ("lima", "lima"), ("n'djamena", "n'djamena"))
    assert scores.precision_by_item == pytest.approx((3 + 1.5) / 6)


async def test_a_judge_that_answers_for_another_number_of_cells_gives_zeros() -> None:
    judge = Told(scores=[1.0])
    rule = {"metric": ["llm_judge"]}

    scores = await score_official(f"```markdown\n{GOLD}\n```", task(country=TEXT, capital=rule), judge)

    assert scores.precision_by_item == 0.5


async def test_the_judge_sees_other_spellings_normalised_as_the_cells_are() -> None:
    judge = Told(scores=[1, 1, 1])
    rule = {"preprocess": ["norm_str"], "metric": ["llm_judge"]}
    asked = task(country=TEXT, capital=rule).model_copy(
        update={"aliases": {"country": {"Chad": ("Tchad",)}, "capital": {"Lima": ("La Lima",)}}}
    )

    await score_official(f"```markdown\n{GOLD}\n```", asked, judge)

    assert judge.aligned[0].aliases == {"Chad": ("Tchad",)}
    assert judge.judged[0].aliases == {"lima": ("lalima",)}


@pytest.mark.parametrize("response", [GOLD.replace("Capital", "City"), GOLD])
async def test_an_outage_of_the_judge_is_raised_not_scored(response: str) -> None:
    with pytest.raises(JudgeUnavailable):
        await score_official(response, task(), Down())


@pytest.mark.parametrize(
    "rules",
    [
        {"country": TEXT},
        {"country": TEXT, "capital": {"preprocess": ["fold"], "metric": ["exact_match"]}},
        {"country": TEXT, "capital": {"metric": ["near_enough"]}},
        {"country": TEXT, "capital": {"preprocess": ["extract_number"], "metric": ["number_near"]}},
        {"country": TEXT, "capital": TEXT, "mayor": TEXT},
    ],
    ids=["no entry", "unknown step", "unknown metric", "no tolerance", "unknown column"],
)
async def test_a_specification_at_fault_scores_zero(rules: Mapping[str, object]) -> None:
    gold = "| Country | Capital |\n| --- | --- |\n| France | 1 |"
    evaluation = {"required": ["country", "capital"], "unique_columns": ["country"], "eval_pipeline": rules}
    faulty = WideTask.model_validate({"instance_id": "one", "evaluation": evaluation, "answer": gold})

    assert await score_official(gold, faulty, Told()) == Scores()


@pytest.mark.parametrize(
    "response",
    [None, "", "I do not know.", "a | b | c", "```markdown\n```", GOLD.splitlines()[0], fenced("| Oz | Emerald |")],
    ids=["null", "empty", "prose", "few pipes", "empty fence", "header only", "no key in common"],
)
async def test_what_cannot_be_scored_scores_zero(response: str | None) -> None:
    assert await score_official(response, task(), Told()) == Scores()


async def test_equal_tables_are_a_success_even_where_the_judge_failed() -> None:
    rule = {"metric": ["llm_judge"]}

    scores = await score_official(GOLD, task(capital=rule), Told(scores=[0, 0, 0]))

    assert (scores.score, scores.f1_by_row, scores.f1_by_item) == (1.0, 0.0, 0.5)


@pytest.mark.parametrize(
    ("answer", "problem"), [("no table", "holds no table"), ("| Country |\n|---|\n| Peru |", "'capital'")]
)
async def test_a_gold_at_fault_is_an_error_not_a_zero(answer: str, problem: str) -> None:
    with pytest.raises(InvalidInstance, match=problem):
        await score_official(GOLD, task(answer), Told())


_PIECES = [*'|-: "\\\n\r\t\0,', "```markdown\n", "```", "Country", "Capital", "France", "nan", "1e999", "é", "\ud800"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=60).map("".join))
async def test_no_text_is_an_error(text: str) -> None:
    scores = await score_official(f"```markdown\n| Country | Capital |\n{text}", task(), Told())

    assert 0 <= scores.score <= 1


def test_gold_is_typed_as_csv_and_reduced_to_what_is_required() -> None:
    gold = gold_frame(task('| Capital | Note | Country |\n|---|---|---|\n| 007 | x | NA |\n| 1.50 | y | "a", b |'))

    assert list(gold.columns) == ["country", "capital"]
    assert gold.astype(str).to_numpy().tolist() == [["nan", "7.0"], ['"a", b', "1.5"]]


def test_a_gold_that_came_as_csv_is_read_as_it_came() -> None:
    asked = task().model_copy(update={"answer_csv": 'Country,Capital\n" France","two\nlines"\n'})

    assert gold_frame(asked).to_numpy().tolist() == [[" France", "two\nlines"]]


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("```markdown\nfirst```\n```markdown\nsecond```", "\nfirst"),
        ("```Markdown\n| a | b |\n| c | d |\n```", "| a | b |\n| c | d |\n"),
        ("see | this\n| a | b |\n\n| c |", "| this\n| a | b |\n"),
        ("a | b | c", None),
    ],
    ids=["first fence", "no fence of that name", "from the first pipe", "too few pipes"],
)
def test_the_table_is_looked_for_as_officially(text: str, table: str | None) -> None:
    assert find_table(text) == table


def test_rulings_and_lines_without_a_pipe_are_dropped_and_only_the_first_line_is_folded() -> None:
    rows = piped_rows("\n| The Name | B |\n|:-:| --- |\nprose\n| Ab c | === |\n")

    assert rows == "|thename|b|\n|Ab c|===|"
