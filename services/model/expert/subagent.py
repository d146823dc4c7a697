"""The subagent: find the page, read it, report the facts it states."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from services.model.expert.calls import call_text
from services.model.expert.conditions import Condition, read_condition
from services.model.expert.conversation import Conversation
from services.model.expert.evidence import Evidence, Hit, PageView, read_evidence
from services.model.expert.headings import Heading
from services.model.expert.matching import Labels
from services.model.expert.names import abbreviates, canonical, is_acronym, same, without_article
from services.model.expert.pages import Fact, listed_lengths, read_entries, read_facts
from services.model.expert.request import Request
from services.model.expert.tasks import BorderList, Listing, Row, Task
from services.model.expert.values import take
from services.model.expert.words import covered, fold, kin, tokens
from wideseek.tables import Table, render_markdown

MAX_SEARCHES = 3
MAX_PAGES = 3
_BORDER_HEADING = Heading(
    "Border countries", "neighbours that share a land border, land boundaries, frontier, neighbouring, adjacent"
)


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
        if isinstance(self.task, Listing):
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
            missing = self.missing(page)
            again = missing and page.cut and page.accesses < 2
            return Want("access", page.url, "; ".join(heading.text for heading in missing)) if again else None
        candidates = self.candidates()
        if candidates and sum(1 for view in self.evidence.pages.values() if view.accesses) < MAX_PAGES + 1:
            return Want("access", candidates[0].url, need)
        searched = {canonical(query) for query in self.evidence.searches}
        query = next((query for query in self.queries() if canonical(query) not in searched), None)
        return Want("search", query) if query else None

    def queries(self) -> list[str]:
        """Searches to try, in order."""
        name = without_article(self.task.name)
        if isinstance(self.task, Listing):
            return [f"{self._plural()} of {name}", f"list of {name}", name][:MAX_SEARCHES]
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
        name, title = canonical(self.task.name), canonical(hit.title)
        shown = PageView(hit.url, hit.title, [hit.snippet], found=True)
        shared = set(name.split()) & set(title.split())
        if isinstance(self.task, Listing):
            return self._list_promise(hit)
        rules = [
            (3.0, same(self.task.name, hit.title)),
            (2.5, abbreviates(self.task.name, hit.title)),
            (2.0, shown.states(self.task.name)),
            (1.0, bool(shared) and f" {name} " in f" {canonical(hit.snippet[:400])} "),
            (0.5, shared == set(name.split())),
        ]
        return next((promise for promise, holds in rules if holds), 0.0)

    def _list_promise(self, hit: Hit) -> float:
        wanted = set(tokens(self.task.name))
        if not covered(wanted, set(tokens(hit.title))):
            return 0.0
        listed = len(read_entries(hit.snippet)) > 1
        return 3.0 if listed else 2.0 if len(tokens(hit.title)) > len(wanted) else 1.0

    # ---- what is asked ---------------------------------------------------------------

    def headings(self) -> list[Heading]:
        """The facts asked for."""
        if isinstance(self.task, BorderList):
            return [_BORDER_HEADING]
        if isinstance(self.task, Listing):
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
        if isinstance(self.task, Listing):
            return f"the list of entries of {self.task.name}"
        wanted = (
            [heading.text for heading in self.headings()]
            if self.task.__class__ is not BorderList
            else ["Land boundaries, border countries, neighbours"]
        )
        return "; ".join([*wanted, *(condition.text for condition in self.conditions())])

    # ---- what was found --------------------------------------------------------------

    def missing(self, page: PageView) -> list[Heading]:
        """Headings that what was shown does not answer."""
        labels = Labels(read_facts(page.text))
        if isinstance(self.task, BorderList):
            return [] if border_entries(labels) else [_BORDER_HEADING]
        deciding = [condition.heading for condition in self.conditions() if condition.bounds]
        return [heading for heading in [*self.headings(), *deciding] if not answer(labels, heading)]


def answer(labels: Labels, heading: Heading) -> str:
    """The value that a page states for a heading, or empty."""
    for match in labels.ranked(heading)[:3]:
        if match.score < labels.threshold:
            break
        reading = (
            replace(heading, description="name of it")
            if heading.kind == "text" and fold(match.fact.path[-1]) == "name"
            else heading
        )
        value = take(reading, match.fact.value)
        if value:
            return value
    return ""


def decision(labels: Labels, condition: Condition) -> str:
    """What decides a condition: the value of a fact, or yes/no for a property the page states in words."""
    if condition.bounds or condition.operator == "contains":
        match = labels.best(condition.heading)
        return _short(match.fact.value) if match else ""
    match = labels.best(condition.heading)
    if match and re.match(r"\s*(?:yes|no)\b", match.fact.value, re.IGNORECASE):
        return _short(match.fact.value)
    return "yes" if any(_mentions(fact, word) for fact in labels.facts for word in condition.words) else "no"


def _mentions(fact: Fact, word: str) -> bool:
    wanted, said = set(tokens(word)), set(tokens(f"{fact.path[-1]} {fact.value}"))
    return bool(wanted) and len(fact.value) < 300 and all(any(kin(one, other) for other in said) for one in wanted)


def _short(value: str, limit: int = 160) -> str:
    return " ".join(value.split())[:limit]


def border_entries(labels: Labels) -> list[tuple[str, str]]:
    """Names and lengths of the best list of borders on a page."""
    for match in labels.ranked(_BORDER_HEADING):
        entries = list(listed_lengths(match.fact.value))
        if entries:
            return entries
    return []


def next_turn(conversation: Conversation, tasks: Sequence[Task], request: Request) -> str:
    """The subagent's next turn: calls while something can still be found, else its report."""
    evidence = read_evidence(conversation.turns)
    work = [Research(task, request, evidence) for task in tasks]
    if not conversation.final:
        wants = [want for research in work if (want := research.next_want()) is not None]
        if wants:
            return calls(wants[: conversation.limit(5)], first=not conversation.turns)
    return "\n\n".join(part for research in work for part in report(research))


