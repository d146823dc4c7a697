"""Lists in running text: `A, B (a remark, with commas) and C`."""

import re
from itertools import pairwise

_COMMA = re.compile(r"\s*[,;；、，]\s*")
_JOINT = re.compile(r"(\s+(?:and|or|as well as|plus|versus|vs\.?|&)\s+|\s*(?:以及|[和与及])\s*)", re.IGNORECASE)
_LEADING_JOINT = re.compile(r"^(?:(?:and|or|as well as|plus)\s+|以及|和|与)", re.IGNORECASE)
_BRACKETS = re.compile(r"[(（][^()（）]*[)）]")
_HIDDEN = re.compile(r"\x00(\d+)\x00")
_MAX_READINGS = 12


def split_list(text: str) -> list[str]:
    """The items of a list, cut at every comma and, in its last part, at every conjunction."""
    return readings(text, greedy=True)[0]


def readings(text: str, *, greedy: bool = False) -> list[list[str]]:
    """The ways to read a list of names, the likeliest first.

    A conjunction in the last part may be the list's or a name's own (`Cuba, Haiti and Antigua and Barbuda`,
    `Trinidad and Tobago and Cuba`): the words do not tell, so every cut is returned. `greedy` cuts everywhere.
    """
    hidden: list[str] = []

    def hide(match: "re.Match[str]") -> str:
        hidden.append(match[0])
        return f"\x00{len(hidden) - 1}\x00"

    parts = [part for part in _COMMA.split(_BRACKETS.sub(hide, text)) if part.strip()]
    if not parts:
        return [[]]
    head, last = parts[:-1], parts[-1]
    # After `, and` the conjunction was the list's: what follows is one name.
    closed = bool(_LEADING_JOINT.match(last)) and bool(head) and not greedy
    ends = [[_LEADING_JOINT.sub("", last)]] if closed else _cuts(last, greedy=greedy, many=bool(head))

    def shown(item: str) -> str:
        return _HIDDEN.sub(lambda match: hidden[int(match[1])], _LEADING_JOINT.sub("", item.strip())).strip()

    return [[name for item in [*head, *end] if (name := shown(item))] for end in ends]


def _cuts(text: str, *, greedy: bool, many: bool) -> list[list[str]]:
    pieces = _JOINT.split(text)
    names, joints = pieces[::2], pieces[1::2]
    if greedy or not joints:
        return [names]
    if len(joints) == 1:
        return [names] if many else [names, [text]]
    if many:
        # One joint is the list's, the others belong to names.
        found = [
            [_joined(names, joints, 0, place), _joined(names, joints, place, len(names))]
            for place in range(1, len(names))
        ]
    else:
        found = _partitions(names, joints)
    return sorted(found, key=_evenness)[:_MAX_READINGS] if not many else found[:_MAX_READINGS]


def _joined(names: list[str], joints: list[str], start: int, end: int) -> str:
    return "".join(
        name + (joints[place] if place < end - 1 else "") for place, name in enumerate(names[start:end], start)
    )


def _partitions(names: list[str], joints: list[str]) -> list[list[str]]:
    found = []
    for mask in range(2 ** len(joints)):
        cuts = [0, *(place + 1 for place in range(len(joints)) if mask >> place & 1), len(names)]
        found.append([_joined(names, joints, start, end) for start, end in pairwise(cuts)])
    return found


def _evenness(items: list[str]) -> tuple[int, int]:
    """Plain names first: readings with more items."""
    return (-len(items), max(len(item) for item in items))
