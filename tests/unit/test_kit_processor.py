"""The number format a machine computes fastest in, told from its processor's flags and its devices."""

from pathlib import Path

import pytest

from services.kit.processor import fastest_dtype


@pytest.mark.parametrize(
    ("line", "dtype"),
    [
        ("flags\t\t: fpu sse4_2 avx2 fma avx512f avx512_bf16 amx_tile", "bfloat16"),
        ("flags\t\t: fpu avx2 amx_bf16", "bfloat16"),
        ("flags\t\t: fpu sse4_2 avx2 fma", "float32"),
        ("flags\t\t: fpu avx2 avx512f", "float32"),
        ("Features\t: fp asimd bf16 i8mm", "bfloat16"),
        ("Features\t: fp asimd asimddp", "float32"),
        ("model name\t: a bf16 processor", "float32"),
    ],
)
def test_the_flags_decide(tmp_path: Path, line: str, dtype: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n{line}\n")

    assert fastest_dtype(cpuinfo, tmp_path) == dtype


def test_a_machine_that_does_not_tell_computes_in_float32(tmp_path: Path) -> None:
    assert fastest_dtype(tmp_path / "missing", tmp_path) == "float32"


@pytest.mark.parametrize("device", ["nvidia0", "kfd"])
def test_an_accelerator_multiplies_bfloat16(tmp_path: Path, device: str) -> None:
    (tmp_path / device).touch()
    (tmp_path / "cpuinfo").write_text("flags\t\t: avx2\n")

    assert fastest_dtype(tmp_path / "cpuinfo", tmp_path) == "bfloat16"
