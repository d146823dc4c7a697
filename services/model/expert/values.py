"""The value a heading asks for, taken out of what a fact says."""

import re

from services.model.expert.agreement import of_partner
from services.model.expert.headings import Heading
from wideseek.quantities import SCALES, Quantity, plain_number, quantities
from wideseek.words import fold

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if month != "may" else "may" for month in _MONTHS)
_DATES = [
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})\b"),
    re.compile(
        rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<n>{_MONTH})\.?,?\s+(?P<y>\d{{3,4}})\b", re.IGNORECASE
    ),
    re.compile(rf"\b(?P<n>{_MONTH})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{3,4}})\b", re.IGNORECASE),
    re.compile(r"(?P<y>\d{4})\s*年\s*(?P<m>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*日"),
]
_ORDINALS = {
    "first": 0,
    "top": 0,
    "main": 0,
    "largest": 0,
    "biggest": 0,
    "leading": 0,
    "second": 1,
    "third": 2,
    "last": -1,
}
_TRAILING_REMARK = re.compile(r"\s*\((?:[^()]|\([^()]*\))*\)\s*$")
_ESTIMATE = re.compile(r"\s*\((?:est\.?|[^()]*\b\d{4}\b[^()]*)\)\s*$", re.IGNORECASE)
_NOTE = re.compile(r"\s*(?:;|--|\s-)\s*note\b.*$|\s*\bnote\s*[:-].*$", re.IGNORECASE)
_SCALED = re.compile(rf"\bin\s+({'|'.join(SCALES)})s?\b", re.IGNORECASE)
_EMPTY = re.compile(r"^\s*(?:n/?a|not available|unknown|none given|no data|-+|—|\?)?\s*$", re.IGNORECASE)


def take(heading: Heading, value: str) -> str:
    """The asked part of `value` as the heading asks for it; empty when it is not there."""
    if _EMPTY.match(value):
        return ""
    readers = {"date": date, "boolean": boolean, "first": listed, "name": name, "number": number, "text": text}
    return readers[heading.kind](heading, value)


def number(heading: Heading, value: str) -> str:
    """The number in plain digits, scaled as the heading says (`in billions`)."""
    stated = _NOTE.sub("", value)
    found = chosen_quantity(heading, stated if quantities(stated) else value)
    if found is None:
        return ""
    scaled = _SCALED.search(heading.text)
    return plain_number(round(found.value / SCALES[scaled[1].lower()], 12)) if scaled else _written(found)


def _written(found: Quantity) -> str:
    if found.scale != 1:
        return plain_number(round(found.value, 6))
    return found.digits.rstrip("0").rstrip(".") if "." in found.digits else found.digits


def chosen_quantity(heading: Heading, value: str) -> Quantity | None:
    """The number meant: in the unit asked for, else the first that is no year, else the first."""
    found = quantities(value)
    if heading.partner:
        return of_partner(heading.partner, value)
    in_unit = [quantity for quantity in found if quantity.unit in heading.units]
    for year in heading.years:
        after = value.find(year)
        dated = [quantity for quantity in found if not quantity.year and quantity.start < after]
        if after >= 0 and dated and len(re.findall(r"\b(?:19|20)\d{2}\b", value)) > 1:
            return dated[-1]
    plain = [quantity for quantity in found if not quantity.year]
    if (
        plain
        and not in_unit
        and not re.match(r"\W{0,3}\d", value)
        and plain[-1].end >= len(value.rstrip(" ."))
        and plain[-1].unit
    ):
        return plain[-1]  # `2 km south of the village 648 m`: the measure stands last
    return next(iter(in_unit or plain or found), None)


def date(_: Heading, value: str) -> str:
    """The first date as YYYY-MM-DD, or a year where no day is stated."""
    found = [match for pattern in _DATES if (match := pattern.search(value))]
    if found:
        first = min(found, key=lambda match: match.start())
        parts = first.groupdict()
        month = int(parts["m"]) if parts.get("m") else _month(parts["n"])
        return f"{int(parts['y']):04d}-{month:02d}-{int(parts['d']):02d}"
    year = re.search(r"\b\d{4}\b", value)
    return year[0] if year else ""


def text_date(value: str) -> str:
    """The first date as the text writes it, or empty."""
    found = [match for pattern in _DATES if (match := pattern.search(value))]
    return min(found, key=lambda match: match.start())[0] if found else ""


def _month(word: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, 1) if month.startswith(word.lower()[:3]))


def boolean(_: Heading, value: str) -> str:
    """`yes` or `no` where the value begins with it, else the value."""
    match = re.match(r"\s*(yes|no|true|false|是|否)\b", value, re.IGNORECASE)
    if not match:
        return ""
    return "yes" if match[1].lower() in {"yes", "true", "是"} else "no"


def listed(heading: Heading, value: str) -> str:
    """The item of a list that the heading's ordinal names, its share and remark dropped."""
    place = next((place for word, place in _ORDINALS.items() if re.search(rf"\b{word}\b", fold(heading.text))), 0)
    items = [item for item in re.split(r"[;,]\s*(?![^()]*\))", value) if item.strip()]
    if not items:
        return ""
    item = items[place] if -len(items) <= place < len(items) else ""
    return re.sub(r"\s*[\d.,]+\s*%.*$|\s*\([^()]*\)\s*$|\s+\$?\d[\d.,]*\s*\w*$", "", item).strip()


def name(heading: Heading, value: str) -> str:
    """The name before a number, a remark or a second item."""
    cut = _NOTE.sub("", value)
    found = [quantity for quantity in quantities(cut) if quantity.unit]
    if found and found[0].start > 0:
        cut = cut[: found[0].start]
    cut = re.split(r";|\s\(|\s[–—]\s", cut)[0]
    return cut.strip(" ,:-") or text(heading, value)


def text(heading: Heading, value: str) -> str:
    """The value without estimates' years and notes; a name before a measure, where the heading names no unit."""
    cut = _ESTIMATE.sub("", _NOTE.sub("", value)).strip()
    cut = _TRAILING_REMARK.sub("", cut) if re.match(r"[-$€]?\d", cut) else cut
    if re.fullmatch(r"\S*\d\S*[^\W\d_]\S*|\S*[^\W\d_]\S*\d\S*", cut):
        return cut.rstrip(" ;,")  # a code, as `9XR`, is no number
    found = quantities(cut)
    if found and found[0].end >= len(cut.rstrip(" .")) - 1 and found[0].start <= 2:
        return _written(found[0])
    if found and found[0].start <= 1 and len(cut.split()) <= 8 and not found[0].year:
        return _written(found[0])
    del heading
    return cut.rstrip(" ;,")
