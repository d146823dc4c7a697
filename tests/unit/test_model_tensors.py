"""Safetensors files without torch, held against safetensors' own reader and torch's own rounding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from services.model.tensors import Bfloat16, TensorFile, UnreadableTensors, write_tensors


def numbers(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(3).normal(0, 1, shape).astype(np.float32)


def test_what_is_written_is_what_torch_rounds_to(tmp_path: Path) -> None:
    values = numbers(7, 5)

    write_tensors({"b": Bfloat16.of(values), "a": Bfloat16.of(values[0])}, tmp_path / "file")

    read = load_file(tmp_path / "file")
    assert list(read) == ["a", "b"]
    assert torch.equal(read["b"], torch.from_numpy(values).to(torch.bfloat16))
    assert torch.equal(read["a"], read["b"][0])


def test_ties_go_to_the_even_neighbour() -> None:
    low, tie, high = 1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8

    rounded = Bfloat16.of(np.array([low, tie, high, -tie, tie + 2**-20], dtype=np.float32)).values

    assert rounded.tolist() == [1.0, 1.0, 1.0 + 2**-6, -1.0, 1.0 + 2**-7]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_floats_of_every_format_are_read_as_they_are(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.from_numpy(numbers(4, 6)).to(dtype)
    save_file({"w": values}, tmp_path / "file")

    file = TensorFile.open(tmp_path / "file")

    assert file.shapes == {"w": (4, 6)}
    assert np.array_equal(file.floats("w"), values.float().numpy())
    assert np.array_equal(file.bfloat16("w").values, values.to(torch.bfloat16).float().numpy())


def test_integers_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"step": torch.tensor([3])}, tmp_path / "file")

    with pytest.raises(UnreadableTensors, match="step is I64"):
        TensorFile.open(tmp_path / "file").floats("step")


@pytest.mark.parametrize("data", [b"", b"version https://example.org/spec/v1\n", b"\x02\0\0\0\0\0\0\0[]"])
def test_what_is_no_safetensors_file_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)

    with pytest.raises(UnreadableTensors, match="is no safetensors file"):
        TensorFile.open(tmp_path / "file")


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    write_tensors({"w": Bfloat16.of(numbers(64))}, tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(whole[:-2])

    with pytest.raises(UnreadableTensors, match="is cut off"):
        TensorFile.open(tmp_path / "file")
