"""Words compared as people compare them: accents, case, plural and spelling variants aside."""

import re
import unicodedata
from functools import lru_cache
from itertools import takewhile

_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*")
_POSSESSIVE = re.compile(r"(?<=\w)['’]s?\b")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP = _words(
    "a an the of in on at by for from to with and or as is are was were be been being has have had do does did it its "
    "they them their this that these those which who whose what each every all any some one per such than then there "
    "i me my we our you your please give show list tell find get make want need"
)
"""Function words of English; they carry no meaning of their own."""

FAINT = _words(
    "total name number value amount figure length size level percent percentage share rate current overall whole usual "
    "main written out full country state entity date top first largest biggest leading list listed among "
    "elevation height altitude depth"
)
"""Words that name the kind of a fact rather than the fact; they count a little, and default readings carry them."""

_SUFFIXES = tuple(re.findall(r"\w+", "izations isations ization isation ations ation ments ment ings ing ed al"))
_MIN_STEM = 4


def fold(text: str) -> str:
    """Lower case, without accents and typographic apostrophes."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return plain.replace("’", "'").replace("‘", "'").casefold()


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A folded word without its common English endings; numbers stay as they are."""
    if word[:1].isdigit() or len(word) < _MIN_STEM:
        return word
    if word.endswith("ies") and len(word) > _MIN_STEM:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM:
            word = word[: -len(suffix)]
            break
    if word.endswith(("ise", "ize")) and len(word) > _MIN_STEM + 1:
        word = word[:-3]
    if word.endswith("our") and len(word) > _MIN_STEM:
        word = word[:-3] + "or"
    if word.endswith("tre"):
        word = word[:-2] + "er"
    if word.endswith(("ence", "ency", "ent", "ance", "ancy", "ant")) and len(word) > _MIN_STEM + 3:
        word = re.sub(r"[ea]n(?:ce|cy|t)$", "", word)
    if word.endswith("e") and len(word) > _MIN_STEM:
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > _MIN_STEM else word


def raw_tokens(text: str) -> list[str]:
    """Folded words and numbers in order; possessive endings dropped."""
    return _TOKEN.findall(_POSSESSIVE.sub("", fold(text)).replace("%", " percent "))


_SENSES = {
    "inhabitants": "population",
    "residents": "population",
    "people": "population",
    "populous": "population",
    "surface": "area",
    "size": "area",
    "altitude": "elevation",
    "height": "elevation",
    "frontier": "border",
    "boundary": "border",
    "neighbour": "border",
    "earnings": "income",
    "jobless": "unemployed",
    "yearly": "annual",
    "kids": "children",
    "lifespan": "life",
}
"""Everyday words of English for the same measure, so that a reader's word meets a page's."""


def everyday(text: str) -> str:
    """A text with everyday words for a measure put as a page would put them (`inhabitants` as `population`)."""
    return " ".join(_SENSES.get(fold(word), word) for word in text.split())


def tokens(text: str) -> list[str]:
    """Stems of the words that mean something, in order, with repeats; words of one sense become one."""
    found = (stem(word) for word in raw_tokens(text) if word not in STOP)
    return [_SAME.get(token, token) for token in found]


_SAME = {stem(word): stem(sense) for word, sense in _SENSES.items()}
FAINT_STEMS = frozenset(stem(word) for word in FAINT)


def weight(token: str) -> float:
    """How much a stem says: numbers and words of kind say little."""
    if token in FAINT_STEMS:
        return 0.25
    return 0.5 if token[:1].isdigit() else 1.0


@lru_cache(maxsize=262_144)
def alike(left: str, right: str) -> float:
    """How alike two stems are: 1 when equal, a half when one begins with the other (`urban`, `urbaniz`), else 0."""
    if left == right:
        return 1.0
    short, long = sorted((left, right), key=len)
    if short[:1].isdigit() or not long.startswith(short):
        return 0.0
    return 0.5 if len(short) >= 5 or (len(short) == 4 and len(long) == 5) else 0.0


def covered(wanted: "set[str] | frozenset[str]", stated: "set[str] | frozenset[str]") -> bool:
    """Whether every stem of `wanted` has a like one in `stated` (`African` in `Countries of Africa`)."""
    return all(any(alike(token, other) for other in stated) for token in wanted)


def kin(left: str, right: str) -> bool:
    """Whether two stems are forms of one word: equal, or alike but for a short ending (`legislatur`, `legislativ`)."""
    if left == right:
        return True
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
    return shared >= 7 and shared >= 0.75 * max(len(left), len(right))
