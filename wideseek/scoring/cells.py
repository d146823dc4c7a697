"""One cell against its gold, and one key against another: WideSearch's metrics without their holes.

Sources: WideSearch (arXiv:2508.07999) and its scorer for the names; the departures are those that a policy would
find. Preprocessing counts for what is compared as text; `number_near`, `date_near` and `url_match` read the cell as
it was written, because `norm_str` glues numbers, dates and addresses together. Where neither side holds a number, a
date or an address, the texts must be equal; where only one does, they differ. A missing cell equals a missing cell
and nothing else, under every metric.
"""

import re
from collections.abc import Callable, Mapping

from wideseek.instances import ColumnRule
from wideseek.scoring import dates, numbers
from wideseek.scoring.folding import is_missing, norm_str, plain
from wideseek.scoring.hosts import hosts

MISSING_KEY = "\0missing"
"""The form of a key that is missing; no text has it."""

_WIDE_SCRIPT = "\u2e7f"


def preprocessed(text: str, rule: ColumnRule) -> str:
    """The text after a column's steps, in their order.

    `extract_number` and `norm_date` leave alone what holds no number and is no date. A number is written in one way
    (`1,000.0` is `1000`, `45%` is `0.45`); a date as `2020-03-20`, or as much of that as the text says.
    """
    for step in rule.preprocess:
        text = _STEPS[step](text)
    return text


def same_cell(given: str, gold: str, rule: ColumnRule) -> bool:
    """Whether a cell is right; for `llm_judge`, whether it would be without a judge: equal text."""
    missing = is_missing(given), is_missing(gold)
    if any(missing):
        return all(missing)
    compare = _COMPARISONS.get(rule.metric[0])
    verdict = compare(given, gold, rule) if compare else None
    if verdict is not None:
        return verdict
    return _same_text(preprocessed(given, rule), preprocessed(gold, rule))


def key_form(text: str, rule: ColumnRule | None) -> str:
    """What two spellings of one key share: the cell after preprocessing, without case.

    Keys compared as numbers, dates or addresses are those. A key column may have no rule; its text counts as it
    stands, case and kind of white space aside.
    """
    if is_missing(text):
        return MISSING_KEY
    if rule is None:
        return plain(text)
    form = _KEY_FORMS.get(rule.metric[0], _no_form)(text)
    return form or plain(preprocessed(text, rule))


def _same_text(given: str, gold: str) -> bool:
    return plain(given) == plain(gold)


def _number_near(given: str, gold: str, rule: ColumnRule) -> bool | None:
    mine, theirs = numbers.first_number(given), numbers.first_number(gold)
    if mine is None or theirs is None:
        return None if mine is theirs else False
    return numbers.near(mine, theirs, float(rule.criterion))


def _date_near(given: str, gold: str, _: ColumnRule) -> bool | None:
    mine, theirs = dates.parse_date(given), dates.parse_date(gold)
    if mine is None or theirs is None:
        return None if mine is theirs else False
    return dates.near(mine, theirs)


def _url_match(given: str, gold: str, _: ColumnRule) -> bool | None:
    mine, theirs = hosts(given), hosts(gold)
    return mine == theirs if mine or theirs else None


def _in_match(given: str, gold: str, _: ColumnRule) -> bool | None:
    """Whether the answer stands in the gold as whole words; None, so equal text decides, when it does not.

    The official rule is a bare substring, which a single letter meets. Scripts without spaces have no word ends.
    """
    said, whole = plain(given).replace("*", ""), plain(gold).replace("*", "")
    if not said or said not in whole:
        return None
    before = "" if said[0] > _WIDE_SCRIPT else r"(?<![^\W_])"
    after = "" if said[-1] > _WIDE_SCRIPT else r"(?![^\W_])"
    return True if re.search(before + re.escape(said) + after, whole) else None


def _extract_number(text: str) -> str:
    return _number_form(text) or text


def _norm_date(text: str) -> str:
    date = dates.parse_date(text)
    return date.text if date else text


def _number_form(text: str) -> str:
    value = numbers.first_number(text)
    return "" if value is None else numbers.canonical(value)


def _date_form(text: str) -> str:
    date = dates.parse_date(text)
    return date.text if date else ""


def _hosts_form(text: str) -> str:
    return " ".join(sorted(hosts(text)))


def _no_form(_: str) -> str:
    return ""


_STEPS: Mapping[str, Callable[[str], str]] = {
    "norm_str": norm_str,
    "extract_number": _extract_number,
    "norm_date": _norm_date,
}
_COMPARISONS: Mapping[str, Callable[[str, str, ColumnRule], bool | None]] = {
    "number_near": _number_near,
    "date_near": _date_near,
    "url_match": _url_match,
    "in_match": _in_match,
}
_KEY_FORMS: Mapping[str, Callable[[str], str]] = {
    "number_near": _number_form,
    "date_near": _date_form,
    "url_match": _hosts_form,
}
