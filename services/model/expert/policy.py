"""Who is asked, and what they do next."""

import re

from services.model.expert import lead, single, subagent
from services.model.expert.compact import read_prompt
from services.model.expert.conversation import Conversation, read_conversation
from services.model.expert.headings import Heading
from services.model.expert.questions import read_question
from services.model.expert.request import Request, read_request
from services.model.expert.tasks import read_tasks, scope_tasks

_COLUMN = re.compile(r"^-\s+(?P<name>[^:]+?)(?::\s+(?P<description>.+))?$", re.MULTILINE)
_PAGE = re.compile(r"^-\s+(\S+)\s*$", re.MULTILINE)
_TASK = ("task", "任务")
_MAIN = ("main task", "主任务")
_QUESTION = ("question", "main question", "问题", "主问题")
_PAGES = ("pages", "页面")
_SUBTASK = ("your subtask", "你的子任务")
_COLUMNS = ("columns", "列")


def respond(prompt: str) -> tuple[str, str]:
    """The role that a prompt addresses, and the text of its next turn."""
    conversation = read_conversation(prompt)
    request = _request(conversation)
    subtask = conversation.section(*_SUBTASK)
    if "call_subagent" in conversation.tools:
        return "lead", lead.next_turn(conversation, request)
    if subtask:
        if conversation.compact:
            return "subagent", subagent.next_turn(conversation, [read_prompt(subtask, request)], request)
        tasks = read_tasks(subtask) or scope_tasks(request.scope)
        return "subagent", subagent.next_turn(conversation, tasks, request)
    # Without any tool (closed book) the same: nothing can be looked up, so only what the query gives is answered.
    return "single", single.next_turn(conversation, request)


def _request(conversation: Conversation) -> Request:
    pages = tuple(match[1] for match in _PAGE.finditer(conversation.section(*_PAGES)))
    question = conversation.section(*_QUESTION)
    if question:
        return read_question(question, pages)
    query = conversation.section(*_TASK, *_MAIN) or conversation.sections[""]
    found = _COLUMN.finditer(conversation.section(*_COLUMNS))
    columns = tuple(Heading(match["name"].strip(), (match["description"] or "").strip()) for match in found)
    return read_request(query, columns, pages)
