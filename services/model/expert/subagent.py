"""The subagent: find the pages, read them, report the facts they state."""

from collections.abc import Sequence
from dataclasses import replace

from services.model.expert import compact
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
    evidence = evidence_of(conversation)
    work = [work_on(task, request, evidence) for task in tasks]
    if conversation.compact:
        work = [
            (_compactly(want, Research(task, request, evidence)), said)
            for task, (want, said) in zip(tasks, work, strict=True)
        ]
    if not conversation.final:
        wants = [want for want, _ in work if want is not None]
        if wants:
            return calls(conversation, wants)
    if conversation.compact and not any(isinstance(task, Open) for task in tasks):
        return "\n".join(compact.report(Research(task, request, evidence)) for task in tasks)
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


def evidence_of(conversation: Conversation) -> Evidence:
    """What the agent was shown, in either profile."""
    return (compact.read_evidence if conversation.compact else read_evidence)(conversation.turns)


def calls(conversation: Conversation, wants: Sequence[Want]) -> str:
    """A turn that runs searches and opens pages, as many as it may; in the compact profile calls alone, no counts."""
    wants, first, short = wants[: conversation.limit(5)], not conversation.turns, conversation.compact
    parts = ["<think>\nI look for the page first.\n</think>"] if first and not short else []
    count = {} if short else {"count": 5 if first else 10}
    queries = [{"query": want.value, **count} for want in wants if want.tool == "search"]
    urls = [{"url": want.value, "info_to_extract": want.need} for want in wants if want.tool == "access"]
    if queries:
        parts.append(call_text("search", {"queries": queries}))
    if urls:
        parts.append(call_text("access", {"urls": urls}))
    return "\n".join(parts)


def _compactly(want: Want | None, research: Research) -> Want | None:
    """What a task wants, a page asked for as the compact profile words it."""
    return replace(want, need=compact.need_of(research)) if want else None
