"""Item F1 of a table against a task's gold, for tests: exact keys, exact text, numbers within the task's tolerance.

    P = right cells / cells answered, R = right cells / gold cells, F1 = 2PR / (P + R)

Rows are aligned on the key column; its cells count. Texts are compared as the task's `norm_str` says: lower
case, no white space, no asterisks. (The full scorer, with judges and row scores, is another matter.)
"""

import re
from collections.abc import Mapping
from typing import Any

from wideseek.tables import Table, fold, parse_markdown_table

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")


def norm(text: str) -> str:
    """`norm_str`."""
    return "".join(text.lower().split()).replace("*", "")


def number(text: str) -> float | None:
    """The first number of a text, thousands separators aside."""
    found = _NUMBER.search(text)
    return float(found.group().replace(",", "")) if found else None


def item_f1(predicted: Table | None, task: Mapping[str, Any]) -> float:
    """Item F1 in [0, 1]; no table scores 0."""
    gold = parse_markdown_table(task["answer"])
    assert gold is not None
    if predicted is None or not predicted.rows:
        return 0.0
    (key,) = task["evaluation"]["unique_columns"]
    wanted, given = _by_key(gold, key), _by_key(predicted, key)
    pipeline = task["evaluation"]["eval_pipeline"]
    right = sum(
        _same(given[name].get(column, ""), cell, pipeline[column])
        for name, row in wanted.items()
        if name in given
        for column, cell in row.items()
    )
    if not right:
        return 0.0
    columns = len(gold.columns)
    precision, recall = right / (len(predicted.rows) * columns), right / (len(gold.rows) * columns)
    return 2 * precision * recall / (precision + recall)


def _by_key(table: Table, key: str) -> dict[str, dict[str, str]]:
    names = [fold(name) for name in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    return {norm(row.get(key, "")): row for row in rows}


def _same(given: str, gold: str, rule: Mapping[str, Any]) -> bool:
    if rule["metric"] == ["number_near"]:
        mine, theirs = number(given), number(gold)
        return mine is not None and theirs is not None and abs(mine - theirs) <= abs(theirs) * rule["criterion"] + 1e-12
    return norm(given) == norm(gold)
