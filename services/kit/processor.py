"""Which number format the machine computes fastest in.

A processor without instructions for bfloat16 widens every product: on one with AVX2 alone SmolLM2's matrices are
multiplied seven times as fast in float32 (docs/policy).
"""

import re
from pathlib import Path
from typing import Literal

Format = Literal["float32", "bfloat16"]

_HARDWARE = frozenset({"amx_bf16", "avx512_bf16", "bf16", "svebf16"})
"""Flags of processors that multiply bfloat16: Intel and AMD by the first two, Arm by the others."""
_FLAGS = re.compile(r"^(?:flags|Features)\s*:\s*(.*)$", re.MULTILINE)


def fastest_dtype(cpuinfo: Path = Path("/proc/cpuinfo"), devices: Path = Path("/dev")) -> Format:
    """`bfloat16` with an accelerator or a processor that multiplies it, else `float32`.

    A machine that does not tell (no `/proc/cpuinfo`) is taken for one that does not.
    """
    if (devices / "nvidia0").exists() or (devices / "kfd").exists():
        return "bfloat16"
    try:
        found = _FLAGS.search(cpuinfo.read_text())
    except OSError:
        return "float32"
    return "bfloat16" if found and _HARDWARE & set(found[1].split()) else "float32"
