"""Numbers and tables as markdown."""

from collections.abc import Iterable, Sequence

from services.evaluation.policy.compare import Paired
from services.evaluation.policy.measures import Estimate

MISSING = "not measured"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: int | None = None) -> str:
    """A table; columns from `right` on (the second, unless told) are set to the right."""
    first = 1 if right is None else right
    rule = ["---" if place < first else "---:" for place in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def estimate(found: Estimate | None) -> str:
    """A mean with its interval: `0.812 [0.770, 0.853]`."""
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else MISSING


def seeds(found: Estimate | None) -> str:
    """The mean of each seed: `0.81, 0.80, 0.83`."""
    return ", ".join(f"{one:.3f}" for one in found.seeds) if found else MISSING


def difference(found: Paired | None) -> str:
    """A paired difference with its interval and sign."""
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" if found else MISSING


def amount(value: float | None) -> str:
    """A quantity with three significant digits, thousands apart."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
