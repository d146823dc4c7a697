"""Running text is told from labelled pages, and read by its wording."""

import pytest

from services.model.expert.headings import Heading
from services.model.expert.list_pages import read_list_page
from services.model.expert.pages import read_entries
from services.model.expert.prose import is_prose
from services.model.expert.reading import Reading
from services.model.expert.request import read_request
from services.model.expert.tasks import Holding, Open, PageList, Row, read_tasks

FILM = (
    "The Grey Mill (Keshian: Moldo griz, translit. Mulin) is a 1961 Velmarian Keshian-language drama film written and "
    "directed by A. B. Orvath and Lin de Sarr. It was produced by Tomas Ulm for Ulm Pictures."
)
FIELD = (
    "Ondle Field (WXA: ONF, WXB: KOND) is an airfield serving the village of Ondle in Tarn Province, Velmar. "
    "It is 5 km south of Javel. The terminal has a capacity of 12,500 people and opened in 1984."
)


@pytest.mark.parametrize(
    ("heading", "text", "expected"),
    [
        (Heading("Original title", "the title in the original language"), FILM, "Moldo griz"),
        (Heading("Keshian title", "in Keshian"), FILM, "Moldo griz"),
        (Heading("Language", "the main language of the film"), FILM, "Keshian"),
        (Heading("Year", "year of release, four digits"), FILM, "1961"),
        (Heading("Director", "the director's name"), FILM, "A. B. Orvath and Lin de Sarr"),
        (Heading("Producer", "the producer's name"), FILM, "Tomas Ulm"),
        (Heading("WXB", "WXB field code"), FIELD, "KOND"),
        (Heading("City", "the city or town it is in, place name only"), FIELD, "Ondle"),
        (Heading("Province"), FIELD, "Tarn"),
        (Heading("Country"), FIELD, "Velmar"),
        (Heading("Capacity", "as a plain number"), FIELD, "12500"),
        (Heading("Wingspan", "of the largest craft"), FIELD, ""),
    ],
)
def test_running_text_gives_what_a_heading_asks_for(heading: Heading, text: str, expected: str) -> None:
    assert Reading("The Grey Mill" if text is FILM else "Ondle Field", text).answer(heading) == expected


def test_a_title_without_a_label_is_its_own_original() -> None:
    reading = Reading("Lumo (film)", "Lumo is a 1970 Keshian film directed by Ann Tarn. It runs an hour.")

    assert reading.answer(Heading("Original title", "the title in the original language")) == "Lumo"


def test_who_did_it_may_be_described_before_the_name() -> None:
    reading = Reading(
        "Lumo", "Lumo is the second album by Velmarian singer-songwriter Ada. It was released in May 1970."
    )

    assert reading.answer(Heading("Artist", "performing artist")) == "Ada"


def test_labelled_pages_are_no_prose() -> None:
    assert not is_prose("# Kesh\n\nKesh is a realm of old standing.\n\n## Facts\nSheep: 12\nSeat: Old Kesh\nWood: 3%")
    assert is_prose(FILM)
    assert is_prose(FIELD)


@pytest.mark.parametrize(
    ("query", "noun"),
    [
        (
            "List the mills named on the page “Mills of Kesh”, section “Old – River”. The columns are: Mill; Year.",
            "mill",
        ),
        (
            "From the Handbook page “Mills of Kesh”, section “Old – River”, take every mill listed. Give: Mill; Year.",
            "mill",
        ),
        ('Start from section "Old – River" of the page "Mills of Kesh", a set of mills. Give: Mill; Year.', "mill"),
    ],
)
def test_a_query_may_name_the_page_that_lists_the_rows(query: str, noun: str) -> None:
    page, found, rest = read_list_page(query)

    assert page is not None
    assert (page.title, page.section, found) == ("Mills of Kesh", "Old – River", noun)
    assert "Mills of Kesh" not in rest


def test_the_column_of_printed_names_is_the_key_whatever_it_is_called() -> None:
    query = (
        "Build a table of the mills listed on the page “Mills of Kesh”, section “Old”. The columns are: "
        "Country; State (state or province); and Call sign (the name exactly as printed in the list)."
    )

    columns = read_request(query).columns

    assert [heading.name for heading in columns.headings] == ["Country", "State", "Call sign"]
    assert columns.key == 2


def test_list_entries_may_have_brackets_in_name_and_address() -> None:
    entries = read_entries("- [Lumo (Old [1st] Cut)](https://w.example/wiki/Lumo_(film)) – a note\n- Plain")

    assert [(entry.name, entry.url) for entry in entries] == [
        ("Lumo (Old [1st] Cut)", "https://w.example/wiki/Lumo_(film)"),
        ("Plain", ""),
    ]


@pytest.mark.parametrize(
    "task",
    [
        Row("Lumo (Old Cut)", "https://w.example/wiki/Lumo_(film)", ("Film", "Year")),
        Row("Vics", "https://w.example/wiki/Kesh_F.C.", ("Club", "Ground"), ("have more than 3 mills",)),
        PageList("Mills of Kesh", "Old – River", "mill"),
        PageList("Mills of Kesh", "", "mill"),
        Holding("toll code", ".kx", "realm"),
        Open("Who built the mill? And when?"),
    ],
)
def test_a_subtask_is_read_back_as_it_was_meant(task: Row | PageList | Holding | Open) -> None:
    assert read_tasks(task.prompt()) == [task]
