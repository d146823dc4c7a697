"""Texts reduced to what they say: what robust scoring and the deterministic judge compare.

    plain     NFC, one kind of white space, no case: the least two equal texts must share
    norm_str  plain, without white space and asterisks: WideSearch's preprocessing step of this name
    words     the judge's view: no accents, punctuation, leading article; numbers, signs and units kept

Composed and decomposed accents agree everywhere. What is missing says nothing: it equals what is missing too,
and nothing else.
"""

import re
import unicodedata
from functools import lru_cache

MISSING = frozenset({"", "nan", "-nan", "n/a", "#n/a", "<na>", "na", "none", "null", "not available"})
"""Spellings of "no value", as `plain` leaves them; runs of dashes mean it as well."""

_DASHES = re.compile(r"[-‐‑‒–—―−]+")
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.*\S)\1")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_FOOTNOTE = re.compile(r"\[\s*(?:\d{1,3}|[a-z]|note \d+|citation needed)\s*\](?!\()", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()]{0,2000}(?:\([^()]{0,300}\)[^()]{0,300})?\)")
_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŋ": "n", "ə": "a"}
)
_APOSTROPHES = re.compile("['’‘ʻʼ`´]")
_THOUSANDS = re.compile(r"(?<=\d)[,\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_DOTTED = re.compile(r"(?<![^\W_])(?:(?:[^\W\d_]\.)+[^\W\d_](?![^\W_])|(?:[^\W\d_]\.){2,})")
_WORD = re.compile(r"(?<![^\W_])[-+−](?=\d)|\d+(?:\.\d+)?|[^\W\d_]+|[+#%‰°$€£¥]|(?<=[^\W_])[-−](?!\S)")
_ARTICLES = frozenset({"the", "a", "an"})
_LEADING = {"st": "saint", "mt": "mount"}


def shown(cell: str) -> str:
    """A cell as it is displayed: line breaks are spaces, bold that wraps all of it is not part of the text."""
    text = " ".join((_BREAK.sub(" ", cell) if "<" in cell else cell).split())
    if text[:1] not in "*_":
        return text
    wrapped = _EMPHASIS.fullmatch(text)
    return wrapped.group(2).strip() if wrapped and wrapped.group(1) not in wrapped.group(2) else text


@lru_cache(maxsize=16_384)
def plain(text: str) -> str:
    """NFC, case folded, runs of white space (of any kind) one space, none at the ends."""
    if text.isascii():
        return " ".join(text.split()).lower()
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def norm_str(text: str) -> str:
    """`plain` without any white space and asterisks."""
    return plain(text).replace("*", "").replace(" ", "")


@lru_cache(maxsize=16_384)
def is_missing(text: str) -> bool:
    """Whether the text says that there is no value."""
    said = plain(text).strip("*_ ")
    return said in MISSING or bool(_DASHES.fullmatch(said))


def label(text: str) -> str:
    """The text without footnote marks; of markdown links, what is shown."""
    return _LINK.sub(r"\1", _FOOTNOTE.sub("", text)).strip() if "[" in text else text


def _bare(text: str) -> str:
    """Folded letters without accents and apostrophes."""
    if text.isascii():
        return text.lower().replace("'", "").replace("`", "")
    said = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", text).replace("−", "-"))
    said = unicodedata.normalize("NFKD", said.casefold().translate(_LETTERS))
    return "".join(character for character in said if not unicodedata.combining(character))


@lru_cache(maxsize=16_384)
def words(text: str) -> tuple[str, ...]:
    """The words of a text: folded, without punctuation, a leading article and `and`; digits keep sign and point."""
    said = _DOTTED.sub(lambda found: found.group().replace(".", ""), _THOUSANDS.sub("", _bare(label(text))))
    found = _WORD.findall(said.replace("&", " and "))
    if len(found) > 1 and found[0] in _ARTICLES and found[1].isalpha() and len(found[1]) > 1:
        found = found[1:]
    if len(found) > 1:
        found[0] = _LEADING.get(found[0], found[0])
    return tuple(word for word in found if word != "and" or len(found) == 1)


def folded(text: str) -> str:
    """The words as one text; equal for two spellings of one name."""
    return " ".join(words(text))


def compact(text: str) -> str:
    """Letters, digits and signs of a heading and nothing between them, as ids of columns are written."""
    said = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS))
    return "".join(character for character in said.replace("&", "and") if character.isalnum() or character in "%$€£¥#+")
