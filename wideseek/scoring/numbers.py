"""Numbers as answers write them: the first one of a text, with its sign, separators, exponent and scale.

    1,234,567   12,34,567   1.234.567   1 234 567   1'234'567    separators between groups of three (Indian: two)
    3,5   1.234,56                                               a comma that groups nothing is a decimal one
    5.97e24   5.97 x 10^24   5.97 × 10²⁴                         exponents
    −40   - 40   (1,200)                                         minus; brackets around the whole cell, as in accounts
    45%   45 percent   3 ‰                                       hundredths, thousandths: 45% is 0.45, and not 45
    1.2 million   3.4k   €3.5bn   $12.3M   1.2亿                 scales; `m` alone is metres unless money is meant

`1.234` is read as a decimal: a point groups only where it cannot be one. Values are `Decimal`, so tolerances hold
exactly as the mathematics says: 1.1 lies within 0.1 of 1.0, which binary floats deny. What has no finite value
(`inf`, `1e99999`) is no number.
"""

import re
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation

_EXACT = Context(prec=60, traps=[InvalidOperation])
_MAX_EXPONENT = 999
_MAX_DIGITS = 400
_PLAIN_DIGITS = 20
"""Fewer bare digits than this are read without looking for more."""

_SPACE = "[ \u00a0\u2007\u2009\u202f]"
_DIGITS = (
    rf"\d{{1,3}}(?:,\d{{3}})+(?!\d)(?:\.\d+)?|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)(?:\.\d+)?"
    rf"|\d{{1,3}}(?:\.\d{{3}}){{2,}}(?!\d)(?:,\d+)?|\d{{1,3}}(?:\.\d{{3}})+,\d+"
    rf"|\d{{1,3}}(?:{_SPACE}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d{{1,3}}(?:['’]\d{{3}})+(?!\d)(?:\.\d+)?"
    rf"|\d+,\d+(?![\d,])|\d*\.\d+|\d+"
)
_NUMBER = re.compile(
    rf"(?P<sign>(?<![^\W_])[-+−–](?:{_SPACE}*(?:US)?[$€£¥]{_SPACE}*)?)?(?P<digits>{_DIGITS})"
    rf"(?:[eE](?P<exp>[-+−]?\d+)|{_SPACE}*[x×*·]{_SPACE}*10(?:(?:\^|\*\*)(?P<power>[-+−]?\d+)|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)))?"
    rf"{_SPACE}*(?P<scale>%|‰|[^\W\d_]+\.?(?:{_SPACE}cent\b)?)?"
)
_LEADING_MINUS = re.compile(rf"^[-−–]{_SPACE}+(?=[$€£¥\d])")
_ACCOUNTS = re.compile(r"^\(\s*([^()]*\d[^()]*)\)$")
_MONEY = re.compile(r"[$€£¥]|\b(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD)\b", re.IGNORECASE)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−–", "0123456789-+--")

_SCALES = {
    "%": -2, "percent": -2, "per cent": -2, "pct": -2, "‰": -3,
    "thousand": 3, "thousands": 3, "tsd": 3, "million": 6, "millions": 6, "mn": 6, "mln": 6, "mio": 6, "millionen": 6,
    "billion": 9, "billions": 9, "bn": 9, "bln": 9, "trillion": 12, "trillions": 12, "tn": 12, "trn": 12,
    "quadrillion": 15, "万": 4, "萬": 4, "亿": 8, "億": 8,
}  # fmt: skip
_ATTACHED = {"k": 3, "K": 3, "M": 6, "B": 9}
_WITH_MONEY = {"m": 6, "M": 6, "b": 9, "B": 9, "t": 12, "T": 12}


@dataclass(frozen=True)
class Quoted:
    """A number where it stands."""

    value: str
    """As `canonical` writes it."""
    before: str
    after: str


def first_number(text: str) -> Decimal | None:
    """The value of the first number in `text`; None when it holds none, or none that is finite."""
    if len(text) < _PLAIN_DIGITS and text.isascii() and text.isdigit():
        return Decimal(text)
    said = text.strip().strip("*")
    accounts = _ACCOUNTS.match(said)
    said = _LEADING_MINUS.sub("-", accounts.group(1).strip() if accounts else said)
    found = _NUMBER.search(said)
    if found is None:
        return None
    value = _value(found, said)
    if value is None or not accounts:
        return value
    return value.copy_abs().copy_negate()


def number_and_rest(text: str) -> Quoted | None:
    """The first number of a text and what stands around it; its scale (`million`, `%`) is part of the number."""
    said = _LEADING_MINUS.sub("-", text.strip().strip("*"))
    found = _NUMBER.search(said)
    value = _value(found, said) if found else None
    if found is None or value is None:
        return None
    end = found.end() if _scale(found, said) else found.start("scale") if found.group("scale") else found.end()
    return Quoted(canonical(value), said[: found.start()], said[end:])


def near(given: Decimal, gold: Decimal, tolerance: float) -> bool:
    """Whether `|given - gold| <= |gold| * tolerance`, worked out in decimals; a gold 0 asks for 0."""
    allowed = _EXACT.multiply(gold.copy_abs(), Decimal(repr(tolerance)))
    return _EXACT.subtract(given, gold).copy_abs() <= allowed


def canonical(value: Decimal) -> str:
    """One spelling for one value: no separators, no exponent that can be avoided, no trailing zeros."""
    if not value:
        return "0"
    return format(value.normalize(_EXACT), "f" if abs(value.adjusted()) < 30 else "e")


def _value(found: re.Match[str], text: str) -> Decimal | None:
    digits = _undecorated(found.group("digits"))
    exponent = int((found["exp"] or found["power"] or found["raised"] or "0").translate(_RAISED)[:6])
    if len(digits) > _MAX_DIGITS or abs(exponent) > _MAX_EXPONENT:
        return None
    value = Decimal(digits).scaleb(exponent + _scale(found, text), _EXACT)
    return value.copy_negate() if (found.group("sign") or " ")[0] in "-−–" else value


def _undecorated(digits: str) -> str:
    """Digits with at most one decimal point."""
    bare = re.sub(rf"{_SPACE}|['’]", "", digits)
    if "," in bare and "." in bare:
        decimal = max(bare.rfind(","), bare.rfind("."))
        return re.sub("[,.]", "", bare[:decimal]) + "." + bare[decimal + 1 :]
    if bare.count(".") > 1:
        return bare.replace(".", "")
    if bare.count(",") == 1 and not re.fullmatch(r"\d{1,3},\d{3}", bare):
        return bare.replace(",", ".")
    return bare.replace(",", "")


def _scale(found: re.Match[str], text: str) -> int:
    """Powers of ten that the word after the digits stands for."""
    said = found.group("scale") or ""
    word = said.rstrip(".")
    if not word:
        return 0
    attached = found.start("scale") == max(map(found.end, ("digits", "exp", "power", "raised")))
    if word in _WITH_MONEY and _MONEY.search(text):
        return _WITH_MONEY[word]
    if word in _ATTACHED:
        return _ATTACHED[word] if attached else 0
    return _SCALES.get(word.casefold(), _SCALES.get(word[:1], 0))
