"""Statistics of a file, counted by hand, and the page made from them."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from services.suites.filters_read import read_instances
from services.suites.stats import describe, ranked, spread
from services.suites.stats_html import amount, render
from tests.suite_parts import ROWS, question_record, wide_record, write_records
from wideseek.instances import InvalidInstance


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two tasks, two questions, one line that is neither."""
    documents = {name: f"factbook:south-asia/{name[:2].lower()}" for name, *_ in ROWS}
    records: list[dict[str, Any] | str] = [
        wide_record("w1", difficulty="named", gold_docs=documents),
        wide_record("w2", rows=ROWS[:3], difficulty="filter", meta={"families": ["geo", "demo"]}),
        question_record("q1", meta={"fields": ["A > B"], "type": "count"}, kind="multi_hop"),
        question_record("q2", question=question_record("q1")["question"], meta={"fields": ["A > B", "A > C"]}),
        "no JSON",
    ]
    return write_records(tmp_path / "mixed.jsonl", records)


def test_instances_are_counted_by_every_property_they_state(mixed: Path) -> None:
    sheet = describe(mixed)

    assert (sheet.instances, sheet.wide_tasks, sheet.questions) == (5, 2, 2)
    assert sheet.counts == {
        "suite": {"invented": 2, "invented-qa": 2},
        "split": {"train": 4},
        "language": {"en": 4},
        "difficulty": {"filter": 1, "named": 1},
        "kind": {"multi_hop": 1, "single_hop": 1},
        "type": {"(none)": 1, "count": 1},
        "region": {"south-asia": 1},
        "family": {"demo": 1, "geo": 1},
    }


def test_sizes_lengths_columns_and_documents_are_counted(mixed: Path) -> None:
    sheet = describe(mixed)

    assert (sheet.rows.least, sheet.rows.median, sheet.rows.mean, sheet.rows.most) == (3, 3.5, 3.5, 4)
    assert sheet.columns.values == (3, 3)
    assert sheet.query_words.values == (5, 5)  # "Which countries are there? (w1)"
    assert sheet.question_words.most == 6  # "What is the capital of q1?"
    assert sheet.answer_chars.least == 10  # "City of q1"
    assert sheet.gold_chars.least < sheet.gold_chars.most
    assert "words of a question" in sheet.spreads
    assert sheet.column_usage == {"capital": 2, "country": 2, "population": 2}
    assert sheet.field_usage == {"A > B": 2, "A > C": 1}
    assert sheet.metric_usage == {"exact_match": 4, "number_near": 2}
    assert (sheet.entities, sheet.documents) == (4, 6)


def test_checks_name_what_they_find_with_examples(mixed: Path) -> None:
    checks = describe(mixed).checks

    assert {name: {code: found.count for code, found in codes.items()} for name, codes in checks.items()} == {
        "schema": {"schema": 1},
        "gold": {},
        "reserved": {"reserved_region": 1},
        "duplicates": {"duplicate_question": 1},
        "near duplicates": {"near_duplicate": 1},
    }
    assert checks["schema"]["schema"].examples[0].startswith("line 5: not JSON")
    assert checks["duplicates"]["duplicate_question"].examples == ("q2: asks in the same words as q1",)


def test_rejections_are_counted_by_stage_and_code(mixed: Path, tmp_path: Path) -> None:
    stated = [{"rejected": {"stage": "size", "code": code}} for code in ("too_few_rows", "too_few_rows", "many")]
    rejected = write_records(tmp_path / "rejected.jsonl", stated)

    assert describe(mixed, rejected).rejected == {"size": {"many": 1, "too_few_rows": 2}}


def test_a_file_that_holds_no_rejections_is_refused(mixed: Path) -> None:
    with pytest.raises(InvalidInstance, match=r"mixed\.jsonl, line 1: rejected: "):
        describe(mixed, mixed)


def test_an_empty_file_has_an_empty_datasheet(tmp_path: Path) -> None:
    sheet = describe(write_records(tmp_path / "none.jsonl", []))

    assert (sheet.instances, sheet.rows.mean, sheet.counts, sheet.spreads) == (0, 0, {}, {})
    assert "none.jsonl" in render(sheet)


def test_values_are_ranked_by_frequency_then_name() -> None:
    assert list(ranked(["b", "a", "b", " ", "c"]).items()) == [("b", 2), ("(none)", 1), ("a", 1), ("c", 1)]


def test_a_spread_of_nothing_is_zero() -> None:
    assert spread([]) == spread(iter(()))
    assert (spread([1, 2, 6]).median, spread([1, 2, 6]).mean) == (2, 3)


class _Page(HTMLParser):
    """Text and tags of a page; whether it would fetch or run anything."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href"} or name.startswith("on")]


def _read(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    return page


def test_the_page_holds_plots_and_fetches_nothing(mixed: Path) -> None:
    page = _read(render(describe(mixed)))

    assert page.tags.count("svg") >= 5
    assert "script" not in page.tags
    assert [address for address in page.fetched if not address.startswith("#")] == []


def test_the_page_is_the_same_for_the_same_file(mixed: Path) -> None:
    assert render(describe(mixed)) == render(describe(mixed))


def test_what_a_file_says_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    path = write_records(tmp_path / "x.jsonl", [wide_record(hostile, suite=hostile, difficulty=f"${hostile}")] * 2)

    html = render(describe(path))

    assert "script" not in _read(html).tags
    assert "&lt;script&gt;" in html


def test_long_names_of_fields_are_cut_where_they_do_not_differ(tmp_path: Path) -> None:
    names = [f"Section > {'a long and winding field ' * 4}> {end}" for end in ("one", "two")]
    path = write_records(tmp_path / "x.jsonl", [question_record("q", meta={"fields": names})])

    html = render(describe(path))

    assert len(re.findall(r"…[^<]*winding field &gt; (?:one|two)", html)) == 2


@pytest.mark.parametrize(("value", "text"), [(1234, "1,234"), (0, "0"), (3.25, "3.2"), (1234.5, "1,234.5")])
def test_amounts_have_separators_and_a_decimal_where_needed(value: float, text: str) -> None:
    assert amount(value) == text


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "instances", "rows"),
    [("factbook/tasks_dev", 40, (4, 12)), ("wiki/tasks_dev", 50, (6, 19)), ("factbook/qa_dev", 30, (0, 0))],
)
def test_published_sets_are_as_their_description_says(
    shared_data: Path, name: str, instances: int, rows: tuple[int, int]
) -> None:
    path = shared_data / f"{name}.jsonl"

    sheet = describe(path)

    assert sheet.instances == len(read_instances(path)) == instances
    assert (sheet.rows.least, sheet.rows.most) == rows
    assert not any(sheet.checks.values())
