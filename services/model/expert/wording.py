"""Queries stripped of what says neither rows nor columns: courtesy, sources, instructions on format."""

import re

_SOURCE_NOUN = (
    r"\w*(?:book|pedia|paedia|wiki|almanac|atlas|gazetteer|database|dataset|corpus|archives?"
    r"|register|registry|catalogue|catalog|directory)"
)
_PAGES = r"(?:profiles?|pages?|entries|articles?|records?|data|figures|files)"
SOURCE = (
    rf"(?:the\s+|their\s+|its\s+|your\s+|our\s+|this\s+"
    rf"|each\s+)?(?:[A-Z]\w*\s+)*(?:{_SOURCE_NOUN}\b(?:'s)?(?:\s+(?:\w+\s+)?{_PAGES}\b)?|(?:country|own"
    rf"|\w+)?\s*{_PAGES}\b)"
)
"""A noun phrase that names a work or pages of one."""

_FILES = r"(?:files?|lists?|puts?|groups?|counts?|classes|classifies|places?|assigns?)"
_FILED_BY = re.compile(rf"\b(?:that|which)\s+{SOURCE}\s+{_FILES}\s+(?:under|in|among|as)\b")
_IS_FILED = re.compile(
    r"\b(?:that|which)\s+(?:are|is)\s+(?:filed|listed|grouped|classed|placed)\s+(?:under|in|among)\b"
)
_ACCORDING = re.compile(
    rf",?\s*\b(?:[Gg]oing by|[Uu]sing|[Bb]ased on|[Aa]ccording to|[Ff]rom|[Ii]n|[Ww]ith the help of"
    rf"|[Oo]n the basis of|[Dd]rawing on|[Aa]s (?:given|stated|recorded|listed) in|[Pp]er|[Cc]onsulting|[Bb]y)\s+"
    rf"{SOURCE}(?:,\s*(?=[a-z])|\b)"
)
_SOURCE_GIVES = re.compile(
    rf"\b(?:does|do|did)\s+{SOURCE}\s+(?:give|state|record|report|list|show|name|put)\b(?:\s+(?:for|as|in|of))?"
)
_INSTRUCTION = re.compile(
    r"^(?:take the values|write (?:all |the )?(?:numbers|dates|values|amounts)|answer (?:with|in|as)"
    r"|use (?:plain|only|the values)|do not|don't|return|respond|"
    r"output|format|sort|order (?:the|by)|leave|no units|numbers? as|reply|present|list all of them"
    r"|look (?:them|it|these) up|thanks?|thank you|one (?:row|table|markdown))\b",
    re.IGNORECASE,
)
_ABBREVIATIONS = r"(?<!\bSt\.)(?<!\bMt\.)(?<!\bDr\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bsq\.)"
_SENTENCE = re.compile(rf"(?<=[.!?]){_ABBREVIATIONS}\s+(?=[\"'“(]?[^\W\d_a-z])|(?<=[。！？])|\n+")
_COURTESY = re.compile(
    r"^(?:please|hi|hello|hey|kindly|can you|could you|would you|i(?:'d| would) like you to|help me"
    r"|tell me(?=,)|let me know(?=,))\b[,!]?\s*|"
    r"^(?:make|build|create|prepare|put together|produce|draw up|compile|assemble|write)\s+(?:me\s+)?(?:a|an"
    r"|one|the)\s+"
    r"(?:\w+\s+){0,3}?table\s+(?:that|which)\s+(?:covers?|lists?|shows?|compares?)\s+",
    re.IGNORECASE,
)


def spoken_sentences(query: str) -> list[str]:
    """The sentences of a query that tell rows and columns, sources taken out."""
    found = []
    for part in _SENTENCE.split(query):
        sentence = (part or "").strip()
        while (shorter := _COURTESY.sub("", sentence)) != sentence:
            sentence = shorter
        if sentence and not _INSTRUCTION.match(sentence):
            found.append(sentence)
    return found


def without_sources(text: str) -> str:
    """The text without mention of where to look; `that <work> files under` becomes `filed under`."""
    text = _FILED_BY.sub("filed under", text)
    text = _IS_FILED.sub("filed under", text)
    text = _SOURCE_GIVES.sub(" of ", text)
    return " ".join(_ACCORDING.sub(" ", text).split())
