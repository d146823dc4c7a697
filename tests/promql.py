"""Computes the PromQL that our manifests hold from pages in Prometheus' exposition format.

A part of the language: numbers, metric names with equality selectors, `sum`, `max`, `min`, `avg`, `count`
without grouping, `+ - * /`, parentheses, and `or vector(number)`. Anything else raises ValueError.
Semantics as in https://prometheus.io/docs/prometheus/latest/querying/operators/: an aggregation of nothing is
nothing, and arithmetic with nothing is nothing (None here).
"""

import operator
import re
from collections.abc import Callable, Sequence

from prometheus_client.parser import text_string_to_metric_families

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([a-zA-Z_:][\w:]*)|(\{[^}]*\})|([-+*/()]))")
_LABEL = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "max": max,
    "min": min,
    "avg": lambda values: sum(values) / len(values),
    "count": len,
}


def evaluate(query: str, pages: Sequence[str]) -> float | None:
    """The value of an instant query over the `/metrics` pages of all pods; None when there is no data."""
    parser = _Parser(query, pages)
    value = parser.alternatives()
    parser.end()
    return value


def samples(name: str, labels: dict[str, str], pages: Sequence[str]) -> list[float]:
    """The values of a series on all pages."""
    return [
        sample.value
        for page in pages
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    return float("nan") if left == 0 else float("inf")


class _Parser:
    """Recursive descent over the tokens, computing as it goes."""

    def __init__(self, query: str, pages: Sequence[str]) -> None:
        self._query = query
        self._pages = pages
        self._tokens = self._read(query.strip())

    @staticmethod
    def _read(query: str) -> list[str]:
        tokens: list[str] = []
        position = 0
        while position < len(query):
            found = _TOKEN.match(query, position)
            if found is None:
                raise ValueError(f"cannot read {query[position:]!r}")
            tokens.append(found.group().strip())
            position = found.end()
        return tokens

    def end(self) -> None:
        """Raise ValueError when something is left."""
        if self._tokens:
            raise ValueError(f"{self._query!r}: did not expect {self._tokens[0]!r}")

    def _take(self, *wanted: str) -> str | None:
        if self._tokens and self._tokens[0] in wanted:
            return self._tokens.pop(0)
        return None

    def _need(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise ValueError(f"{self._query!r}: expected {wanted!r}")

    def alternatives(self) -> float | None:
        """`or` binds least."""
        value = self._sum()
        while self._take("or"):
            other = self._sum()
            value = other if value is None else value
        return value

    def _sum(self) -> float | None:
        value = self._product()
        while sign := self._take("+", "-"):
            value = _both(operator.add if sign == "+" else operator.sub, value, self._product())
        return value

    def _product(self) -> float | None:
        value = self._atom()
        while sign := self._take("*", "/"):
            value = _both(operator.mul if sign == "*" else _divide, value, self._atom())
        return value

    def _atom(self) -> float | None:
        if not self._tokens:
            raise ValueError(f"{self._query!r} ends too early")
        token = self._tokens.pop(0)
        if token == "(":
            value = self.alternatives()
            self._need(")")
            return value
        if token[0].isdigit():
            return float(token)
        if token == "vector":
            self._need("(")
            value = self.alternatives()
            self._need(")")
            return value
        if token in _AGGREGATES:
            self._need("(")
            values = self._series(self._tokens.pop(0) if self._tokens else "")
            self._need(")")
            return float(_AGGREGATES[token](values)) if values else None
        raise ValueError(f"{self._query!r}: {token!r} is not something this reads")

    def _series(self, name: str) -> list[float]:
        if not re.fullmatch(r"[a-zA-Z_:][\w:]*", name):
            raise ValueError(f"{self._query!r}: expected a metric's name, found {name!r}")
        selector = self._tokens.pop(0) if self._tokens and self._tokens[0].startswith("{") else "{}"
        return samples(name, dict(_LABEL.findall(selector)), self._pages)


def _both(apply: Callable[[float, float], float], left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else float(apply(left, right))
