"""Ranking over one index, and pages found by url, hash and name."""

from pathlib import Path

import pytest

from services.retrieval import factbook
from services.retrieval.corpus import Corpus
from services.retrieval.documents import Document
from services.retrieval.manifest import read_manifest
from services.retrieval.store import PageStore
from tests.retrieval_parts import HashingEncoder, index_of, islands


def _opened(root: Path, name: str) -> Corpus:
    manifest = read_manifest(root / name)
    assert manifest is not None
    return Corpus.open(root / name, manifest)


@pytest.fixture(scope="module")
def isles(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    root = tmp_path_factory.mktemp("indexes")
    index_of(root, "isles", islands(), encoder=HashingEncoder())
    corpus = _opened(root, "isles")
    corpus.load_vectors("hashing-64")
    return corpus


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    root = tmp_path_factory.mktemp("indexes")
    index_of(root, "factbook", factbook.documents())
    return _opened(root, "factbook")


def test_a_page_is_listed_once_with_a_passage_of_its_own_text(isles: Corpus) -> None:
    hits = isles.search("capital port population", None, 50)

    assert len(hits) == len({hit.url for hit in hits}) == 50
    for hit in hits:
        page = isles.store.page(hit.url)
        assert page is not None
        assert page.text[hit.start : hit.end] == hit.snippet


@pytest.mark.parametrize("query", ["Brónholt", "bronholt", "BRONHOLT", "the Bronholt"])
def test_a_page_is_found_first_by_its_name_in_any_spelling(isles: Corpus, query: str) -> None:
    assert isles.search(query, None, 3)[0].title == "Brónholt"


def test_dense_and_lexical_rankings_are_fused(isles: Corpus) -> None:
    encoder, query = HashingEncoder(), "Mount Dravik highest point"
    (vector,) = encoder.encode([query])

    fused = isles.search(query, vector, 5)

    assert fused[0].title == "Dravik"
    assert fused[0].score > isles.search(query, None, 5)[0].score


def test_a_dense_only_index_ranks_by_meaning_alone(tmp_path: Path) -> None:
    index_of(tmp_path, "isles", islands(), lexical=False, encoder=HashingEncoder())
    corpus = _opened(tmp_path, "isles")
    corpus.load_vectors("hashing-64")
    (vector,) = HashingEncoder().encode(["Capital Port Hollin"])

    assert not corpus.answers(with_vectors=False)
    assert corpus.search("Capital Port Hollin", vector, 3)[0].title == "Hollin"


def test_vectors_of_another_encoder_are_not_loaded(isles: Corpus) -> None:
    fresh = Corpus.open(isles.data.parent, isles.manifest)

    assert not fresh.load_vectors("another-model")


def test_a_query_that_matches_nothing_has_no_hits(isles: Corpus) -> None:
    assert isles.search("zzyzx qwertyuiop", None, 5) == []


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("Mali", "Mali"),
        ("Niger median age", "Niger"),
        ("Guinea population", "Guinea"),
        ("Equatorial Guinea area", "Equatorial Guinea"),
        ("Guinea-Bissau", "Guinea-Bissau"),
        ("cote d'ivoire", "Côte d'Ivoire"),
        ("Ivory Coast", "Côte d'Ivoire"),
        ("Republic of Mali", "Mali"),
        ("the Bahamas coastline", "The Bahamas"),
        ("Dominican Republic capital", "Dominican Republic"),
        ("Dominica highest point", "Dominica"),
        ("DRC", "Democratic Republic of the Congo"),
        ("Countries of Central America and the Caribbean", "Countries of Central America and the Caribbean"),
        ("countries in Central America and Caribbean", "Countries of Central America and the Caribbean"),
        ("sovereign states in Central Asia", "Countries of Central Asia"),
        ("East and Southeast Asia countries list", "Countries of East and Southeast Asia"),
        ("countries of Australia and Oceania", "Countries of Australia and Oceania"),
        ("list of countries in Africa", "Countries of Africa"),
        ("Middle East", "Countries of Middle East"),
    ],
)
def test_the_page_that_is_meant_comes_first(world: Corpus, query: str, title: str) -> None:
    assert world.search(query, None, 5)[0].title == title


