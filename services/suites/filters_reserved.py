"""Does an instance over the Factbook keep to its split: regions, families, columns, answer sets?

The rules are those the generators follow (`services.suites.splits`), read back from what an instance states:
the addresses of its gold documents, its fields, its required columns, and `meta`. Where it states nothing, its
text is searched for what training may not touch.
"""

import re
from collections.abc import Iterator
from typing import Any

from services.suites.catalogue import BY_ID, EVERY, KEY, shared_border
from services.suites.filters import Reason
from services.suites.filters_duplicates import text_of
from services.suites.filters_keys import listed
from services.suites.splits import SPLITS, Split, is_kept_back
from wideseek.instances import Task, WideTask
from wideseek.tables import fold

_ADDRESS = re.compile(r"[\w-]*factbook[\w-]*:(?P<region>[\w-]+)/(?P<code>[a-z]{2})")
_WORD_OF_RESERVED = re.compile(
    r"\b(?:airports?|aircraft|anthems?|national symbols?|heritage sites?|export(?:s| partners?)|internet|gdp|"
    r"unemployment|inflation|unicameral|bicameral|legislat\w+|government type|monarch\w+|citizenship|independence)\b",
    re.IGNORECASE,
)
"""Words of fields that training may not use, the anthem and the symbol among them, which no catalogue lists."""
_BORDER = shared_border("")


class ReservedFilter:
    """Rejects instances that use what their split may not, and, when a split is given, instances of another.

    Suites that are not made from the Factbook are only asked for their split.
    """

    stage = "reserved"

    def __init__(self, split: str | None = None) -> None:
        self._split = split

    def check(self, instance: Task) -> Reason | None:
        """The first rule that is broken, or None."""
        name = instance.split or self._split or "train"
        if self._split is not None and name != self._split:
            return Reason(code="other_split", why=f"split: of {name!r}, wanted are those of {self._split!r}")
        if not is_factbook(instance):
            return None
        if name not in SPLITS:
            known = ", ".join(SPLITS)
            return Reason(code="reserved_split", why=f"split: {name!r} is reserved for tests; others: {known}")
        return next(_breaches(instance, SPLITS[name]), None)

    def keep(self, instance: Task) -> None:
        """Nothing to remember."""


def is_factbook(instance: Task) -> bool:
    """Whether the instance is made from the Factbook, going by its suite and its documents."""
    return instance.suite.startswith("factbook") or bool(places(instance))


def places(instance: Task) -> tuple[tuple[str, str], ...]:
    """Region and code of every profile among the documents."""
    found = (_ADDRESS.fullmatch(address) for address in instance.documents)
    return tuple((match["region"], match["code"]) for match in found if match)


def _breaches(instance: Task, split: Split) -> Iterator[Reason]:
    regions = {region for region, _ in places(instance)} | set(_strings(instance.meta.get("regions")))
    if outside := sorted(regions - set(split.regions)):
        yield Reason(code="reserved_region", why=f"of {listed(outside)}, which {split.name} may not use")
    families = _strings(instance.meta.get("families"))
    if outside := [name for name in families if not _is_allowed(name, split)]:
        yield Reason(code="reserved_family", why=f"meta.families: {listed(outside)}, which {split.name} may not use")
    if outside := list(dict.fromkeys(_reserved_columns(instance, split))):
        yield Reason(code="reserved_column", why=f"asks for {listed(outside)}, which {split.name} may not use")
    word = _WORD_OF_RESERVED.search(text_of(instance)) if split.keeps_back else None
    if word:
        yield Reason(code="reserved_column", why=f"speaks of {word.group()!r}, which {split.name} may not use")
    if split.keeps_back:
        yield from _kept_back(instance)


def _is_allowed(family: str, split: Split) -> bool:
    """Families may be shortened (`geo`, `demo`, `econ`)."""
    return any(name.startswith(family) for name in ("base", *split.families)) and len(family) >= 3


def _reserved_columns(instance: Task, split: Split) -> Iterator[str]:
    """Fields and columns that are asked for and not the split's; what the catalogue does not know is reserved too."""
    if not isinstance(instance, WideTask):
        allowed = {column.field for column in (*split.columns, _BORDER)}
        chain = " ".join(_strings(instance.meta.get("chain")))
        stated = [column.field for column in EVERY if column.field in chain]
        yield from (field for field in (*_strings(instance.meta.get("fields")), *stated) if field not in allowed)
        return
    columns = (*split.columns, _BORDER) if _BORDER.use in split.uses else split.columns
    allowed, ids = {column.field for column in columns}, {column.id for column in (KEY, *columns)}
    yield from (field for field in instance.gold_fields.values() if field not in allowed)
    explained = {fold(name) for name in instance.gold_fields} | {fold(n) for n in instance.evaluation.unique_columns}
    for name in map(fold, instance.evaluation.required):
        if name not in ids and (name in BY_ID or name not in explained):
            yield name


def _kept_back(instance: Task) -> Iterator[Reason]:
    """Reserved sets of countries: the profiles it is answered from, and those `meta` states."""
    stated = [_strings(instance.meta.get(name)) for name in ("answer_codes", "codes")]
    for codes in ([code for _, code in places(instance)], *stated):
        if is_kept_back(codes):
            shown = ",".join(sorted(set(codes)))
            yield Reason(code="reserved_set", why=f"the countries {shown} are a set that is reserved for tests")


def _strings(value: Any) -> tuple[str, ...]:
    """The strings of a list in `meta`; anything else holds none."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()
