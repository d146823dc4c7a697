"""Judging by rule: what counts as the same name, and what must never."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.errors import JudgeUnavailable
from wideseek.judging import Agreement, AgreementJudge, DeterministicJudge, NoJudge, cohens_kappa
from wideseek.ports import Alignment, AnswerPair, ColumnPairs

JUDGE = DeterministicJudge()


async def aligned(
    found: Sequence[str], wanted: Sequence[str], aliases: Mapping[str, tuple[str, ...]] | None = None
) -> Mapping[str, str]:
    return await JUDGE.align(Alignment(column="name", found=tuple(found), wanted=tuple(wanted), aliases=aliases or {}))


async def judged(response: str, gold: str, *aliases: str) -> bool:
    cells = ColumnPairs(column="value", pairs=((response, gold),), aliases={gold: aliases})
    return await JUDGE.judge_column(cells) == [1.0]


async def answered(response: str, *accepted: str) -> bool:
    return await JUDGE.judge_answer(AnswerPair(question="?", given=response, accepted=accepted))


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("peru", "Peru"),
        ("Perú", "Peru"),
        ("The Gambia", "Gambia"),
        ("Gambia, The", "The Gambia"),
        ("Korea, South", "South Korea"),
        ("South Korea", "Korea, South"),
        ("Trinidad & Tobago", "Trinidad and Tobago"),
        ("St. Lucia", "Saint Lucia"),
        ("Guinea Bissau", "Guinea-Bissau"),
        ("Cote d’Ivoire", "Côte d'Ivoire"),
        ("World Health Organization (WHO)", "World Health Organization"),
        ("European Union", "European Union (EU)"),
        ("[Łódź](https://pl.wikipedia.org/wiki/Łódź)", "Lodz"),
        ("Rome[1]", "Rome"),
        ("1,000 Islands", "1000 islands"),
        ("30 September 2001", "2001-09-30"),
        ("東京", "東京"),
    ],
)
async def test_another_spelling_of_a_name_is_aligned(found: str, wanted: str) -> None:
    assert await aligned([found], [wanted, "Elsewhere"]) == {found: wanted}


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("Guinea", "Guinea-Bissau"),
        ("Guinea (Bissau)", "Guinea"),
        ("Equatorial Guinea", "Guinea"),
        ("Niger", "Nigeria"),
        ("North Korea", "South Korea"),
        ("Group 1", "Group 2"),
        ("Group 1", "Group"),
        ("7", "007"),
        ("1E5", "100000"),
        ("-5", "5"),
        ("1.5", "15"),
        ("C", "C++"),
        ("Dominica", "Dominican Republic"),
        ("Austria", "Australia"),
        ("Republic of China", "China"),
        ("Congo (Brazzaville)", "Congo"),
        ("Georgia (country)", "Georgia (state)"),
        ("Slovakia", "Slovenia"),
        ("September 2001", "2001-09-30"),
        ("Washington", "Washington, D.C."),
        ("2012, London", "2012"),
    ],
)
async def test_two_things_are_never_merged(found: str, wanted: str) -> None:
    assert await aligned([found], [wanted]) == {}
    assert await aligned([wanted], [found]) == {}


async def test_a_name_that_could_be_either_is_left_alone() -> None:
    both = ["Congo (Kinshasa)", "Congo (Brazzaville)"]
    aliases = {name: ("Congo", f"{name} alias") for name in both}

    assert await aligned(["Congo", "The Congo"], both, aliases) == {}
    assert await aligned(["Congo (Kinshasa) alias"], both, aliases) == {"Congo (Kinshasa) alias": both[0]}


async def test_a_gold_name_wins_over_an_alias_of_another() -> None:
    aliases = {"Republic of Ireland": ("Ireland",), "Mali": ("Sudan (French)", "Soudan")}

    assert await aligned(["IRELAND", "soudan"], ["Ireland", "Republic of Ireland", "Mali"], aliases) == {
        "IRELAND": "Ireland",
        "soudan": "Mali",
    }


NAMES = ["Guinea", "Guinea-Bissau", "Perú", "peru", "The Gambia", "Gambia, The", "St. Lucia", "Congo", "Saint Lucia"]


@given(st.permutations(NAMES), st.sets(st.sampled_from(NAMES), min_size=1))
async def test_a_name_is_decided_by_itself(found: Sequence[str], wanted: set[str]) -> None:
    """Neither the order nor the company of names changes what one of them means."""
    together = await aligned(found, sorted(wanted))

    alone = [await aligned([name], sorted(wanted, reverse=True)) for name in found]

    assert together == {name: target for one in alone for name, target in one.items()}


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("Land area", "landarea"),
        ("land_area", "landarea"),
        ("Area (km²)", "areakm2"),
        ("Area (sq km)", "area"),
        ("Area", "area(km2)"),
        ("GDP per-capita", "gdppercapita"),
        ("Élévation", "elevation"),
        ("**Capital**:", "capital"),
    ],
)
async def test_headings_name_columns_whatever_their_signs(heading: str, column: str) -> None:
    assert await JUDGE.align(Alignment(column="", found=(heading,), wanted=(column, "other"))) == {heading: column}


@pytest.mark.parametrize(
    ("heading", "columns"),
    [("Area (km²)", ["area(sqmi)"]), ("GDP", ["gdp(2023)", "gdp(2024)"]), ("Total area", ["area"]), ("", ["area"])],
)
async def test_headings_that_may_mean_something_else_name_nothing(heading: str, columns: list[str]) -> None:
    assert await JUDGE.align(Alignment(column="", found=(heading,), wanted=tuple(columns))) == {}


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("paris", "Paris"),
        ("The House of Lords", "House of Lords"),
        ("1.284 million", "1,284,000"),
        ("1,200 km", "1200 kilometres"),
        ("8849", "8,849 m"),
        ("about 75", "75 (2021 est.)"),
        ("$1.5 billion", "1500000000"),
        ("5 March 2020", "2020-03-05"),
        ("Minister for Foreign Affairs", "Minister of Foreign Affairs"),
        ("n/a", "-"),
        (
            "Application deadline for international students is in early spring semester",
            "application deadline for international students is in spring semester",
        ),
    ],
)
async def test_cells_that_say_the_same_are_right(response: str, gold: str) -> None:
    assert await judged(response, gold)


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("", "Paris"),
        ("Paris", ""),
        ("Paris", "Lyon"),
        ("1200 km", "1200 miles"),
        ("1201", "1200"),
        ("45%", "45"),
        ("Group 1", "1"),
        ("5 March 2020", "March 2020"),
        ("5 March 2020", "2020-03-06"),
        ("Democratic Republic of the Congo", "Republic of the Congo"),
        ("president", "vice president"),
        ("Guinea", "Guinea-Bissau"),
        ("the northern half of the large island of Borneo", "the southern half of the large island of Borneo"),
        (
            "application deadline for international students is not in spring semester",
            "application deadline for international students is in spring semester",
        ),
    ],
)
async def test_cells_that_say_something_else_are_wrong(response: str, gold: str) -> None:
    assert not await judged(response, gold)


async def test_an_alias_of_the_gold_is_right() -> None:
    assert await judged("Kyrgyz Republic", "Kyrgyzstan", "the Kyrgyz republic")
    assert not await judged("Kazakh Republic", "Kyrgyzstan", "the Kyrgyz republic")


@given(st.text(min_size=1))
async def test_a_cell_that_says_something_means_itself(text: str) -> None:
    said = any(character.isalnum() for character in text) and text.isascii()

    assert await judged(text, text) or not said


@pytest.mark.parametrize(
    ("response", "accepted"),
    [
        ("Paris", ["Lyon", "Paris"]),
        ("The answer is Paris.", ["Paris"]),
        ("It is the city of Saint Petersburg", ["St Petersburg"]),
        ("1,200", ["1200"]),
        ("12 May 1990", ["1990-05-12"]),
    ],
)
async def test_right_answers(response: str, accepted: list[str]) -> None:
    assert await answered(response, *accepted)


@pytest.mark.parametrize(
    ("response", "accepted"),
    [
        ("Paris or Lyon", ["Paris"]),
        ("not Paris", ["Paris"]),
        ("Paris, Texas", ["Paris"]),
        ("", ["Paris"]),
        ("1200 or 1300", ["1200"]),
        ("Paris Lyon Rome Oslo", ["Rome"]),
        ("the", ["The Who"]),
    ],
)
async def test_wrong_answers(response: str, accepted: list[str]) -> None:
    assert not await answered(response, *accepted)


async def test_no_judge_decides_nothing() -> None:
    nobody = NoJudge()

    assert await nobody.align(Alignment(column="a", found=("x",), wanted=("x",))) == {}
    assert await nobody.judge_column(ColumnPairs(column="a", pairs=(("x", "x"), ("y", "y")))) == [0.0, 0.0]
    assert not await nobody.judge_answer(AnswerPair(question="?", given="x", accepted=("x",)))


async def test_agreement_is_counted_by_kind_and_column() -> None:
    judge = AgreementJudge(JUDGE, NoJudge())

    names = await judge.align(Alignment(column="name", found=("Perú", "x"), wanted=("Peru",)))
    scores = await judge.judge_column(ColumnPairs(column="motto", pairs=(("a", "a"), ("b", "c"), ("d", "e"))))
    right = await judge.judge_answer(AnswerPair(question="?", given="x", accepted=("x",)))

    assert (names, scores, right) == ({"Perú": "Peru"}, [1.0, 0.0, 0.0], True)
    told = [(group.kind, group.column, group.equal, group.asked) for group in judge.agreement().verdicts]
    assert told == [("alignment", "name", 1, 2), ("cells", "motto", 2, 3), ("answers", "", 0, 1)]
    assert judge.agreement().share == 3 / 6


async def test_nothing_asked_is_full_agreement() -> None:
    assert AgreementJudge(JUDGE, NoJudge()).agreement() == Agreement()
    assert Agreement().share == 1


def test_cohens_kappa_is_worked_out_by_hand() -> None:
    """50 items: both yes 20, both no 15, yes/no 5, no/yes 10. p_o = .7, p_e = .5 * .6 + .5 * .4 = .5, kappa = .4."""
    pairs = [("y", "y")] * 20 + [("n", "n")] * 15 + [("y", "n")] * 5 + [("n", "y")] * 10

    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([("y", "y")] * 3) == 1
    assert cohens_kappa([("y", "n")] * 3) == 0


async def test_an_outage_of_either_judge_is_raised() -> None:
    class Down(NoJudge):
        async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
            raise JudgeUnavailable("down")

    with pytest.raises(JudgeUnavailable):
        await AgreementJudge(JUDGE, Down()).judge_column(ColumnPairs(column="a", pairs=(("x", "x"),)))
