"""What a subagent reports: a sentence and a table."""

from collections.abc import Sequence

from services.model.expert.reading import Reading, border_entries, kept_entries, natural, section_of
from services.model.expert.research import Research
from services.model.expert.tasks import BorderList, Holding, Listing, PageList
from wideseek.tables import Table, render_markdown


def report(research: Research) -> list[str]:
    """What was found, in a sentence and, where there is something, a table."""
    task, page = research.task, research.page()
    if page is None:
        return [f"No page was found for {task.name}."]
    if isinstance(task, BorderList):
        borders = border_entries(Reading(page.title, page.text).labels)
        if not borders:
            return [f"The page {page.url} of {task.name} lists no land borders."]
        return [f"What borders {task.name}, from its page {page.url}:", _table(("Name", "Length"), borders)]
    if isinstance(task, Listing | PageList):
        section = task.section if isinstance(task, PageList) else ""
        entries = kept_entries(section_of(page.text, section) if section else page.text)
        return [f"{len(entries)} entries are listed on {page.url}:", _table(("Name", "Page"), entries)]
    if isinstance(task, Holding):
        found = [(natural(page.title), page.url)]
        return [f"The page {page.url} states the {task.fact} {task.value}:", _table(("Name", "Page"), found)]
    return _row(research, page.title, page.text, page.url)


def _row(research: Research, title: str, text: str, url: str) -> list[str]:
    reading, columns = Reading(title, text), research.request.columns
    headings, conditions = research.headings(), research.conditions()
    cells = [reading.answer(heading) for heading in headings] + [
        reading.decision(condition) for condition in conditions
    ]
    named = getattr(research.task, "columns", ())
    key = named[0] if named else columns.headings[columns.key or 0].name
    head = (key, *(heading.name for heading in headings), *(condition.text for condition in conditions))
    return [f"From the page {url}:", _table(head, [(natural(title), *cells)])]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return render_markdown(Table(columns=tuple(columns), rows=tuple(tuple(row) for row in rows)))
