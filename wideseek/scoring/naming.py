"""Which of several names a name stands for, by rule alone: conservative, since a wrong merge pays a policy.

Each name is decided by itself, whatever the others are. Reduced to words (accents, case, punctuation, a leading
article, `&`, `St` and thousands separators do not count) it must be exactly one of the wanted names, or an alias of
exactly one; a wanted name wins over an alias. Tried as well, with the same demand: `Korea, South` as `South Korea`,
`World Health Organization (WHO)` without its initials, a full date in another spelling. There is no likeness:
`Guinea` is never `Guinea-Bissau`, `Niger` never `Nigeria`, `Group 1` never `Group 2`, `7` never `007`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from wideseek.scoring.dates import parse_date
from wideseek.scoring.folding import compact, folded, norm_str, words

_BRACKETED = re.compile(r"(.*\S)\s*\(([^()]+)\)$")
_FORMS: tuple[Callable[[str], str], ...] = (norm_str, folded)
_SMALL = frozenset({"of", "the", "for", "in", "on", "de", "la"})


class Names:
    """Wanted names, ready to be looked up."""

    def __init__(self, wanted: Sequence[str], aliases: Mapping[str, Sequence[str]]) -> None:
        own = [(name, name) for name in wanted]
        turned = [(variant, name) for name in wanted for variant in _variants(name)]
        others = [(alias, name) for name in wanted for alias in aliases.get(name, ())]
        turned_others = [(variant, name) for alias, name in others for variant in _variants(alias)]
        self._levels = [(form, pairs) for pairs in (own, turned, others, turned_others) if pairs for form in _FORMS]
        self._indexes: list[dict[str, set[str]]] = []
        """One a level, from the first; a level is indexed when a name gets that far."""
        self._dates = _index(own, _full_date)

    def meant(self, name: str) -> str | None:
        """The wanted name that `name` stands for; None when there is none, or more than one."""
        for form in (name, *_variants(name)):
            hits = self._hits(form)
            if hits:
                return next(iter(hits)) if len(hits) == 1 else None
        dated = self._dates.get(_full_date(name), set())
        return next(iter(dated)) if len(dated) == 1 else None

    def _hits(self, name: str) -> set[str]:
        for number, (form, pairs) in enumerate(self._levels):
            if number == len(self._indexes):
                self._indexes.append(_index(pairs, form))
            hits = self._indexes[number].get(form(name))
            if hits:
                return hits
        return set()


def named_headings(found: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Heading -> column id: the same letters and digits, or the same but for what stands in brackets on one side."""
    told = ((heading, _column(heading, wanted)) for heading in found)
    return {heading: column for heading, column in told if column is not None}


def _column(heading: str, wanted: Sequence[str]) -> str | None:
    whole, base = compact(heading), _without_brackets(heading)
    same = [column for column in wanted if compact(column) == whole]
    bare = [column for column in wanted if base and compact(column) == base and "(" not in column]
    longer = [column for column in wanted if not base and _without_brackets(column) == whole]
    hits = [column for column in same or bare or longer if whole]
    return hits[0] if len(hits) == 1 else None


def _without_brackets(heading: str) -> str:
    """The heading before a bracket at its end; empty when it has none."""
    bracketed = _BRACKETED.fullmatch(" ".join(heading.split()))
    return compact(bracketed.group(1)) if bracketed else ""


def _variants(name: str) -> Iterator[str]:
    """`B A` for `A, B`, and `A` for `A (initials of A)`."""
    parts = [part.strip() for part in name.split(",")]
    if len(parts) == 2 and all(parts) and not any(character.isdigit() for character in name):
        yield f"{parts[1]} {parts[0]}"
    bracketed = _BRACKETED.fullmatch(" ".join(name.split()))
    if bracketed and len(bracketed.group(2)) > 1 and folded(bracketed.group(2)) in _initials(bracketed.group(1)):
        yield bracketed.group(1)


def _initials(name: str) -> set[str]:
    every = words(name)
    return {"".join(word[0] for word in every), "".join(word[0] for word in every if word not in _SMALL)}


def _index(pairs: Iterable[tuple[str, str]], form: Callable[[str], str]) -> dict[str, set[str]]:
    index: dict[str, set[str]] = {}
    for name, wanted in pairs:
        index.setdefault(form(name), set()).add(wanted)
    index.pop("", None)
    return index


def _full_date(text: str) -> str:
    date = parse_date(text) if any(character.isdigit() for character in text) else None
    return date.text if date is not None and date.days == 1 else ""
