"""Keeps tables apart whose pages a held-out instance is answered from, whatever it asks of them."""

from collections.abc import Iterable

from services.suites.filters import Reason
from wideseek.instances import Task


class PageFilter:
    """Rejects an instance over a table whose page, or a row's page, is a document of a held-out instance.

    Instances over the Factbook pass: there sets of states are reserved, not pages.
    """

    stage = "held-out pages"

    def __init__(self, held_out: Iterable[Task]) -> None:
        self._pages: dict[str, str] = {}
        for instance in held_out:
            for address in instance.documents:
                self._pages.setdefault(_page(address), instance.instance_id)

    def check(self, instance: Task) -> Reason | None:
        """Which page it shares with which held-out instance, or None."""
        if not instance.suite.startswith("table-"):
            return None
        shared = next((page for page in map(_page, instance.documents) if page in self._pages), None)
        if shared is None:
            return None
        return Reason(code="held_out_page", why=f"{shared} is a document of {self._pages[shared]}, which is held out")

    def keep(self, instance: Task) -> None:
        """Nothing to remember."""


def _page(address: str) -> str:
    return address.partition("#")[0]
