"""The compact profile: what is shown of tools, hits, pages and reports, counted by hand."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.compact import (
    PAGE_SHARE,
    hits_text,
    labelled_table,
    page_lines,
    page_tokens,
    parted,
    report_lines,
    serving,
    short_spec,
)
from wideseek.contracts import Hit, Output, Passage, PromptProfile
from wideseek.messages import ToolSpec
from wideseek.prompts import instructions, turn_hint
from wideseek.tables import Table
from wideseek.tools import access_spec, call_subagent_spec, search_spec
from wideseek.trajectory import Role

COMPACT, FULL = PromptProfile.COMPACT, PromptProfile.FULL
LANGUAGES = ["en", "zh"]
WORDS = st.text("abcde F", min_size=1, max_size=12).filter(lambda text: text.strip() == text)


def hit(title: str, url: str) -> Hit:
    return Hit(url=url, title=title, snippet="long", score=1, corpus="c", content_sha256="0", start=0, end=4)


def scored(*scores: float) -> list[Passage]:
    """Passages of a page as retrieval orders them, told apart by where they start."""
    return [Passage(start=place, end=place + 1, score=score) for place, score in enumerate(scores)]


def places(passages: list[Passage]) -> list[int]:
    return [passage.start for passage in passages]


# ---- tools ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("make", [search_spec, access_spec])
def test_a_tool_is_names_and_types_and_takes_what_the_full_one_takes(make: object, language: str) -> None:
    short: ToolSpec = make(7, language, COMPACT)  # type: ignore[operator]
    full: ToolSpec = make(7, language, FULL)  # type: ignore[operator]

    (argument,) = short.parameters["properties"]
    fields = short.parameters["properties"][argument]["items"]["properties"]
    known = full.parameters["properties"][argument]["items"]["properties"]
    assert short.name == full.name
    assert set(fields) <= set(known)
    assert all(field == {"type": "string"} for field in fields.values())
    assert "7" in short.description
    assert len(json.dumps(short.openai())) < len(json.dumps(full.openai())) * 0.75


@pytest.mark.parametrize(
    ("subtasks", "read"),
    [
        ("Chad; Mali", [{"prompt": "Chad"}, {"prompt": "Mali"}]),
        ("Countries bordering Chad", [{"prompt": "Countries bordering Chad"}]),
        (" ;Chad;; ", [{"prompt": "Chad"}]),
        ("", []),
        ([{"prompt": "Chad; Mali"}], [{"prompt": "Chad; Mali"}]),
        (7, 7),
    ],
)
def test_subtasks_are_parted_by_semicolons_and_a_list_is_one(subtasks: object, read: object) -> None:
    assert parted({"subtasks": subtasks, "more": 1}) == {"subtasks": read, "more": 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_subtasks_are_asked_for_as_one_text(language: str) -> None:
    spec = call_subagent_spec(7, language, COMPACT)

    assert spec.name == call_subagent_spec(7, language, FULL).name
    assert spec.parameters == {"type": "object", "properties": {"subtasks": {"type": "string"}}}
    assert "7" in spec.description


def test_a_short_tool_has_one_list_of_objects() -> None:
    spec = short_spec("access", "urls", ("url", "info_to_extract"), 5, "en")

    item = {"type": "object", "properties": {"url": {"type": "string"}, "info_to_extract": {"type": "string"}}}
    assert spec.parameters == {"type": "object", "properties": {"urls": {"type": "array", "items": item}}}


# ---- hits -------------------------------------------------------------------------------------


def test_hits_are_numbered_lines_of_title_and_address() -> None:
    found = hits_text([hit("Mali", "made:ml"), hit("Mali (river)", "https://e.org/M_(r)")])

    assert found == "1. Mali (made:ml)\n2. Mali (river) (https://e.org/M_(r))"


def test_no_hits_are_said() -> None:
    assert hits_text([]) == "No results."


# ---- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "tokens"), [(32_768, 2_730), (8_192, 682), (3_084, 257), (3_083, 256), (2_048, 256), (512, 256)]
)
def test_a_page_takes_a_twelfth_of_the_context_but_a_page_s_worth(context: int, tokens: int) -> None:
    assert page_tokens(context) == tokens
    assert PAGE_SHARE == 12


@pytest.mark.parametrize(
    ("scores", "need", "kept"),
    [
        # Two that introduce the page, and two for each thing asked.
        ((0, 0, 5, 4, 3, 2, 1, 0.5), "area", [0, 1, 2, 3]),
        ((0, 0, 5, 4, 3, 2, 1, 0.5), "area; population", [0, 1, 2, 3, 4, 5]),
        ((0, 0, 5, 4, 3, 2, 1, 0.5), "area\npopulation;; ", [0, 1, 2, 3, 4, 5]),
        ((0, 0, 5, 4, 3, 2, 1, 0.5), "area, in square km", [0, 1, 2, 3]),
        # Those that serve as well as the last one kept come with it: the entries of a list.
        ((0, 0, 5, 3, 3, 2, 3), "entries", [0, 1, 2, 3, 4, 6]),
        ((0, 0, 3, 3, 3, 3, 3), "entries", [0, 1, 2, 3, 4, 5, 6]),
        # What does not serve at all does not come along.
        ((0, 0, 5, 0, 0, 0), "area", [0, 1, 2, 3]),
        # Fewer than may be kept.
        ((0, 0, 5), "area", [0, 1, 2]),
        ((0,), "area", [0]),
        ((), "area", []),
    ],
)
def test_lines_that_serve_a_need_are_kept(scores: tuple[float, ...], need: str, kept: list[int]) -> None:
    assert places(serving(scored(*scores), need)) == kept


@pytest.mark.parametrize(("scores", "need"), [((0, 0, 5, 4, 3), None), ((0, 0, 0, 0, 0), "area"), ((9, 9, 0), "area")])
def test_a_page_that_nothing_serves_or_that_no_need_was_said_of_is_kept_whole(
    scores: tuple[float, ...], need: str | None
) -> None:
    assert places(serving(scored(*scores), need)) == list(range(len(scores)))


def test_a_page_is_shown_line_by_line_without_its_heading_repeats_and_addresses() -> None:
    parts = [
        "# Mali",
        "Profile of Mali.\n\n  Capital: [Bamako](https://e.org/Bamako_(city)) on the [Niger](made:ng)  ",
        "## People\nProfile of Mali.",
        "",
    ]

    assert page_lines(parts) == "Profile of Mali.\nCapital: Bamako on the Niger\n## People"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (
            [
                "- [Chad](f:cd): state",
                "- [Mayotte](f:mf): no state",
                "- [Mali](f:ml): state",
                "- [Guam](f:gq): no state",
            ],
            ["- state: Chad; Mali", "- no state: Mayotte; Guam"],
        ),
        (["- [Chad](f:cd): state", "- [Mali](f:ml): state"], ["- state: Chad; Mali"]),
        # What tells entries apart is said of each.
        (["- Chad: large", "- Mali: hot", "- Togo: narrow"], ["- Chad: large", "- Mali: hot", "- Togo: narrow"]),
        (["- Capital: Bamako", "- River: Niger"], ["- Capital: Bamako", "- River: Niger"]),
        (["- Chad: 5", "- Mali: 5"], ["- Chad: 5", "- Mali: 5"]),
        # Two lists are two.
        (["- A: x", "- B: x", "Others", "- C: x", "- D: x"], ["- x: A; B", "Others", "- x: C; D"]),
    ],
)
def test_entries_that_are_marked_alike_stand_on_one_line(lines: list[str], shown: list[str]) -> None:
    assert page_lines(["\n".join(lines)]).splitlines() == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Population: 17,833,885 (2025 est.)", "Population: 17833885 (2025 est.)"),
        ("[1,640](made:x) km", "1640 km"),
        # Neither decimals by comma nor what only looks like thousands.
        ("3,4567 1,23 12,345,6 1234,567 0.5,100 2.345,678", "3,4567 1,23 12,345,6 1234,567 0.5,100 2.345,678"),
    ],
)
def test_thousands_are_written_without_commas(line: str, shown: str) -> None:
    assert page_lines([line]) == shown


@given(st.lists(st.text("ab# []()\n:", max_size=30), max_size=6))
def test_shown_lines_are_full_differ_and_head_no_page(parts: list[str]) -> None:
    lines = page_lines(parts).splitlines()

    assert len(set(lines)) == len(lines)
    assert all(line == line.strip() and line and not line.startswith("# ") for line in lines)


# ---- reports ----------------------------------------------------------------------------------


def test_reports_are_numbered_and_only_an_end_that_is_no_answer_is_named() -> None:
    reports = [("answered", "Country: Mali | Capital: Bamako"), ("turn_limit", "half"), ("failed", "")]

    assert report_lines(reports) == "1. Country: Mali | Capital: Bamako\n2. (turn_limit) half\n3. (failed)"
    assert report_lines([]) == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Found it.\n\nCountry: Mali | Capital: Bamako\nMore.", "Country: Mali | Capital: Bamako"),
        ("```markdown\n| Country | Capital |\n| --- | --- |\n| Mali | 0 |\n```", "| Country | Capital |"),
        ("\n No page was found for Mali. \nSorry.", "No page was found for Mali."),
        ("```\n```", ""),
    ],
)
def test_of_a_report_a_line_is_shown(text: str, line: str) -> None:
    assert report_lines([("answered", text)]) == f"1. {line}"


def test_rows_come_before_what_is_no_row_and_keep_their_numbers() -> None:
    texts = [
        "Country: Mali | no",
        "Country: Chad | Capital: N'Djamena",
        "No page was found.",
        "Country: Togo | Capital: Lomé",
    ]

    lines = report_lines([("answered", text) for text in texts]).splitlines()

    assert lines == [f"2. {texts[1]}", f"4. {texts[3]}", f"1. {texts[0]}", f"3. {texts[2]}"]


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ("Country: Mali | Capital: Bamako", ("Country", "Capital"), ("Mali", "Bamako")),
        ("Found.\n\n Country : Mali |  Capital:Bamako \nMore.", ("Country", "Capital"), ("Mali", "Bamako")),
        ("A: 1 | B: 2\nA: 3 | B: 4", ("A", "B"), ("1", "2")),
        ("Start: 10:30 | Place: b:c", ("Start", "Place"), ("10:30", "b:c")),
        ("Country: Mali | Motto: | Area: 3", ("Country", "Motto", "Area"), ("Mali", "", "3")),
        ("国家: 马里 | 首都: 巴马科", ("国家", "首都"), ("马里", "巴马科")),
    ],
)
def test_a_labelled_line_is_a_table_of_one_row(text: str, columns: tuple[str, ...], row: tuple[str, ...]) -> None:
    assert labelled_table(text) == Table(columns=columns, rows=(row,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Country: Mali",
        "Country: Mali | no",
        "no | Country: Mali",
        "Country: Mali | Country: Chad",
        "| Country | Capital |\n|---|---|\n| Mali | Bamako |",
        "Bordering Mali: Algeria; Niger",
        f"{'x' * 121}: Mali | Capital: Bamako",
    ],
)
def test_what_is_no_labelled_line_is_no_table(text: str) -> None:
    assert labelled_table(text) is None


@given(st.lists(st.tuples(WORDS, WORDS), min_size=2, max_size=6, unique_by=lambda pair: pair[0]))
def test_what_is_written_as_a_labelled_line_is_read_back(pairs: list[tuple[str, str]]) -> None:
    table = labelled_table(" | ".join(f"{name}: {value}" for name, value in pairs))

    assert table == Table(columns=tuple(name for name, _ in pairs), rows=(tuple(value for _, value in pairs),))


# ---- prompts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("output", Output)
@pytest.mark.parametrize("role", Role)
def test_every_agent_has_a_short_prompt_of_its_own(role: Role, output: Output, language: str) -> None:
    short = instructions(role, language, limit=37, output=output, profile=COMPACT)
    full = instructions(role, language, limit=37, output=output)

    assert 0 < len(short) < len(full) / 2
    assert "$" not in short
    assert ("37" in short) == (role is not Role.SUBAGENT)
    assert ("\\boxed{" in short) == (output is Output.ANSWER and role is not Role.SUBAGENT)


@pytest.mark.parametrize("output", Output)
def test_a_closed_book_has_one_prompt_for_both_profiles(output: Output) -> None:
    short, full = (
        instructions(Role.SINGLE, "en", limit=1, output=output, closed_book=True, profile=profile)
        for profile in (COMPACT, FULL)
    )

    assert short == full


@pytest.mark.parametrize("language", LANGUAGES)
def test_turns_left_are_said_at_the_last_and_a_call_that_cannot_be_read_at_once(language: str) -> None:
    def hint(*, final: bool = False, repair: bool = False) -> str:
        return turn_hint(language, 3, 10, final=final, repair=repair, profile=COMPACT)

    assert hint() == ""
    assert hint(final=True)
    assert hint(repair=True) not in {"", hint(final=True)}
    assert hint(final=True, repair=True) == hint(final=True)
    assert "10" in turn_hint(language, 3, 10, final=False)