def test_every_page_comes_first_for_its_own_title(world: Corpus) -> None:
    titles = [page.title for page in factbook.documents()]

    assert [title for title in titles if world.search(title, None, 1)[0].title != title] == []


def test_a_named_page_shows_the_passage_that_answers(world: Corpus) -> None:
    assert "Median age > total: " in world.search("Niger median age", None, 1)[0].snippet
    assert "Capital > name: " in world.search("Dominican Republic capital", None, 1)[0].snippet


SOME = ("island:3", "island:13", "island:150")


@pytest.mark.parametrize("with_vector", [False, True])
def test_a_search_of_some_pages_finds_those_and_no_other(isles: Corpus, with_vector: bool) -> None:
    query = "Mount Hollin highest point"
    vector = HashingEncoder().encode([query])[0] if with_vector else None

    hits = isles.search(query, vector, 10, isles.store.page_ids(SOME))

    assert {hit.url for hit in hits} == set(SOME)
    assert isles.search(query, vector, 1)[0].url not in SOME


def test_some_pages_are_ranked_as_among_all(isles: Corpus) -> None:
    query = "Dravik capital port"
    everywhere = [hit.url for hit in isles.search(query, None, 200)]

    among = isles.search(query, None, 10, isles.store.page_ids(SOME))

    assert [hit.url for hit in among] == [url for url in everywhere if url in SOME]
    assert among[0].title == "Dravik"


def test_a_dense_only_index_searches_some_pages_too(tmp_path: Path) -> None:
    index_of(tmp_path, "isles", islands(), lexical=False, encoder=HashingEncoder())
    corpus = _opened(tmp_path, "isles")
    corpus.load_vectors("hashing-64")
    (vector,) = HashingEncoder().encode(["Capital Port Hollin"])

    assert {hit.url for hit in corpus.search("Capital Port Hollin", vector, 5, corpus.store.page_ids(SOME))} == set(
        SOME
    )


def test_pages_a_corpus_does_not_hold_leave_nothing_to_find(isles: Corpus) -> None:
    assert isles.search("Dravik", None, 5, isles.store.page_ids(["island:none"])) == []


@pytest.fixture
def store(tmp_path: Path) -> PageStore:
    pages = [
        Document("https://e.org/wiki/Ærø", "Ærø", "an island"),
        Document("https://e.org/wiki/A_b#List", "A b", "a list"),
    ]
    manifest = index_of(tmp_path, "pages", pages)
    return PageStore(tmp_path / "pages" / manifest.data / "pages.sqlite", "pages")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("https://e.org/wiki/Ærø", "https://e.org/wiki/Ærø"),
        ("https://e.org/wiki/%C3%86r%C3%B8", "https://e.org/wiki/Ærø"),
        (" https://e.org/wiki/Ærø/ ", "https://e.org/wiki/Ærø"),
        ("https://e.org/wiki/Ærø#History", "https://e.org/wiki/Ærø"),
        ("https://e.org/wiki/A b#List", "https://e.org/wiki/A_b#List"),
        ("https://e.org/wiki/A_b", None),
        ("https://e.org/wiki/Zed", None),
    ],
)
def test_urls_are_found_in_the_spellings_agents_write(store: PageStore, asked: str, found: str | None) -> None:
    page = store.page(asked)

    assert (page and page.url) == found
    assert len(store.page_ids([asked, asked])) == (found is not None)


def test_a_page_is_found_by_its_content_hash(store: PageStore) -> None:
    page = store.page("https://e.org/wiki/Ærø")
    assert page is not None

    assert store.page_by_hash(page.content_sha256) == page
    assert store.page_by_hash("00" * 32) is None
    assert store.page_by_hash("no hex") is None
