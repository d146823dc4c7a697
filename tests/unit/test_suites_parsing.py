"""Values read from the texts of profiles."""

from decimal import Decimal

import pytest

from services.suites.catalogue import BY_HEADING
from services.suites.parsing import Value, capital, elevation, number_value, peak


@pytest.mark.parametrize(
    ("heading", "text", "cell"),
    [
        ("Population", "47,735,685 (2025 est.)", "47735685"),
        ("Population", "1,000 (2024)", "1000"),
        ("Total area", "2,381,740 sq km", "2381740"),
        ("Total area", "1.284 million sq km", "1284000"),
        ("Total area", "261 sq km (Saint Kitts 168 sq km; Nevis 93 sq km)", "261"),
        ("Land boundary", "6,734 km", "6734"),
        ("Coastline", "0 km (landlocked)", "0"),
        ("Coastline", "196.8 km (excludes 56 km for the island of Gozo)", "196.8"),
        ("Forest share", "0.7% (2023 est.)", "0.7"),
        ("Median age", "29.0 years (2025 est.)", "29"),
        ("Fertility rate", "2.91 children born/woman (2025 est.)", "2.91"),
        ("Infant mortality", "18.6 deaths/1,000 live births (2025 est.)", "18.6"),
        ("Urban share", "75.3% of total population (2023)", "75.3"),
        ("GDP 2023", "$1.912 trillion (2023 est.)", "1912"),
        ("GDP 2023", "$429.59 million (2023 est.)", "0.42959"),
        ("GDP per capita 2023", "$15,200 (2023 est.)", "15200"),
        ("Inflation 2023", "-1% (2023 est.)", "-1"),
        ("Airports", "95 (2025)", "95"),
        ("Age 0-14", "23.3% (male 5,632,983/female 5,301,778)", "23.3"),
        ("Age 65 and over", "12.8% (2024 est.) (male 2,370,596/female 3,461,743)", "12.8"),
        ("Net migration", "-0.06 migrant(s)/1,000 population (2025 est.)", "-0.06"),
        ("Urbanization rate", "0.97% annual rate of change (2020-25 est.)", "0.97"),
        ("Sex ratio", "0.98 male(s)/female (2024 est.)", "0.98"),
        ("Arable land", "arable land: 14.8% (2023 est.)", "14.8"),
        ("Alcohol 2019", "7.95 liters of pure alcohol (2019 est.)", "7.95"),
        ("Territorial sea", "12 nm", "12"),
    ],
)
def test_a_number_is_written_in_plain_digits_and_the_unit_asked_for(heading: str, text: str, cell: str) -> None:
    read = BY_HEADING[heading].read

    value = read(text) if read else None

    assert value == Value(cell, Decimal(cell))


@pytest.mark.parametrize(
    ("heading", "text"),
    [
        ("Total area", "643,801 sq km ; 551,500 sq km (metropolitan France)"),
        ("Population", ""),
        ("Median age", "NA"),
        ("GDP 2023", "1.912 trillion (2023 est.)"),
        ("Urban share", "75.3% (2023)"),
    ],
)
def test_a_text_that_does_not_state_exactly_one_value_gives_none(heading: str, text: str) -> None:
    read = BY_HEADING[heading].read

    assert read is not None
    assert read(text) is None


def test_large_numbers_are_never_written_with_an_exponent() -> None:
    assert number_value(Decimal("1.5E+7")).text == "15000000"
    assert number_value(Decimal("100")).text == "100"


@pytest.mark.parametrize(
    ("text", "name", "aliases"),
    [
        ("Algiers", "Algiers", ()),
        ("Tripoli (Tarabulus)", "Tripoli", ("Tarabulus",)),
        ("Baku (Baki, Baky)", "Baku", ("Baki", "Baky")),
        ("Nicosia (Lefkosia/Lefkosa)", "Nicosia", ("Lefkosia", "Lefkosa")),
        ("Suva (on Viti Levu)", "Suva", ()),
        ("Washington, D.C.", "Washington, D.C.", ()),
        ("Kyiv (Kiev is the transliteration from Russian)", "Kyiv", ()),
        ("Port of Spain", "Port of Spain", ()),
    ],
)
def test_a_capital_is_a_name_and_its_other_spellings(text: str, name: str, aliases: tuple[str, ...]) -> None:
    assert capital(text) == Value(name, aliases=aliases)


@pytest.mark.parametrize(
    "text",
    [
        "Gitega (political capital), Bujumbura (commercial capital)",
        "Porto-Novo (constitutional capital); Cotonou (seat of government)",
        "Santiago; note - Valparaiso is the seat of the national legislature",
        "Chisinau in Romanian (Kishinev in Russian)",
        "no official capital; government offices in the Yaren District",
        "",
    ],
)
def test_several_capitals_or_a_description_are_no_capital(text: str) -> None:
    assert capital(text) is None


@pytest.mark.parametrize(
    ("text", "name", "aliases", "metres"),
    [
        ("Tahat 2,908 m", "Tahat", (), "2908"),
        ("Mont Blanc 4,810", "Mont Blanc", (), "4810"),
        ("Mount Gimie 948 m", "Mount Gimie", ("Gimie", "Mt Gimie"), "948"),
        ("Jengish Chokusu (Pik Pobedy) 7,439 m", "Jengish Chokusu", ("Pik Pobedy",), "7439"),
        ("K2 (Mt. Godwin-Austen) 8,611 m", "K2", ("Mt. Godwin-Austen",), "8611"),
        (
            "Mount McKinley 6,190 m (highest point in North America)",
            "Mount McKinley",
            ("McKinley", "Mt McKinley"),
            "6190",
        ),
        ("Cerro Aconcagua (located in the corner of Mendoza; highest point) 6,962 m", "Cerro Aconcagua", (), "6962"),
        ("Pik Khan-Tengri 7,010 m note - the northern most 7,000 meter peak", "Pik Khan-Tengri", (), "7010"),
        ('Cheekha Dar (Kurdish for "Black Tent") 3,611 m', "Cheekha Dar", (), "3611"),
        ("Gjeravica/Deravica 2,656 m", "Gjeravica/Deravica", ("Gjeravica", "Deravica"), "2656"),
    ],
)
def test_a_highest_point_is_a_name_and_an_elevation(
    text: str, name: str, aliases: tuple[str, ...], metres: str
) -> None:
    assert peak(text) == Value(name, aliases=aliases)
    assert elevation(text) == Value(metres, Decimal(metres))


@pytest.mark.parametrize(
    "text",
    [
        "unnamed elevation 675 m; located 2.5 km southeast of the town of Kotopounga",
        "Fako on Mont Cameroun 4,045 m",
        "8th tee, golf course, Villingi Island 5 m",
        "3.6 km W. of Al-Salmi Border Post 300 m",
        "As Sarawat range, 3,000 m",
        "Mont Blanc (Monte Bianco) de Courmayeur (a secondary peak of Mont Blanc) 4,748 m",
    ],
)
def test_a_described_place_is_no_name_of_a_highest_point(text: str) -> None:
    assert peak(text) is None


def test_two_elevations_are_none() -> None:
    assert elevation("Mitspe Shlagim 2,224 m; note - the actual highest point is a dome at 2,236 m") is None
