"""Where a job's base lies, whether it is whole, and the hash it goes by."""

import hashlib
from pathlib import Path

import pytest

from services.trainer.learn.base import base_sha256, resolve_base
from wideseek.errors import InvalidRequest

PARTS = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"weights"}


def folder_of(path: Path, *missing: str, **more: bytes) -> Path:
    path.mkdir()
    for name, data in {**PARTS, **more}.items():
        if name not in missing:
            (path / name).write_bytes(data)
    return path


def test_a_whole_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model")

    assert resolve_base(str(folder), tmp_path) == folder


@pytest.mark.parametrize("missing", PARTS)
def test_a_folder_without_a_part_is_refused_with_what_to_do(tmp_path: Path, missing: str) -> None:
    folder = folder_of(tmp_path / "model", missing)

    with pytest.raises(InvalidRequest, match=r"model.base: .*save the") as raised:
        resolve_base(str(folder), tmp_path)

    assert raised.value.field == "/model/base"


def test_a_name_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="name a model folder, or smollm2"):
        resolve_base("Qwen/Qwen3-4B", tmp_path)


def test_the_bundled_model_is_found_below_the_home_where_it_was_made(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "smollm2"
    folder.parent.mkdir()
    folder_of(folder, **{"MODEL.json": b"{}"})

    assert resolve_base("smollm2", tmp_path) == folder


def test_the_hash_of_one_file_is_the_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model")

    assert base_sha256(folder) == hashlib.sha256(b"weights").hexdigest()


def test_the_hash_of_several_files_depends_on_each_and_on_its_name(tmp_path: Path) -> None:
    one, two = "model-1.safetensors", "model-2.safetensors"
    both = [
        folder_of(tmp_path / "a", "model.safetensors", **{one: b"x", two: b"y"}),
        folder_of(tmp_path / "b", "model.safetensors", **{one: b"y", two: b"x"}),
    ]

    lines = f"{hashlib.sha256(b'x').hexdigest()}  {one}\n{hashlib.sha256(b'y').hexdigest()}  {two}\n"

    assert base_sha256(both[0]) == hashlib.sha256(lines.encode()).hexdigest()
    assert base_sha256(both[0]) != base_sha256(both[1])
