"""The sieve: order, codes, nothing lost; and each filter on instances spoilt in one place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.suites.filters import Filter, Reason, sift
from services.suites.filters_duplicates import DuplicateFilter, NearDuplicateFilter
from services.suites.filters_gold import GoldFilter, SizeFilter
from services.suites.filters_keys import SetIndex, folded, jaccard, number
from services.suites.filters_leaks import LeakFilter
from services.suites.filters_read import Candidate, instance_of, read_candidates, read_instances, write_lines
from tests.suite_parts import (
    EXACT,
    NEAR,
    ROWS,
    markdown,
    question,
    question_record,
    wide_record,
    wide_task,
    write_records,
)
from wideseek.instances import InvalidInstance, Task

HEADINGS = ["Country", "Capital", "Population"]


class _Short:
    """A filter of the kind a later stage adds: it objects to names longer than two letters, and counts what is kept."""

    stage = "short names"

    def __init__(self) -> None:
        self.kept: list[str] = []

    def check(self, instance: Task) -> Reason | None:
        long = len(instance.instance_id) > 2
        return Reason(code="long_name", why="the name is long") if long else None

    def keep(self, instance: Task) -> None:
        self.kept.append(instance.instance_id)


def _sifted(records: list[dict[str, Any]], filters: list[Filter], folder: Path) -> Any:
    return sift(read_candidates(write_records(folder / "tasks.jsonl", records)), filters)


def test_what_passes_is_kept_in_order_and_every_other_instance_is_rejected_with_a_reason(tmp_path: Path) -> None:
    records = [wide_record("a"), question_record("long"), wide_record("b", rows=ROWS[:2]), question_record("c")]

    sifted = _sifted(records, [SizeFilter(), _Short()], tmp_path)

    assert [candidate.instance_id for candidate in sifted.kept] == ["a", "c"]
    assert [(each.candidate.instance_id, each.reason.code) for each in sifted.rejected] == [
        ("long", "long_name"),
        ("b", "too_few_rows"),
    ]


def test_each_stage_counts_what_it_saw_and_rejected(tmp_path: Path) -> None:
    records = [wide_record("a"), question_record("long"), wide_record("b", rows=ROWS[:2]), {"no": "instance"}]

    sifted = _sifted(records, [SizeFilter(), _Short()], tmp_path)

    assert [(stage.name, stage.seen, stage.rejected, stage.passed) for stage in sifted.stages] == [
        ("schema", 4, {"schema": 1}, 3),
        ("size", 3, {"too_few_rows": 1}, 2),
        ("short names", 2, {"long_name": 1}, 1),
    ]


def test_a_filter_learns_of_an_instance_only_when_all_stages_kept_it(tmp_path: Path) -> None:
    short = _Short()

    _sifted([wide_record("a", rows=ROWS[:1]), wide_record("b")], [short, SizeFilter()], tmp_path)

    assert short.kept == ["b"]


def test_an_instance_that_a_later_stage_rejects_is_no_original_for_duplicates(tmp_path: Path) -> None:
    records = [wide_record("long"), wide_record("a")]

    sifted = _sifted(records, [DuplicateFilter(), _Short()], tmp_path)

    assert [candidate.instance_id for candidate in sifted.kept] == ["a"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"instance_id": "a"', "not JSON"),
        ("[1, 2]", "an instance is a JSON object, this is list"),
        ('{"instance_id": "a"}', "neither a wide task"),
        ('{"question": "Why?", "answers": ["so"]}', "instance_id: Field required"),
        ('{"instance_id": "a", "question": "Why?", "answers": []}', "answers: "),
        ('{"instance_id": "a", "evaluation": "{", "answer": ""}', "evaluation: "),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_instance_says_why(tmp_path: Path, line: str, problem: str) -> None:
    (found,) = read_candidates(write_records(tmp_path / "tasks.jsonl", [line]))

    assert found.instance is None
    assert problem in found.problem


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    odd = question_record("a", question="A\u2028B?")
    path = write_records(tmp_path / "tasks.jsonl", [odd, "", question_record("b")])

    assert [candidate.line for candidate in read_candidates(path)] == [1, 3]


def test_a_line_that_is_not_utf8_is_no_instance(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(b'{"instance_id": "\xff"}\n')

    (found,) = read_candidates(path)

    assert found.problem.startswith("not UTF-8")


def test_a_held_out_file_with_a_bad_line_is_refused_naming_file_line_and_field(tmp_path: Path) -> None:
    path = write_records(tmp_path / "test.jsonl", [question_record("a"), {**question_record("b"), "question": ""}])

    with pytest.raises(InvalidInstance, match=r"test\.jsonl, line 2: question: "):
        read_instances(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInstance, match=r"absent\.jsonl: No such file"):
        read_candidates(tmp_path / "absent.jsonl")


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "kept.jsonl", tmp_path / "missing" / "rejected.jsonl"
    first.write_text("before\n")

    with pytest.raises(InvalidInstance, match=r"rejected\.jsonl"):
        write_lines([(first, ["after"]), (second, ["after"])])

    assert first.read_text() == "before\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.jsonl"]


def _pipeline(**rules: Any) -> dict[str, Any]:
    evaluation: dict[str, Any] = wide_record()["evaluation"]
    return {**evaluation, "eval_pipeline": {**evaluation["eval_pipeline"], **rules}}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"evaluation": {**_pipeline(), "unique_columns": []}}, "schema"),
        ({"evaluation": _pipeline(capital={"metric": ["guess"]})}, "schema"),
        ({"evaluation": _pipeline(population={**NEAR, "criterion": "about"})}, "schema"),
        ({"query": " "}, "schema"),
        ({"answer": "The answer is unknown."}, "no_gold_table"),
        ({"answer": f"{markdown(HEADINGS, ROWS)}\n\n{markdown(HEADINGS, ROWS)}"}, "several_gold_tables"),
        ({"answer": markdown(["Country", "Capital"], [row[:2] for row in ROWS])}, "missing_column"),
        ({"answer": markdown(["Country", "Capital", "Capital", "Population"], [])}, "repeated_column"),
        ({"answer": markdown(HEADINGS, [])}, "no_gold_rows"),
        ({"rows": [*ROWS, ("Erk", "Xan")]}, "ragged_row"),
        ({"rows": [*ROWS, ("Erk", "Xan", "5", "6")]}, "ragged_row"),
        ({"rows": [*ROWS, ("Erk", "", "5")]}, "empty_cell"),
        ({"rows": [*ROWS, ("Erk", "N/A", "5")]}, "empty_cell"),
        ({"rows": [*ROWS, ("Erk", "Xan", "many")]}, "not_a_number"),
        ({"rows": [*ROWS, ("ar vo", "Xan", "5")]}, "repeated_key"),
    ],
)
def test_gold_that_cannot_be_trusted_is_rejected_by_name(changes: dict[str, Any], code: str) -> None:
    reason = GoldFilter().check(wide_task(**changes))

    assert reason is not None
    assert reason.code == code
    assert reason.why


def test_sound_gold_passes_with_headings_in_any_order_and_pipes_in_cells() -> None:
    rows = [(number, f"Ta\\|el {name}", name) for name, _, number in ROWS]

    reason = GoldFilter().check(wide_task(answer=markdown(["Population", "CAPITAL", "Country"], rows)))

    assert reason is None


def test_keys_that_are_numbers_repeat_when_their_numbers_do() -> None:
    rows = [*ROWS, ("No. 7", "Xan", "5"), ("7", "Yol", "6")]
    as_text = wide_task(rows=rows)
    as_number = wide_task(rows=rows[4:], evaluation=_pipeline(country={**EXACT, "preprocess": ["extract_number"]}))

    assert GoldFilter().check(as_text) is None
    assert (GoldFilter().check(as_number) or Reason(code="", why="")).code == "repeated_key"


def test_a_reason_names_row_and_column() -> None:
    reason = GoldFilter().check(wide_task(rows=[*ROWS, ("Erk", "Xan", "many")]))

    assert reason == Reason(
        code="not_a_number", why="answer: row 5, column population: 'many' holds no number, the metric is number_near"
    )


def test_a_blank_answer_of_a_question_is_rejected() -> None:
    reason = GoldFilter().check(question(answers=["right", " "]))

    assert reason == Reason(code="empty_answer", why="answers: blank at place 1")


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        ({}, None),
        ({"min_rows": 5}, "too_few_rows"),
        ({"max_rows": 3}, "too_many_rows"),
        ({"min_columns": 4}, "too_few_columns"),
        ({"max_columns": 2}, "too_many_columns"),
    ],
)
def test_size_counts_rows_and_columns_of_the_gold(bounds: dict[str, int], code: str | None) -> None:
    reason = SizeFilter(**bounds).check(wide_task())

    assert (reason.code if reason else None) == code
    assert SizeFilter(**bounds).check(question()) is None


def _checked(one: Filter, kept: Task, other: Task) -> str | None:
    one.keep(kept)
    reason = one.check(other)
    return reason.code if reason else None


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (lambda: wide_task("w1", rows=ROWS[:1]), "duplicate_id"),
        (lambda: wide_task("w2", query="which  countries ARE there (w1)"), "duplicate_question"),
        (lambda: wide_task("w2", rows=ROWS[::-1]), "duplicate_answer"),
        (lambda: wide_task("w2", rows=ROWS[:3]), None),
        (lambda: question("q2"), None),
    ],
)
def test_duplicates_share_id_words_or_rows_with_columns(other: Callable[[], Task], code: str | None) -> None:
    assert _checked(DuplicateFilter(), wide_task("w1"), other()) == code


def test_tasks_without_gold_that_can_be_read_are_no_duplicates_for_that() -> None:
    kept, other = (wide_task(name, answer="unknown") for name in ("w1", "w2"))

    assert _checked(DuplicateFilter(), kept, other) is None


def test_the_same_rows_with_other_columns_are_no_duplicate() -> None:
    other = wide_task("w2", evaluation={**_pipeline(), "required": ["country", "population"]})

    assert _checked(DuplicateFilter(), wide_task("w1"), other) is None
    assert _checked(NearDuplicateFilter(), wide_task("w1"), other) is None


@pytest.mark.parametrize(("shared", "code"), [(4, "near_duplicate"), (3, None)])
def test_near_duplicates_share_more_of_their_rows_than_the_limit(shared: int, code: str | None) -> None:
    rows = [*ROWS, ("Erk", "Xan", "5")]
    other = [*rows[:shared], *[(f"Other {n}", "Zed", "1") for n in range(4 - shared)]]

    # 4 of 5 rows: 0.8; 3 of 6 rows: 0.5.
    assert _checked(NearDuplicateFilter(0.7), wide_task("w1", rows=rows), wide_task("w2", rows=other)) == code


def test_a_similarity_equal_to_the_limit_is_allowed() -> None:
    # 4 of 5 rows.
    kept, other = wide_task("w1", rows=[*ROWS, ("Erk", "Xan", "5")]), wide_task("w2")

    assert _checked(NearDuplicateFilter(0.8), kept, other) is None


def test_questions_of_one_template_about_different_things_are_no_near_duplicates() -> None:
    assert _checked(NearDuplicateFilter(0.5), question("q1"), question("q2")) is None


def test_a_question_reworded_a_little_about_the_same_fact_is_a_near_duplicate() -> None:
    kept = question("q1", question="What is the capital city of Arvo?")
    other = question("q2", question="What is the capital of Arvo?", answers=kept.answers, gold_docs=kept.gold_docs)

    # 6 of 7 words.
    assert _checked(NearDuplicateFilter(0.7), kept, other) == "near_duplicate"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (lambda: wide_task("w1", rows=ROWS[:1]), "held_out_id"),
        (lambda: wide_task("w2", query="Which countries are there (w1)"), "held_out_question"),
        (lambda: wide_task("w2", rows=ROWS[::-1]), "held_out_answer"),
        (lambda: wide_task("w2", rows=[*ROWS, ("Erk", "Xan", "5")]), "held_out_near"),
        (lambda: wide_task("w2", rows=ROWS[:2]), None),
        (lambda: question("q1"), None),
    ],
)
def test_what_a_held_out_task_asks_leaks(other: Callable[[], Task], code: str | None) -> None:
    reason = LeakFilter([wide_task("w1")]).check(other())

    assert (reason.code if reason else None) == code


def test_held_out_rows_leak_whatever_the_columns_and_spellings_are() -> None:
    documents = {name: f"doc:{name}" for name, *_ in ROWS}
    held_out = wide_task("w1", gold_docs=documents)
    respelt = [(f"Republic of {name}", *rest) for name, *rest in ROWS]
    task = wide_task(
        "w2", rows=respelt, gold_docs={f"Republic of {name}": address for name, address in documents.items()}
    )

    reason = LeakFilter([held_out]).check(task)

    assert reason is not None
    assert reason.code == "held_out_answer"


def test_a_held_out_fact_leaks_however_it_is_worded() -> None:
    held_out = question("q1")
    task = question("q2", question="Name q1's seat of government.", answers=["city of Q1"], gold_docs=["doc:q1"])

    reason = LeakFilter([held_out]).check(task)

    assert reason is not None
    assert reason.code == "held_out_answer"


def test_names_fold_case_accents_punctuation_and_the_article() -> None:
    assert folded("The Bahamas") == folded("bahamas")
    assert folded("Côte d'Ivoire") == folded("COTE D’IVOIRE")
    assert folded("1,234.5 km") == "1234.5 km"
    assert folded("The The") == "the the"


@pytest.mark.parametrize(("text", "value"), [("1,234", 1234), ("-3.5%", -3.5), ("about 7", 7), ("none", None)])
def test_numbers_are_read_as_the_scorer_reads_them(text: str, value: float | None) -> None:
    assert number(text) == value


@given(st.lists(st.frozensets(st.sampled_from("abcdef")), max_size=8), st.frozensets(st.sampled_from("abcdef")))
def test_the_index_finds_the_set_that_comparing_with_all_would_find(
    sets: list[frozenset[str]], wanted: frozenset[str]
) -> None:
    index = SetIndex()
    for place, members in enumerate(sets):
        index.add(str(place), members)

    near = index.nearest(wanted)

    best = max((jaccard(members, wanted) for members in sets), default=0)
    assert (near.similarity if near else 0) == pytest.approx(best)
    assert (index.same(wanted) is None) == (wanted not in sets or not wanted)


def test_a_candidate_without_an_id_has_an_empty_one() -> None:
    assert Candidate(1, "", None, None).instance_id == ""
    assert instance_of(question_record("q")).instance_id == "q"
