"""What a page of the Factbook states, for tests that look for gold in it."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from wideseek.tables import fold, parse_markdown_table

_SCALES = {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_NUMBER = re.compile(r"(-?\d[\d,]*(?:\.\d+)?)(?:\s(thousand|million|billion|trillion))?")


@cache
def numbers_stated(text: str) -> frozenset[Decimal]:
    """Every number of a page, in plain units, millions and billions: separators and scaling words removed."""
    plain = {Decimal(digits.replace(",", "")) * _SCALES[scale] for digits, scale in _NUMBER.findall(text)}
    return frozenset(number / unit for number in plain for unit in (1, 10**6, 10**9))


def cells_missing(task: Mapping[str, Any], texts: Mapping[str, str]) -> tuple[int, list[tuple[str, str, str]]]:
    """Gold cells looked for in the page of their row, and those that are not there: address, heading, cell."""
    table = parse_markdown_table(task["answer"])
    assert table is not None
    looked, missing = 0, []
    for row in table.rows:
        url = task["gold_docs"][row[0]]
        for heading, cell in zip(table.columns, row, strict=True):
            numeric = task["evaluation"]["eval_pipeline"][fold(heading)]["metric"] == ["number_near"]
            looked += 1
            if not (Decimal(cell) in numbers_stated(texts[url]) if numeric else cell in texts[url]):
                missing.append((url, heading, cell))
    return looked, missing
