"""One subtask worked on: which page to open next, until its entity's or list's page is found."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.model.expert.conditions import Condition, read_condition
from services.model.expert.evidence import Evidence, Hit, PageView
from services.model.expert.headings import Heading
from services.model.expert.names import abbreviates, canonical, is_acronym, same, without_article
from services.model.expert.pages import read_entries
from services.model.expert.reading import BORDER_HEADING, Reading, border_entries
from services.model.expert.request import Request
from services.model.expert.tasks import BorderList, Holding, Listing, PageList, Row, Task
from wideseek.words import covered, fold, tokens

MAX_SEARCHES = 3
MAX_PAGES = 3
_UNSEEN = 0.5
"""Promise of a hit that shows nothing of its page: the search has found it."""


@dataclass(frozen=True)
class Want:
    """Open a page or run a search."""

    tool: str
    value: str
    need: str = ""


class Research:
    """One subtask's state, told from what was shown."""

    def __init__(self, task: Task, request: Request, evidence: Evidence) -> None:
        self.task = task
        self.request = request
        self.evidence = evidence

    # ---- which page ------------------------------------------------------------------

    def page(self) -> PageView | None:
        """The page of the task's entity, once it was read."""
        views = [view for view in self.evidence.pages.values() if view.found]
        url = getattr(self.task, "url", "")
        given = next((view for view in views if view.url == url), None)
        return given or next((view for view in views if self._serves(view)), None)

    def _serves(self, view: PageView) -> bool:
        if isinstance(self.task, Holding):
            return Reading(view.title, view.text).holds(self.task.fact, self.task.value)
        if isinstance(self.task, Listing | PageList):
            wanted = set(tokens(self.task.name))
            return len(read_entries(view.text)) > 1 and covered(wanted, set(tokens(view.title)))
        return view.states(self.task.name)

    def next_want(self) -> Want | None:
        """What to do next to find the page; None when it was found or cannot be."""
        need = self.need()
        url = getattr(self.task, "url", "")
        if url and url not in self.evidence.pages:
            return Want("access", url, need)
        page = self.page()
        if page is not None:
            missing = self.missing(page) if page.cut and page.accesses < 2 else []
            return Want("access", page.url, "; ".join(heading.text for heading in missing)) if missing else None
        if self._opened() <= MAX_PAGES:
            candidates = self.candidates()
            if candidates:
                return Want("access", candidates[0].url, need)
            searched = {canonical(query) for query in self.evidence.searches}
            query = next((query for query in self.queries() if canonical(query) not in searched), None)
            named = next((url for url in self.request.pages if url not in self.evidence.pages), None)
            return Want("search", query) if query else Want("access", named, need) if named else None
        return None

    def _opened(self) -> int:
        """Pages opened for this task: those that were worth opening by its lights."""
        tried = {hit.url for hit in self.evidence.hits if hit.url in self.evidence.pages and self._promise(hit) > 0}
        return len(tried)

    def queries(self) -> list[str]:
        """Searches to try, in order."""
        name = without_article(self.task.name)
        if isinstance(self.task, Listing):
            return [f"{self._plural()} of {name}", f"list of {name}", name][:MAX_SEARCHES]
        if isinstance(self.task, PageList):
            return [name, self.task.title, f"{self._plural()} {self.task.title}"]
        if isinstance(self.task, Holding):
            return [name, self.task.value, f"{self.task.what} {name}"]
        if is_acronym(name):
            return [name, f"list of {self._plural()}", f"{name} abbreviation"]
        first = self.headings()[0].name if self.headings() else "profile"
        return [name, f"{name} {first}", f"{name} also known as"]

    def _plural(self) -> str:
        noun = self.request.scope.noun.lower()
        return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"

    def candidates(self) -> list[Hit]:
        """Hits worth opening, best first, those already opened left out."""
        scored = [
            (self._promise(hit), -place, hit)
            for place, hit in enumerate(self.evidence.hits)
            if hit.url not in self.evidence.pages
        ]
        return [hit for promise, _, hit in sorted(scored, key=lambda item: item[:2], reverse=True) if promise > 0]

    def _promise(self, hit: Hit) -> float:
        """How likely a hit is the page: by title, by a form of the name that its snippet states, by words."""
        if isinstance(self.task, Listing | PageList):
            return self._list_promise(hit)
        if isinstance(self.task, Holding):
            if not hit.snippet:
                return _UNSEEN
            if Reading(hit.title, hit.snippet).holds(self.task.fact, self.task.value):
                return 2.0
            return 1.0 if f" {canonical(self.task.value)} " in f" {canonical(hit.snippet)} " else 0.0
        name, title = canonical(self.task.name), canonical(hit.title)
        shown = PageView(hit.url, hit.title, [hit.snippet], found=True)
        shared = set(name.split()) & set(title.split())
        rules = [
            (3.0, same(self.task.name, hit.title)),
            (2.5, abbreviates(self.task.name, hit.title)),
            (2.0, shown.states(self.task.name)),
            (1.0, bool(shared) and f" {name} " in f" {canonical(hit.snippet[:400])} "),
            (0.5, shared == set(name.split())),
        ]
        return next((promise for promise, holds in rules if holds), 0.0)

    def _list_promise(self, hit: Hit) -> float:
        wanted, title = set(tokens(self.task.name)), set(tokens(hit.title))
        if not covered(wanted, title):
            return 0.0
        listed = len(read_entries(hit.snippet)) > 1
        promise = 3.0 if listed else 2.0 if len(title) > len(wanted) else 1.0
        return promise - len(title - wanted) / 100

    # ---- what is asked ---------------------------------------------------------------

    def headings(self) -> list[Heading]:
        """The facts asked for."""
        if isinstance(self.task, BorderList):
            return [BORDER_HEADING]
        if isinstance(self.task, Holding):
            return [Heading(self.task.fact)]
        if not isinstance(self.task, Row):
            return []
        known = {fold(heading.name): heading for heading in self.request.columns.headings}
        if self.task.columns:
            return [known.get(fold(name), Heading(name)) for name in self.task.columns[1:]]
        return list(self.request.asked)

    def conditions(self) -> list[Condition]:
        """The conditions whose deciding facts are asked for."""
        if not isinstance(self.task, Row):
            return []
        return [condition for text in self.task.decides if (condition := read_condition(text)) is not None]

    def need(self) -> str:
        """What to ask a page for."""
        if isinstance(self.task, Listing | PageList):
            return f"the list of entries of {self.task.name}"
        if isinstance(self.task, BorderList):
            return "Land boundaries, border countries, neighbours"
        wanted = [heading.text for heading in self.headings()]
        return "; ".join([*wanted, *(condition.text for condition in self.conditions())])

    # ---- what was found --------------------------------------------------------------

    def missing(self, page: PageView) -> Sequence[Heading]:
        """Headings that what was shown does not answer."""
        reading = Reading(page.title, page.text)
        if isinstance(self.task, BorderList):
            return [] if border_entries(reading.labels) else [BORDER_HEADING]
        deciding = [condition.heading for condition in self.conditions() if condition.bounds]
        return [heading for heading in [*self.headings(), *deciding] if not reading.answer(heading)]
