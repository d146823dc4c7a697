"""The bundled corpus as pages."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from services.kit.factbook import forms, load_entries, mentions, plain, region_names, usual_name
from services.retrieval import factbook
from services.retrieval.documents import Document


@pytest.fixture(scope="module")
def pages() -> dict[str, Document]:
    return {page.url: page for page in factbook.documents()}


def _lines(page: Document) -> list[str]:
    return page.text.splitlines()


def test_every_profile_and_every_region_has_a_page(pages: dict[str, Document]) -> None:
    profiles = [url for url in pages if "/" in url]

    assert len(profiles) == 256
    assert {url.partition("/")[0] for url in profiles} == set(pages) - set(profiles) - {"factbook:regions"}


def test_195_profiles_are_sovereign_states() -> None:
    entries = load_entries()

    sovereign = {entry.url for entry in entries if entry.sovereign}

    assert len(sovereign) == 195
    assert "factbook:europe/ee" not in sovereign


@pytest.mark.shared_data
def test_the_sovereign_states_are_those_of_the_shared_list(shared_data: Path) -> None:
    listed = json.loads((shared_data / "factbook" / "fields.json").read_text(encoding="utf-8"))["sovereign"]

    found = {f"{entry.region}/{entry.code}" for entry in load_entries() if entry.sovereign}

    assert found == set(listed)


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("africa/ml", "Mali"),
        ("africa/iv", "Côte d'Ivoire"),
        ("africa/ct", "Central African Republic"),
        ("africa/cg", "Democratic Republic of the Congo"),
        ("central-america-n-caribbean/dr", "Dominican Republic"),
        ("central-america-n-caribbean/bf", "The Bahamas"),
        ("europe/ez", "Czechia"),
        ("europe/sv", "Svalbard"),
        ("europe/ee", "European Union"),
        ("north-america/us", "United States"),
        ("world/xx", "World"),
    ],
)
def test_a_page_is_titled_by_the_usual_name(pages: dict[str, Document], address: str, title: str) -> None:
    assert pages[f"factbook:{address}"].title == title
    assert pages[f"factbook:{address}"].text.startswith(f"# {title}\n")


def test_titles_are_unique(pages: dict[str, Document]) -> None:
    counted = Counter(page.title for page in pages.values())

    assert [title for title, count in counted.items() if count > 1] == []


def test_a_page_states_both_forms_of_the_name_its_region_and_its_status(pages: dict[str, Document]) -> None:
    text = pages["factbook:africa/ml"].text

    assert "Short form: Mali. Long form: Republic of Mali." in text
    assert "Region: Africa (factbook:africa" in text
    assert "Sovereign state: yes" in _lines(pages["factbook:africa/ml"])
    assert "Sovereign state: no" in _lines(pages["factbook:central-america-n-caribbean/aa"])


@pytest.mark.parametrize(
    "line",
    [
        "Area > total: 1,240,192 sq km",
        "Elevation > highest point: Hombori Tondo 1,155 m",
        "Coastline: 0 km (landlocked)",
        "Land use > agricultural land: arable land: 6.8% (2023 est.)",
        "Languages > note: Mali has 13 national languages in addition to its official language",
        "Natural resources > note: bauxite, iron ore, manganese, tin, and copper deposits are known but not exploited",
        "Land boundaries > border countries: Algeria 1,359 km; Burkina Faso 1,325 km; Cote d'Ivoire 599 km; "
        "Guinea 1,062 km; Mauritania 2,236 km; Niger 838 km, Senegal 489 km",
        "Real GDP (purchasing power parity) > Real GDP (purchasing power parity) 2023: $67.857 billion (2023 est.)",
    ],
)
def test_a_field_is_one_line_with_its_label_path(pages: dict[str, Document], line: str) -> None:
    assert line in _lines(pages["factbook:africa/ml"])


def test_lines_of_one_field_each_carry_its_label(pages: dict[str, Document]) -> None:
    found = [line for line in _lines(pages["factbook:europe/fr"]) if line.startswith("Geographic coordinates: ")]

    assert len(found) == 6
    assert found[1] == "Geographic coordinates: French Guiana: 4 00 N, 53 00 W"


def test_no_markup_is_left(pages: dict[str, Document]) -> None:
    markup = re.compile(r"</?(?:p|b|br|em|strong|i|small)\b|&[a-z]+;|&#\d+;", re.IGNORECASE)

    assert [page.url for page in pages.values() if markup.search(page.text)] == []


def test_no_value_of_a_profile_is_lost(pages: dict[str, Document]) -> None:
    def values(node: object) -> list[str]:
        if isinstance(node, dict):
            return [text for child in node.values() for text in values(child)]
        return plain(str(node))

    def squeezed(text: str) -> str:
        return re.sub(r"\W+", "", text)

    for entry in load_entries():
        written = squeezed(pages[entry.url].text)
        lost = [text for text in values(entry.profile) if squeezed(_bare(text)) not in written]
        assert lost == [], entry.url


def _bare(line: str) -> str:
    """What is left of a line whose head became part of the label."""
    return re.sub(r"^note(?:\s+\d+)?\s*(?::|\s-|\s–)\s*", "", line, flags=re.IGNORECASE)


def test_a_region_page_marks_each_entry(pages: dict[str, Document]) -> None:
    page = pages["factbook:central-america-n-caribbean"]

    assert page.title == "Countries of Central America and the Caribbean"
    assert "- [Cuba](factbook:central-america-n-caribbean/cu): sovereign state" in _lines(page)
    assert "- [Aruba](factbook:central-america-n-caribbean/aa): not a sovereign state" in _lines(page)


def test_region_pages_list_each_profile_once(pages: dict[str, Document]) -> None:
    regions = [page for url, page in pages.items() if "/" not in url and url != "factbook:regions"]

    listed = [url for page in regions for url in re.findall(r"\((factbook:\S+/\S+)\)", page.text)]

    assert sorted(listed) == sorted(url for url in pages if "/" in url)


def test_regions_carry_the_names_people_use(pages: dict[str, Document]) -> None:
    titles = {page.title for url, page in pages.items() if "/" not in url}

    assert {
        "Countries of Australia and Oceania",
        "Countries of East and Southeast Asia",
        "Countries of Middle East",
        "Countries of South America",
    } <= titles


def test_region_names_are_made_from_folders_by_general_means() -> None:
    profiles = [{"Geography": {"Map references": {"text": "Upper Mere and the Lowlands"}}}]

    names = region_names(["upper-mere-n-lowlands", "tarn-fell", "high-tarn"], profiles, ["Tarn", "Fell"])

    assert names == {
        "upper-mere-n-lowlands": "Upper Mere and the Lowlands",
        "tarn-fell": "Tarn and Fell",
        "high-tarn": "High Tarn",
    }


def test_the_name_neighbours_use_wins_over_the_short_form() -> None:
    borders = {"Geography": {"Land boundaries": {"border countries": {"text": "Republic of Tarn 5 km; Fell 1,207 km"}}}}

    used = mentions([borders])

    assert usual_name(("RT", "Republic of Tarn"), used, "x") == "Republic of Tarn"
    assert usual_name(("Fell", "Kingdom of Fell"), used, "x") == "Fell"
    assert usual_name(("", ""), used, "the fallback") == "the fallback"


def test_remarks_are_cut_off_names_and_other_parentheses_stay() -> None:
    def profile(short: str) -> dict[str, object]:
        return {"Government": {"Country name": {"conventional short form": {"text": short}}}}

    assert forms(profile("Tarn (sometimes called the Tarn)"))[0] == "Tarn"
    assert forms(profile("Tarn; note - disputed"))[0] == "Tarn"
    assert forms(profile("Tarn (Upper)"))[0] == "Tarn (Upper)"
    assert forms(profile("none"))[0] == ""
