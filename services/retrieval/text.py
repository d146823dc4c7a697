"""Words out of text: accents folded, stems, sentences. Indexes and queries must read text alike."""

import re
import unicodedata
from collections.abc import Iterator

import Stemmer

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:\d+[^\W\d_]*)*")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_NOT_DECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
_SENTENCE_END = re.compile(r"(?<=[.!?;。！？；])\s+|(?<=[。！？；])")

_COMMON = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they"
    " this to was will with"
)
STOPWORDS = frozenset(_WORD.findall(_COMMON))
"""Words too common in English to rank by (Lucene's classic list)."""


def fold(text: str) -> str:
    """Lower case without accents: `Côte d'Ivoire` and `COTE D'IVOIRE` fold alike."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_NOT_DECOMPOSED))
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare)


def words(text: str) -> list[str]:
    """Folded words in order; numbers lose their commas, and scripts without spaces give pairs of characters."""
    folded = fold(text)
    found = [word.replace(",", "") for word in _WORD.findall(folded)]
    if folded.isascii() or not _UNSPACED.search(folded):
        return found
    return [part for word in found for part in (_pairs(word) if _UNSPACED.search(word) else (word,))]


def _pairs(word: str) -> list[str]:
    return [word[i : i + 2] for i in range(len(word) - 1)] or [word]


class Tokens:
    """Words to stems by Porter2's English rules, stopwords dropped. One a thread: the stemmer keeps state."""

    def __init__(self) -> None:
        self._stemmer = Stemmer.Stemmer("english")

    def __call__(self, text: str) -> list[str]:
        """Stems of the words of `text`, in order."""
        stems: list[str] = self._stemmer.stemWords([word for word in words(text) if word not in STOPWORDS])
        return stems


def title_key(title: str) -> str:
    """What two spellings of one name share: folded words without the article (`Bahamas, The` = `the Bahamas`)."""
    return " ".join(word for word in words(title) if word != "the")


def pieces(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """Cut `text[start:end]` into spans of at most `limit` characters: at sentence ends, else at spaces, else anywhere.

    Spans do not overlap and begin and end with a visible character.
    """
    start, end = trimmed(text, start, end)
    while end - start > limit:
        cut = _cut(text[start : start + limit + 1], limit)
        yield trimmed(text, start, start + cut)
        start, end = trimmed(text, start + cut, end)
    if start < end:
        yield start, end


def _cut(window: str, limit: int) -> int:
    sentences = [match.start() for match in _SENTENCE_END.finditer(window) if 0 < match.start() <= limit]
    return sentences[-1] if sentences else max(window.rfind(" "), 0) or limit


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