def calls(wants: Sequence[Want], *, first: bool) -> str:
    """A turn that runs searches and opens pages."""
    parts = ["<think>\nI look for the page first.\n</think>"] if first else []
    queries = [{"query": want.value, "count": 5 if first else 10} for want in wants if want.tool == "search"]
    urls = [{"url": want.value, "info_to_extract": want.need} for want in wants if want.tool == "access"]
    if queries:
        parts.append(call_text("search", {"queries": queries}))
    if urls:
        parts.append(call_text("access", {"urls": urls}))
    return "\n".join(parts)


def report(research: Research) -> Iterator[str]:
    """What was found, in a sentence and a table."""
    task, page = research.task, research.page()
    if page is None:
        yield f"No page was found for {task.name}."
        return
    labels = Labels(read_facts(page.text))
    if isinstance(task, BorderList):
        rows = tuple((name, length) for name, length in border_entries(labels))
        yield (
            f"What borders {task.name}, from its page {page.url}:"
            if rows
            else f"The page {page.url} of {task.name} lists no land borders."
        )
        if rows:
            yield render_markdown(Table(columns=("Name", "Length"), rows=rows))
    elif isinstance(task, Listing):
        entries = kept_entries(page.text)
        yield f"{len(entries)} entries are listed on {page.url}:"
        yield render_markdown(
            Table(columns=("Name", "Page"), rows=tuple((entry_name, url) for entry_name, url in entries))
        )
    else:
        headings, conditions = research.headings(), research.conditions()
        cells = [answer(labels, heading) for heading in headings] + [
            decision(labels, condition) for condition in conditions
        ]
        key = (
            task.columns[0]
            if task.columns
            else research.request.columns.headings[research.request.columns.key or 0].name
        )
        columns = (key, *(heading.name for heading in headings), *(condition.text for condition in conditions))
        yield f"From the page {page.url}:"
        yield render_markdown(Table(columns=columns, rows=((natural(page.title), *cells),)))


def kept_entries(text: str) -> list[tuple[str, str]]:
    """Names and addresses of a list's entries; those marked as not being what the others are marked as are left out."""
    entries = read_entries(text)
    denied = {
        " ".join(fold(entry.remark).replace("not an ", "").replace("not a ", "").replace("not ", "").split())
        for entry in entries
        if re.match(r"(?:not|no)\b", fold(entry.remark))
    }
    affirmed = {fold(entry.remark) for entry in entries} & denied
    kept = [entry for entry in entries if not (affirmed and re.match(r"(?:not|no)\b", fold(entry.remark)))]
    return [(entry.name, entry.url) for entry in kept]


def natural(title: str) -> str:
    """A title in natural order: `Bahamas, The` as `The Bahamas`."""
    match = re.match(r"^([^,]+),\s*(The)$", title)
    return f"{match[2]} {match[1]}" if match else title
