"""Names of states as queries and gold use them, told from the profiles."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from services.kit.factbook import Entry, value

_NO_WORD = re.compile(r"[^\w]+")
_COMMON = re.compile(r"\b(?:Republic|States|Kingdom|Emirates|Federation|Islands|See)\b")


def folded(name: str) -> str:
    """A name without accents, case, punctuation and a leading article."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return _NO_WORD.sub(" ", plain.casefold()).strip().removeprefix("the ")


def article(entry: Entry) -> str:
    """The name inside a sentence: `the Bahamas`, `the Dominican Republic`, `Chad`.

    A name takes the article when it is built on a common noun, or is a plural that the long form gives it to
    (`Kingdom of the Netherlands`).
    """
    name = entry.title.removeprefix("The ")
    plural = name.endswith("s") and any(form.endswith(f" of the {name}") for form in entry.aliases)
    return f"the {name}" if plural or _COMMON.search(name) or name != entry.title else name


def spellings(entries: Sequence[Entry]) -> Mapping[str, tuple[str, ...]]:
    """Code -> other names of the state, none of which another state is called by too."""
    claimed = {entry.code: _claimed(entry) for entry in entries}
    counted = Counter(name for names in claimed.values() for name in {_key(name) for name in names})
    titles = {_key(entry.title) for entry in entries}
    return {
        code: tuple(name for name in names if counted[_key(name)] == 1 and _key(name) not in titles)
        for code, names in claimed.items()
    }


def _claimed(entry: Entry) -> tuple[str, ...]:
    """Names of one state besides its title, each spelling once; the package's own last, as they lack capitals."""
    short = value(entry.profile, "Government", "Country name", "abbreviation")
    bare = entry.title.removeprefix("The ")
    turned = (bare, f"{bare}, The") if bare != entry.title else ()
    definite = article(entry)
    plain = folded(entry.title).title() if not entry.title.isascii() else ""
    names = [*turned, definite[0].upper() + definite[1:], *re.split(r" or |[()]", short), *entry.aliases, plain]
    seen = {_key(entry.title): entry.title}
    for name in names:
        seen.setdefault(_key(name.strip()), name.strip())
    return tuple(name for key, name in seen.items() if key and name != entry.title)


def _key(name: str) -> str:
    return "".join(name.casefold().split())
