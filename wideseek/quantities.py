"""Numbers with their scale and unit, as text writes them."""

import re
from dataclasses import dataclass, replace

SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "mn": 1e6,
    "bn": 1e9,
    "tn": 1e12,
}
"""Scale words; `万` and `亿` are the Chinese ones."""
CHINESE_SCALES = {"万": 1e4, "亿": 1e8}

_UNITS = [
    ("km2", r"sq\.?\s*km|square\s+kilomet(?:re|er)s?|km2|km²|平方公里"),
    ("m2", r"square\s+met(?:re|er)s?|sq\.?\s*m\b|m²"),
    ("mi2", r"sq\.?\s*mi\b|square\s+miles?"),
    ("km3", r"cubic\s+kilomet(?:re|er)s?|cu\.?\s*km|km³"),
    ("m3", r"cubic\s+met(?:re|er)s?|cu\.?\s*m\b|m³"),
    ("ha", r"hectares?|\bha\b"),
    ("km", r"\bkm\b|kilomet(?:re|er)s?|公里"),
    ("nm", r"\bnm\b|nautical\s+miles?"),
    ("mi", r"\bmiles?\b|\bmi\b"),
    ("cm", r"\bcm\b|centimet(?:re|er)s?"),
    ("mm", r"\bmm\b|millimet(?:re|er)s?"),
    ("m", r"\bm\b|\bmet(?:re|er)s?\b|(?<=\d)米"),
    ("ft", r"\bft\b|\bfeet\b|\bfoot\b"),
    ("%", r"%|\bper\s*cent\b|\bpercent(?:age)?\b|百分"),
    ("years", r"\byears?\b|\byrs?\b|岁"),
    ("$", r"\$|\bUSD\b|\bdollars?\b|美元"),
    ("€", r"€|\bEUR\b|\beuros?\b"),
    ("kg", r"\bkg\b|\bkilograms?\b|\bkilos?\b"),
    ("t", r"\btonn?es?\b|\bmetric tons?\b|\btons?\b"),
    ("kWh", r"\bkWh\b"),
    ("kW", r"\bkW\b|\bkilowatts?\b"),
    ("°C", r"°\s*C\b|\bdegrees?\b"),
]
UNIT_PATTERNS = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _UNITS]

_SCALE_WORDS = "|".join(SCALES)
NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-\u2212+])?\s?(?P<money>US\$"
    r"|[$€£])?\s?(?P<digits>\d{1,3}(?:[,\u202f\u00a0]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    rf"(?:\s*(?P<scale>{_SCALE_WORDS})\b|(?P<han>[万亿]))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Quantity:
    """A number in a text."""

    value: float
    digits: str
    """As written, separators dropped, scale not applied."""
    scale: float
    unit: str
    """Unit after or before the number, or empty."""
    start: int
    end: int
    """Where the number with its unit ends."""
    stop: int = 0
    """Where the number with its scale ends, a percent sign included: what is said of it goes there."""
    separated: bool = False
    """Whether its thousands are set apart."""

    @property
    def year(self) -> bool:
        """Whether it reads as a year: four digits from 1000 to 2199, no unit, no scale, no separator."""
        return (
            self.unit == ""
            and self.scale == 1
            and not self.separated
            and len(self.digits) == 4
            and self.digits.isdigit()
            and 1000 <= self.value < 2200
        )

    def scaled_as(self, other: "Quantity") -> "Quantity":
        """The same digits in another's scale and unit."""
        return replace(self, value=self.value * other.scale, scale=other.scale, unit=other.unit)


def quantities(text: str) -> list[Quantity]:
    """The numbers in a text, in order."""
    return [_quantity(text, match) for match in NUMBER.finditer(text)]


def _quantity(text: str, match: "re.Match[str]") -> Quantity:
    digits = re.sub(r"[,\u202f\u00a0]", "", match["digits"])
    scale = SCALES.get((match["scale"] or "").lower(), CHINESE_SCALES.get(match["han"] or "", 1.0))
    sign = -1 if match["sign"] in {"-", "\u2212"} and not _is_dash(text, match) else 1
    unit, end = ("$", match.end()) if (match["money"] or "").endswith("$") else _unit_after(text, match.end())
    if match["money"] == "€":
        unit = "€"
    written = digits if sign > 0 else f"-{digits}"
    stop = end if text[match.end() : end] == "%" else match.end()
    separated = digits != match["digits"]
    return Quantity(sign * float(digits) * scale, written, scale, unit, match.start(), end, stop, separated)


def _is_dash(text: str, match: "re.Match[str]") -> bool:
    """Whether the hyphen stands between two things (`1990 - 95`) and is no sign (`Dead Sea -431 m`)."""
    spaced = text[match.end("sign") : match.end("sign") + 1].isspace()
    return spaced and text[: match.start()].rstrip()[-1:].isalnum()


def _unit_after(text: str, start: int) -> tuple[str, int]:
    gap = re.compile(r"[\s-]{0,2}").match(text, start)
    place = gap.end() if gap else start
    for name, pattern in UNIT_PATTERNS:
        match = pattern.match(text, place)
        if match:
            return name, match.end()
    return "", start


def units_named(text: str) -> list[str]:
    """Units that a description names, longest reading first (`square kilometres` is not also `kilometres`)."""
    found, rest = [], text
    for name, pattern in UNIT_PATTERNS:
        if pattern.search(rest):
            found.append(name)
            rest = pattern.sub(" ", rest)
    return found


def plain_number(value: float) -> str:
    """Plain digits: no separators, no exponent, no trailing zeros."""
    if abs(value - round(value)) < 1e-9 * max(1.0, abs(value)):
        return str(round(value))
    return f"{value:.10f}".rstrip("0").rstrip(".")
