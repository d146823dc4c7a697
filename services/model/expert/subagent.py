"""The subagent: find the pages, read them, report the facts they state."""

from collections.abc import Sequence

from services.model.expert.calls import call_text
from services.model.expert.conversation import Conversation
from services.model.expert.evidence import Evidence, read_evidence
from services.model.expert.open_questions import OpenResearch
from services.model.expert.report import report
from services.model.expert.request import Request
from services.model.expert.research import Research, Want
from services.model.expert.tasks import Open, Task


def next_turn(conversation: Conversation, tasks: Sequence[Task], request: Request) -> str:
    """The subagent's next turn: calls while something can still be found, else its report."""
    evidence = read_evidence(conversation.turns)
    work = [work_on(task, request, evidence) for task in tasks]
    if not conversation.final:
        wants = [want for want, _ in work if want is not None]
        if wants:
            return calls(wants[: conversation.limit(5)], first=not conversation.turns)
    return "\n\n".join(found for _, found in (work_on(task, request, evidence, end=True) for task in tasks))


def work_on(task: Task, request: Request, evidence: Evidence, *, end: bool = False) -> tuple[Want | None, str]:
    """What a task wants next, or, where it wants nothing or this is the `end`, what to report of it."""
    if isinstance(task, Open):
        question = OpenResearch(task, evidence)
        want = None if end else question.next_want()
        return want, "" if want else "\n\n".join(question.report())
    research = Research(task, request, evidence)
    want = None if end else research.next_want()
    return want, "" if want else "\n\n".join(report(research))


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
