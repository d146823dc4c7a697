"""Building: cached, resumable, swapped in one step, nothing lost on bad input."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieval.build import Parts, build
from services.retrieval.documents import BadDocument, Document, from_files
from services.retrieval.manifest import FORMAT, read_manifest, write_manifest
from tests.retrieval_parts import HashingEncoder, index_of, islands, jsonl, source_of
from wideseek.errors import InvalidRequest


class Interrupted(Exception):
    """The build was cut off."""


class FailingEncoder(HashingEncoder):
    """Gives up after some batches, as a process does that is ended."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.left == 0:
            raise Interrupted
        self.left -= 1
        return super().encode(texts)


def test_the_same_documents_are_not_built_twice(tmp_path: Path) -> None:
    stages: list[str] = []
    first = index_of(tmp_path, "isles", islands())

    again = build("isles", source_of(islands()), tmp_path, Parts(), lambda stage, *_: stages.append(stage))

    assert again == first
    assert set(stages) <= {"reading"}


def test_a_part_is_added_without_building_the_others_anew(tmp_path: Path) -> None:
    lexical = index_of(tmp_path, "isles", islands())
    pages = (tmp_path / "isles" / lexical.data / "pages.sqlite").stat().st_mtime_ns

    both = index_of(tmp_path, "isles", islands(), encoder=HashingEncoder())

    assert (both.lexical, both.dense, both.encoder) == (True, True, "hashing-64")
    assert (tmp_path / "isles" / both.data / "pages.sqlite").stat().st_mtime_ns == pages


def test_a_first_index_is_served_lexically_while_its_vectors_are_made(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        index_of(tmp_path, "isles", islands(), encoder=FailingEncoder(0))

    manifest = read_manifest(tmp_path / "isles")

    assert manifest is not None
    assert (manifest.lexical, manifest.dense) == (True, False)


def test_an_index_that_is_replaced_is_served_until_the_new_one_is_whole(tmp_path: Path) -> None:
    old = index_of(tmp_path, "isles", islands(20), encoder=HashingEncoder())

    with pytest.raises(Interrupted):
        index_of(tmp_path, "isles", islands(30), encoder=FailingEncoder(0))

    assert read_manifest(tmp_path / "isles") == old


def test_an_encoding_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pages = list(islands(2_500))
    with pytest.raises(Interrupted):
        index_of(tmp_path, "isles", pages, encoder=FailingEncoder(1))
    encoder = HashingEncoder()

    manifest = index_of(tmp_path, "isles", pages, encoder=encoder)

    assert manifest.dense
    assert sum(encoder.batches) == manifest.num_passages - 1_024


def test_old_data_is_removed_but_for_what_a_service_may_still_serve(tmp_path: Path) -> None:
    manifests = [index_of(tmp_path, "isles", islands(number)) for number in (10, 20, 30)]

    left = {folder.name for folder in (tmp_path / "isles").iterdir() if folder.is_dir()}

    assert left == {manifests[1].data, manifests[2].data}


def test_a_bad_document_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    old = index_of(tmp_path, "isles", islands(10))
    path = jsonl(tmp_path / "bad.jsonl", [{"url": "u", "title": "t", "text": "x"}, {"url": "v", "title": "t"}])

    with pytest.raises(BadDocument, match=r"bad\.jsonl:2: field text: missing"):
        build("isles", from_files([path]), tmp_path, Parts())

    assert read_manifest(tmp_path / "isles") == old


def test_an_index_without_parts_or_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="lexical part, a dense one"):
        build("isles", source_of(islands(1)), tmp_path, Parts(lexical=False))
    with pytest.raises(InvalidRequest, match="no document"):
        build("isles", source_of([]), tmp_path, Parts())


def test_a_manifest_of_another_format_or_half_written_counts_as_none(tmp_path: Path) -> None:
    manifest = index_of(tmp_path, "isles", islands(3))

    write_manifest(tmp_path / "isles", manifest.model_copy(update={"format": FORMAT + 1}))
    assert read_manifest(tmp_path / "isles") is None

    (tmp_path / "isles" / "manifest.json").write_text("{", encoding="utf-8")
    assert read_manifest(tmp_path / "isles") is None


def test_documents_without_words_can_be_indexed(tmp_path: Path) -> None:
    manifest = index_of(tmp_path, "signs", [Document("u", "?!", "---")])

    assert manifest.num_passages == 1
