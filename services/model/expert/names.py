"""Names of entities compared: accents, articles, inverted and long forms aside."""

import re
from collections.abc import Iterable

from wideseek.words import fold

_ARTICLE = re.compile(r"^(?:the|a|an)\s+")
_NOT_WORD = re.compile(r"[^\w]+")
_INVERTED = re.compile(r"^([^,]+),\s*((?:[\w'-]+\s+){0,4}(?:the|of|of the|republic|kingdom|state|states|islands?))$")
_REMARK = re.compile(r"\s*[(\[][^()\[\]]*[)\]]")
_SHORTENED = {"st": "saint", "ste": "sainte", "mt": "mount", "ft": "fort", "rep": "republic", "dem": "democratic"}


def canonical(name: str) -> str:
    """A name reduced to what identifies it: `Bahamas, The`, `the Bahamas` and `Bahamas` become one."""
    text = fold(name).strip().strip("\"'*_`.")
    inverted = _INVERTED.match(text)
    if inverted:
        text = f"{inverted[2]} {inverted[1]}"
    words = _NOT_WORD.sub(" ", text.replace("&", " and ").replace("'", "")).split()
    text = " ".join(_SHORTENED.get(word, word) for word in words)
    return _ARTICLE.sub("", text)


def variants(name: str) -> set[str]:
    """Canonical forms a name may be found under: as given, without its remark in brackets, and the remark alone."""
    remark = re.search(r"[(\[]([^()\[\]]{2,60})[)\]]", name)
    found = {canonical(name), canonical(_REMARK.sub("", name))}
    if remark:
        found.add(canonical(remark[1]))
    return found - {""}


def same(left: str, right: str) -> bool:
    """Whether two names say the same."""
    return bool(variants(left) & variants(right))


_SMALL = frozenset({"of", "the", "and", "de", "du", "da", "la", "al", "el"})


def is_acronym(name: str) -> bool:
    """Whether a name is capitals only, as `US` or `U.A.E.`."""
    letters = name.replace(".", "").replace(" ", "")
    return letters.isalpha() and letters.isupper() and 2 <= len(letters) <= 6


def initials(name: str) -> str:
    """The initials of the words of a name that count: `United States of America` is `usa`."""
    return "".join(word[0] for word in canonical(name).split() if word not in _SMALL)


def abbreviates(short: str, name: str) -> bool:
    """Whether `short` is an acronym made of the initials of `name`."""
    return is_acronym(short) and initials(name) == canonical(short).replace(" ", "")


def among(name: str, forms: Iterable[str]) -> bool:
    """Whether `name` is one of `forms`."""
    wanted = variants(name)
    return any(wanted & variants(form) for form in forms)


def without_article(name: str) -> str:
    """`the Bahamas` as `Bahamas`."""
    return re.sub(r"^(?:the|The)\s+(?=\S)", "", name.strip())
