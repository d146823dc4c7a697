"""The robust score of a table, on cases counted by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from wideseek.errors import ContractViolation
from wideseek.instances import InvalidInstance, Scores, WideTask
from wideseek.judging import DeterministicJudge, NoJudge
from wideseek.metrics import ScoreOptions, TableScore, score_robust
from wideseek.ports import Alignment, AnswerPair, ColumnPairs, Judge

GOLD = """
| Country | Capital | Area km2 |
| --- | --- | --- |
| France | Paris | 643801 |
| Peru | Lima | 1285216 |
| Chad | N'Djamena | 1284000 |
| Japan | Tokyo | 377915 |"""
TEXT: dict[str, Any] = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
NUMBER: dict[str, Any] = {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": 0.05}
RULES: dict[str, Any] = {"country": TEXT, "capital": TEXT, "areakm2": NUMBER}


@dataclass
class Told:
    """A judge that says what a test tells it, and keeps what it was asked."""

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scores: Sequence[float] = ()
    alignments: list[Alignment] = field(default_factory=list)
    columns: list[ColumnPairs] = field(default_factory=list)

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        self.alignments.append(alignment)
        return self.names.get(alignment.column, {})

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        self.columns.append(cells)
        return self.scores

    async def judge_answer(self, answer: AnswerPair) -> bool:
        raise AssertionError("a table asks for no answer to be judged")


def task(
    rules: Mapping[str, Any] = RULES, keys: Sequence[str] = ("country",), gold: str = GOLD, **others: Any
) -> WideTask:
    evaluation = {"required": list(rules), "unique_columns": list(keys), "eval_pipeline": rules}
    return WideTask.model_validate({"instance_id": "a", "evaluation": evaluation, "answer": gold, **others})


async def scored(
    answer: str | None, given: WideTask | None = None, judge: Judge | None = None, **options: Any
) -> TableScore:
    return await score_robust(answer, given or task(), judge or NoJudge(), ScoreOptions(**options))


def table(*rows: str, header: str = "Country | Capital | Area km2") -> str:
    rule = " | ".join("---" for _ in header.split("|"))
    return "\n".join(f"| {row} |" for row in (header, rule, *rows))


async def test_the_gold_itself_is_a_success() -> None:
    score = await scored(GOLD)

    assert set(score.scores.model_dump().values()) == {1.0}
    assert (score.rows_answered, score.rows_gold, score.rows_matched, score.rows_right) == (4, 4, 4, 4)
    assert score.columns == {"country": 1.0, "capital": 1.0, "areakm2": 1.0}
    assert score.problem == ""


async def test_a_partly_right_table_is_counted_by_hand() -> None:
    """Rows: 2 right of 3 answered and 4 asked. Items: 3 + 3 + 2 of 9 answered and 12 asked."""
    score = await scored(table("Peru | Lima | 1300000", "France | Paris | 643801", "Japan | Kyoto | 377915"))

    assert score.scores.precision_by_row == pytest.approx(2 / 3)
    assert score.scores.recall_by_row == pytest.approx(2 / 4)
    assert score.scores.f1_by_row == pytest.approx(4 / 7)
    assert score.scores.precision_by_item == pytest.approx(8 / 9)
    assert score.scores.recall_by_item == pytest.approx(8 / 12)
    assert score.scores.f1_by_item == pytest.approx(16 / 21)
    assert score.scores.score == 0
    assert score.columns == {"country": 3 / 4, "capital": 2 / 4, "areakm2": 3 / 4}


async def test_a_row_that_is_not_asked_for_costs_precision() -> None:
    score = await scored(GOLD + "\n| Ruritania | Strelsau | 1 |")

    assert score.scores.precision_by_row == 4 / 5
    assert score.scores.recall_by_item == 1


@pytest.mark.parametrize("answer", [None, "", "I found nothing.", "<think>" + GOLD, "```markdown\nnothing\n```"])
async def test_no_table_scores_zero_and_says_so(answer: str | None) -> None:
    score = await scored(answer)

    assert score.scores == Scores()
    assert score.problem == "no table in the answer"
    assert score.rows_gold == 4


async def test_a_table_without_rows_or_without_a_known_key_scores_zero() -> None:
    assert (await scored(table())).scores == Scores()
    assert (await scored(table("Ruritania | Strelsau | 1"))).scores == Scores()


async def test_a_missing_column_scores_zero_and_is_named() -> None:
    score = await scored("| Country | Capital |\n|---|---|\n| Peru | Lima |", extra_columns="ignore")

    assert score.scores == Scores()
    assert score.problem == "no column for: areakm2"


async def test_a_column_too_many_is_refused_unless_it_may_be_ignored() -> None:
    answer = table("Peru | atlas | Lima | 1285216", header="Country | Source | Capital | Area km2")

    refused, ignored = await scored(answer), await scored(answer, extra_columns="ignore")

    assert refused.scores == Scores()
    assert "source" in refused.problem
    assert ignored.scores.precision_by_row == 1


async def test_a_heading_twice_is_a_column_too_many_and_its_first_column_counts() -> None:
    answer = table("Peru | Lima | Cusco | 1285216", header="Country | Capital | Capital | Area km2")

    refused, ignored = await scored(answer), await scored(answer, extra_columns="ignore")

    assert "given twice: capital" in refused.problem
    assert ignored.scores.precision_by_row == 1


async def test_a_column_without_a_heading_is_left_out() -> None:
    answer = table("1 | Peru | Lima | 1285216", header="  | Country | Capital | Area km2")

    assert (await scored(answer)).scores.precision_by_row == 1


@pytest.mark.parametrize("header", ["**COUNTRY** | capital | AREA\u00a0km2", "coun try | Capital | Areakm2"])
async def test_headings_are_folded_like_ids(header: str) -> None:
    assert (await scored(table("Peru | Lima | 1285216", header=header))).scores.precision_by_row == 1


async def test_headings_are_aligned_by_the_judge_where_the_text_differs() -> None:
    answer = table("Peru | Lima | 1285216", header="Country | Seat of government | Size")
    judge = Told({"": {"Seat of government": "capital", "Size": "areakm2", "Country": "capital", "Made up": "x"}})

    score = await scored(answer, judge=judge)

    assert score.scores.precision_by_row == 1
    assert judge.alignments[0].found == ("Seat of government", "Size")
    assert judge.alignments[0].wanted == ("capital", "areakm2")


async def test_two_headings_for_one_column_both_lose_it() -> None:
    answer = table("Peru | Lima | Cusco | 5", header="Country | Seat | Main city | Area km2")
    judge = Told({"": {"Seat": "capital", "Main city": "capital"}})

    score = await scored(answer, judge=judge, extra_columns="ignore")

    assert score.problem == "no column for: capital"


async def test_the_deterministic_judge_reads_headings_with_units_and_underscores() -> None:
    answer = table("Peru | Lima | 1285216", header="Country_ | Capital (city) | Area (km²)")

    assert (await scored(answer, judge=DeterministicJudge())).scores.precision_by_row == 1


async def test_a_row_named_by_an_alias_of_one_above_is_a_duplicate() -> None:
    answer = table("Peru | Lima | 1285216", "Perú | Cusco | 9", "PERU | Ica | 8", "**Peru** | x | y")
    judge = Told({"country": {"Perú": "Peru"}})

    score = await scored(answer, judge=judge)

    assert (score.rows_answered, score.scores.precision_by_item) == (1, 1)


async def test_of_duplicates_the_first_counts_even_when_it_is_wrong() -> None:
    score = await scored(table("PERU | Cusco | 9", "Peru | Lima | 1285216"))

    assert score.rows_right == 0
    assert score.scores.precision_by_item == 1 / 3


async def test_duplicates_in_the_gold_count_once() -> None:
    score = await scored(GOLD, task(gold=GOLD + "\n| FRANCE | Paris | 643801 |"))

    assert score.scores.score == 1
    assert score.rows_gold == 4


async def test_an_alignment_never_moves_a_value_that_is_a_gold_key() -> None:
    judge = Told({"country": {"Peru": "France", "Chad": "Peru", "Gaul": "Japan", "Atlantis": "Zenda"}})

    score = await scored(GOLD + "\n| Atlantis | x | 1 |", judge=judge)

    assert score.scores.recall_by_row == 1
    assert score.rows_answered == 5
    assert judge.alignments[0].found == ("Atlantis",)


async def test_aliases_of_the_task_are_handed_to_the_judge() -> None:
    given = task(aliases={"country": {"Peru": ["Republic of Peru"]}})

    score = await scored(table("Republic of Peru | Lima | 1285216"), given, DeterministicJudge())

    assert score.rows_right == 1


async def test_keys_of_several_columns_match_together() -> None:
    rules = {"games": NUMBER | {"criterion": 0}, "nation": TEXT, "gold": NUMBER}
    gold = table("2008 | China | 48", "2012 | China | 39", "2008 | Peru | 1", header="Games | Nation | Gold")
    answer = table("2012 | CHINA | 39", "2,012.0 | China | 1", "2008 | China | 48", header="Games | Nation | Gold")

    score = await scored(answer, task(rules, ("games", "nation"), gold))

    assert (score.rows_answered, score.rows_right, score.rows_gold) == (2, 2, 3)


async def test_missing_keys_are_one_key_and_are_not_aligned() -> None:
    judge = Told()

    score = await scored(table("- | x | 1", "n/a | y | 2", "Peru | Lima | 1285216"), judge=judge)

    assert score.rows_answered == 2
    assert judge.alignments == []


async def test_a_key_column_may_have_no_rule() -> None:
    evaluation = {"required": ["country", "capital"], "unique_columns": ["country"], "eval_pipeline": {"capital": TEXT}}
    gold = "| Country | Capital |\n|---|---|\n| Peru | Lima |"
    given = WideTask.model_validate({"instance_id": "a", "evaluation": evaluation, "answer": gold})

    assert (await scored(gold.upper(), given)).scores.score == 1


async def test_judged_cells_are_asked_in_gold_order_and_clamped() -> None:
    judge = Told(scores=[5, 0.4, -1])
    given = task(RULES | {"capital": {"metric": ["llm_judge"], "criterion": "same city"}})

    score = await scored(table("Chad | a | 1284000", "Peru | Lima | 1285216", "France | Paris | 643801"), given, judge)

    assert judge.columns[0].pairs == (("Paris", "Paris"), ("Lima", "Lima"), ("a", "N'Djamena"))
    assert judge.columns[0].criterion == "same city"
    assert (score.rows_right, score.columns["capital"]) == (1, 1 / 4)


async def test_a_missing_cell_is_not_left_to_the_judge() -> None:
    given = task(RULES | {"capital": {"metric": ["llm_judge"]}}, gold=GOLD.replace("Lima", "n/a"))

    score = await scored(table("Peru |  | 1285216", "Chad | - | 1284000"), given, Told(scores=[0, 1]))

    assert score.columns["capital"] == 1 / 4
    assert score.rows_right == 1


async def test_a_judge_that_answers_for_other_cells_broke_its_promise() -> None:
    given = task(RULES | {"capital": {"metric": ["llm_judge"]}})

    with pytest.raises(ContractViolation, match="gave 2 scores for 4 cells of 'capital'"):
        await scored(GOLD, given, Told(scores=[1, 1]))


async def test_without_a_judge_judged_cells_are_wrong() -> None:
    score = await scored(GOLD, task(RULES | {"capital": {"metric": ["llm_judge"]}}))

    assert score.columns == {"country": 1, "capital": 0, "areakm2": 1}


@pytest.mark.parametrize(
    ("rules", "keys", "said"),
    [
        ({"country": TEXT}, (), "unique_columns: empty"),
        ({"country": TEXT, "capital": TEXT | {"metric": ["a", "b"]}}, ("country",), "capital.metric: exactly one"),
        ({"country": TEXT, "capital": TEXT | {"metric": []}}, ("country",), "capital.metric: exactly one"),
        ({"country": TEXT, "capital": TEXT | {"metric": ["guess"]}}, ("country",), "unknown metric 'guess'"),
        ({"country": TEXT, "areakm2": NUMBER | {"criterion": None}}, ("country",), "areakm2.criterion"),
        ({"country": TEXT, "areakm2": NUMBER | {"criterion": -1}}, ("country",), "areakm2.criterion"),
        ({"country": TEXT, "capital": TEXT}, ("iata",), "'iata' is not among the required"),
        (RULES | {"population": NUMBER}, ("country",), "answer: lacks the required column 'population'"),
    ],
)
async def test_a_task_that_cannot_be_scored_is_refused_by_field(
    rules: Mapping[str, Any], keys: Sequence[str], said: str
) -> None:
    with pytest.raises(InvalidInstance, match=said):
        await scored(GOLD, task(rules, keys))


async def test_a_column_named_twice_or_without_a_rule_is_refused() -> None:
    twice = task().evaluation.model_copy(update={"required": ("country", "capital", "capital", "areakm2")})
    bare = task().evaluation.model_copy(
        update={"eval_pipeline": {"country": task().evaluation.eval_pipeline["country"]}}
    )

    with pytest.raises(InvalidInstance, match="names 'capital' twice"):
        twice.checked()
    with pytest.raises(InvalidInstance, match="capital: missing"):
        bare.checked()


async def test_a_gold_without_a_table_is_refused() -> None:
    with pytest.raises(InvalidInstance, match="answer: holds no table"):
        await scored(GOLD, task(gold="to be added"))


async def test_a_spelling_that_the_task_states_for_a_text_cell_is_right() -> None:
    aliases = {"capital": {"N'Djamena": ["Ndjamena", "Fort-Lamy"]}, "areakm2": {"1284000": ["1"]}}
    answer = GOLD.replace("N'Djamena", "Fort-Lamy")

    assert (await scored(answer, task(aliases=aliases))).scores.score == 1
    assert (await scored(answer)).columns["capital"] == 0.75
    assert (await scored(GOLD.replace("Lima", "Fort-Lamy"), task(aliases=aliases))).columns["capital"] == 0.75
    assert (await scored(GOLD.replace("1284000", "1"), task(aliases=aliases))).columns["areakm2"] == 0.75
