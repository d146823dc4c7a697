"""JSON lines in, documents out; a bad line is named."""

import gzip
import json
from pathlib import Path

import pytest

from services.retrieval.documents import BadDocument, Document, from_files, read_jsonl, survey
from tests.retrieval_parts import jsonl, source_of

GOOD = {"url": "u:1", "title": "One", "text": "text of one"}


def test_plain_and_compressed_files_read_alike(tmp_path: Path) -> None:
    plain = jsonl(tmp_path / "a.jsonl", [GOOD])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))

    one, other = list(read_jsonl(plain)), list(read_jsonl(tmp_path / "b.jsonl.gz"))

    assert [(page.url, page.title, page.text) for page in one] == [("u:1", "One", "text of one")]
    assert [page.content_sha256 for page in one] == [page.content_sha256 for page in other]


def test_blank_lines_and_further_fields_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + json.dumps({**GOOD, "lang": "en"}) + "\n\n", encoding="utf-8")

    assert len(list(read_jsonl(path))) == 1


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"url": "u", "title": "t"}', "field text: missing"),
        ('{"url": "u", "title": 3, "text": "x"}', "field title: a string is needed, found int"),
        ('{"url": " ", "title": "t", "text": "x"}', "field url: empty"),
        ('{"url": "u", "title": "t", "text": "\\ud800"}', "field text: half a surrogate pair"),
    ],
)
def test_a_bad_line_is_named_by_file_line_and_field(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "pages.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n", encoding="utf-8")

    with pytest.raises(BadDocument, match=r"^pages\.jsonl:2: ") as caught:
        list(read_jsonl(path))

    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"url": "\xff"}\n')

    with pytest.raises(BadDocument, match=r"a\.jsonl:1: not UTF-8"):
        list(read_jsonl(tmp_path / "a.jsonl"))


def test_a_gzip_file_cut_short_is_named(tmp_path: Path) -> None:
    whole = gzip.compress((json.dumps(GOOD) + "\n").encode() * 50)
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(BadDocument, match=r"a\.jsonl\.gz:\d+: not a whole gzip file"):
        list(read_jsonl(tmp_path / "a.jsonl.gz"))


def test_a_url_that_stands_twice_is_refused_at_its_second_place(tmp_path: Path) -> None:
    first, second = jsonl(tmp_path / "a.jsonl", [GOOD]), jsonl(tmp_path / "b.jsonl", [{**GOOD, "text": "other"}])

    with pytest.raises(BadDocument, match=r"b\.jsonl:1: field url: u:1 stands twice"):
        survey(from_files([first, second]))


def test_the_content_hash_tells_every_field_and_the_order_apart() -> None:
    one, two = Document("u:1", "One", "a"), Document("u:2", "Two", "b")
    sources = [
        [one, two],
        [two, one],
        [one],
        [Document("u:1", "One", "a", ("Uno",)), two],
        [Document("u:1", "One!", "a"), two],
    ]

    hashes = {survey(source_of(pages)).content_hash for pages in sources}

    assert len(hashes) == len(sources)
