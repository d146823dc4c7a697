"""What makes two instances the same: folded keys, folded words, sets of either, and an index over such sets."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wideseek.instances import ColumnRule, WideTask
from wideseek.tables import Table, aligned, fold, parse_markdown_table

_WORD = re.compile(r"[^\W_]+(?:\.\d+)*")
_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3})")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")

MISSING = frozenset({"", "nan", "n/a", "na", "none", "null", "-", "–", "—", "notavailable"})
"""What a cell without a value looks like once `norm_str` has been applied."""


def words(text: str) -> list[str]:
    """Words in lower case without accents, punctuation and thousands separators, in order."""
    decomposed = unicodedata.normalize("NFKD", _SEPARATOR.sub("", text))
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _WORD.findall(bare.casefold())


def folded(text: str) -> str:
    """A name or sentence reduced to its words, the article aside (`The Bahamas` = `Bahamas`)."""
    found = words(text)
    return " ".join([word for word in found if word != "the"] or found)


def norm_str(text: str) -> str:
    """WideSearch's `norm_str`: lower case, no spaces, no asterisks."""
    return "".join(text.lower().split()).replace("*", "")


def number(text: str) -> float | None:
    """The first number of a cell as `extract_number` reads it, thousands separators aside."""
    found = _NUMBER.search(text.replace(",", ""))
    return float(found.group()) if found else None


def preprocessed(cell: str, rule: ColumnRule) -> str:
    """A key cell as the scorer compares it."""
    read = number(cell) if "extract_number" in rule.preprocess else None
    return norm_str(cell) if read is None else repr(read)


def gold_table(task: WideTask) -> Table | None:
    """The gold table with the required columns under their ids; None when one is missing or there is no table."""
    table = parse_markdown_table(task.answer)
    if table is None or {fold(name) for name in task.evaluation.required} - {fold(name) for name in table.columns}:
        return None
    return aligned(table, task.evaluation.required)


def row_keys(task: WideTask) -> frozenset[str]:
    """The folded keys of the gold rows; of a composite key, the parts together."""
    table = gold_table(task)
    if table is None:
        return frozenset()
    places = [place for place, name in enumerate(table.columns) if name in task.evaluation.unique_columns]
    return frozenset(" | ".join(folded(row[place]) for place in places) for row in table.rows)


def row_documents(task: WideTask) -> frozenset[str]:
    """Addresses of the rows' documents where every row has one of its own, else nothing."""
    documents = frozenset(task.gold_docs.values())
    return documents if len(documents) == len(row_keys(task)) else frozenset()


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared members over all members: |A ∩ B| / |A ∪ B|; 0 of two empty sets."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


@dataclass(frozen=True)
class Near:
    """The set of an index that is nearest to another one."""

    instance_id: str
    similarity: float


class SetIndex:
    """Sets by name, found by what they share: only sets with a common member are compared."""

    def __init__(self) -> None:
        self._sets: list[tuple[str, frozenset[str]]] = []
        self._places: dict[str, list[int]] = {}
        self._same: dict[frozenset[str], str] = {}

    def add(self, instance_id: str, members: frozenset[str]) -> None:
        """Take a set in; the first of two equal ones is the one found later."""
        if not members:
            return
        for member in members:
            self._places.setdefault(member, []).append(len(self._sets))
        self._sets.append((instance_id, members))
        self._same.setdefault(members, instance_id)

    def same(self, members: frozenset[str]) -> str | None:
        """Name of the set with exactly these members."""
        return self._same.get(members)

    def nearest(self, members: frozenset[str]) -> Near | None:
        """The set with the highest Jaccard index, the earliest of equals; None when nothing is shared."""
        shared = Counter(place for member in members for place in self._places.get(member, ()))
        best: tuple[float, int] | None = None
        for place, common in sorted(shared.items()):
            similarity = common / (len(members) + len(self._sets[place][1]) - common)
            if best is None or similarity > best[0]:
                best = (similarity, place)
        return Near(self._sets[best[1]][0], best[0]) if best else None


def columns_of(task: WideTask) -> tuple[str, ...]:
    """The required columns, in an order that does not depend on the task's."""
    return tuple(sorted(fold(name) for name in task.evaluation.required))


def listed(values: Iterable[str], *, most: int = 3) -> str:
    """Some values in words: `a, b, c and 4 more`."""
    every: Sequence[str] = list(values)
    more = len(every) - most
    return ", ".join(every[:most]) + (f" and {more} more" if more > 0 else "")
