"""A column that is asked for, and what its wording says of the value."""

import re
from dataclasses import dataclass
from functools import cached_property

from wideseek.quantities import units_named
from wideseek.words import fold, tokens, weight

YEAR = re.compile(r"\b(1\d{3}|20\d{2}|21\d{2})\b")
_FORMAT = re.compile(
    r"\b(?:written out(?: in full)?|in plain digits|as (?:a |the )?(?:plain )?number|usual short english name"
    r"|named as in this (?:request|query|question)|as stated(?: in the \w+)?|without units|as YYYY-MM-DD"
    r"|with the leading \w+|such as \S+|yes or no|the name of|name of|in full)\b",
    re.IGNORECASE,
)
_NAMING = re.compile(
    r"\bnamed as\b|usual (?:short )?(?:english )?name|name of the (?:row|entity)"
    r"|\bas (?:it is )?(?:printed|written|spelt|spelled|listed|given) (?:in|on) (?:the|that|this) "
    r"(?:list|page|section)\b",
    re.IGNORECASE,
)
_PARTNER = re.compile(
    r"\b(?:with|to|from)\s+(?:the\s+)?([^\W\d_a-z][\w'’.-]*(?:\s+(?:(?:of|the|and)\s+)*[^\W\d_a-z][\w'’.-]*)*)"
)


@dataclass(frozen=True)
class Heading:
    """A column that is asked for."""

    name: str
    description: str = ""
    loose: bool = False
    """Whether the name is a phrase of running text, of which labels carry only some words."""

    @property
    def names_row(self) -> bool:
        """Whether the description says that the column names the row."""
        return bool(_NAMING.search(self.description))

    @property
    def text(self) -> str:
        """Name and description."""
        return f"{self.name} {self.description}".strip()

    @cached_property
    def name_tokens(self) -> frozenset[str]:
        """Stems of the name, years aside."""
        return frozenset(token for token in tokens(self.name) if not YEAR.fullmatch(token))

    @cached_property
    def wanted(self) -> dict[str, float]:
        """Stems asked for with their weights; those that only the description has count less."""
        found = {token: 0.45 * weight(token) for token in tokens(_FORMAT.sub(" ", self.description))}
        found.update({token: weight(token) for token in self.name_tokens})
        return {token: value for token, value in found.items() if not YEAR.fullmatch(token)}

    @cached_property
    def years(self) -> frozenset[str]:
        """Years asked for."""
        return frozenset(YEAR.findall(self.text))

    @cached_property
    def units(self) -> frozenset[str]:
        """Units asked for."""
        shares = {"%"} if re.search(r"\b(?:share|proportion)\b", fold(self.name)) else set()
        return frozenset({*units_named(_FORMAT.sub(" ", self.text)), *shares})

    @cached_property
    def partner(self) -> str:
        """A name that the fact is about beside the row: the one after `with`, `to` or `from`."""
        match = _PARTNER.search(self.description) or _PARTNER.search(self.name)
        return match[1] if match else ""

    @cached_property
    def kind(self) -> str:
        """`date`, `boolean`, `first`, `name`, `number` or `text` (nothing said)."""
        text = fold(self.text)
        rules = [
            ("date", r"\byyyy|\bdate\b|\bwhen\b|日期"),
            ("boolean", r"yes or no|yes/no|\bwhether\b|是否"),
            (
                "first",
                r"(?:listed|named|mentioned|ranked|comes?|placed|stands?) (?:first|second|third)"
                r"|first[- ](?:listed|named|mentioned)|\b(?:top|main|largest|biggest|leading"
                r"|first)\b.*\b(?:partner|among|of the)\b",
            ),
            ("name", r"\bnames? of\b|\bname\b"),
            (
                "number",
                r"\bnumber of\b|\bas an? (?:plain |whole )?number\b"
                r"|\bhow (?:many|much|long|high|big|large|old)\b|\bcount\b|\btotal\b|\bper\b"
                r"|\bin (?:millions|billions|thousands)\b|\b(?:length|rate|share|elevation|height|altitude"
                r"|depth|area|population|age|density|distance|weight|mass|volume|income|price|speed)\b|\bpercent|数量|人口",
            ),
        ]
        kind = next((kind for kind, pattern in rules if re.search(pattern, text)), "")
        if kind in {"date", "boolean", "first"}:
            return kind
        return "number" if self.units and kind != "name" else (kind or ("number" if self.units else "text"))
