"""The probe's prompts: contexts that agents really have, by role, with tools and with what a tool gave back.

The first four are whole contexts (a lead, a subagent, a subagent that has searched, a single agent); the others are
short, because a prompt costs the trainer its length and gives the probe no more tokens.
"""

from typing import NamedTuple

from wideseek.contracts import Output, RunRequest
from wideseek.messages import ChatRole, Message, ToolSpec
from wideseek.prompts import instructions, language_of, subagent_task, whole_task
from wideseek.tools import access_spec, call_subagent_spec, search_spec
from wideseek.trajectory import Role


class Prompt(NamedTuple):
    """Messages and tools, to be rendered by the engine."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()


_QUERIES = (
    "List every river longer than 1,000 km in Central Asia: name, length in km, country of the mouth.",
    "Which chemical elements were discovered between 1850 and 1870, by whom and where?",
    "请列出长江流域的主要湖泊：名称、面积（平方公里）、所在省份。",
    "For each novel that won the prize in the 1990s: title, author, publisher and number of pages.",
    "What do the flags of the Nordic countries have in common?",
    "Compare the five largest container ports by throughput, depth of the berths and year of opening.",
)
_RESULT = (
    "[1] Syr Darya (/wiki/Syr_Darya): The Syr Darya is a river in Central Asia, 2,256 km long, which rises in the "
    "Tian Shan.\n[2] Chu (/wiki/Chu): The Chu flows for 1,067 km through northern Kyrgyzstan and southern Kazakhstan."
)
_CALL = '<tool_call>\n{"name": "search", "arguments": {"queries": [{"query": "rivers Central Asia"}]}}\n</tool_call>'
_TOPICS = ("rivers", "metals", "novels", "ports", "birds", "glaciers", "bridges", "operas", "moons", "markets")


def probe_prompts(number: int) -> list[Prompt]:
    """The first `number` prompts, always the same."""
    whole = [_lead(), _subagent(), _searched(), _single()]
    return [*whole, *(_short(index) for index in range(max(0, number - len(whole))))][:number]


def _lead() -> Prompt:
    return _asked(Role.LEAD, whole_task(RunRequest(query=_QUERIES[0]), "en"), (call_subagent_spec(20, "en"),), limit=20)


def _subagent() -> Prompt:
    task = subagent_task(RunRequest(query=_QUERIES[1]), "Elements that spectroscopy found, 1850 to 1865", "en")
    return _asked(Role.SUBAGENT, task, (search_spec(5, "en"), access_spec(5, "en")), limit=5)


def _searched() -> Prompt:
    task = subagent_task(RunRequest(query=_QUERIES[0]), "Rivers that rise in the Tian Shan", "en")
    asked = _asked(Role.SUBAGENT, task, (search_spec(5, "en"), access_spec(5, "en")), limit=5)
    context = (Message(role=ChatRole.ASSISTANT, text=_CALL), Message(role=ChatRole.TOOL, text=_RESULT))
    return Prompt((*asked.messages, *context), asked.tools)


def _single() -> Prompt:
    return _asked(Role.SINGLE, whole_task(RunRequest(query=_QUERIES[3]), "en"), (search_spec(5, "en"),), limit=5)


def _asked(role: Role, task: str, tools: tuple[ToolSpec, ...], *, limit: int) -> Prompt:
    system = Message(role=ChatRole.SYSTEM, text=instructions(role, "en", limit=limit))
    return Prompt((system, Message(role=ChatRole.USER, text=task)), tools)


def _short(index: int) -> Prompt:
    query = _QUERIES[index % len(_QUERIES)]
    lap = index // len(_QUERIES)
    text = query if lap == 0 else f"{query} ({lap}: {_TOPICS[(index + lap) % len(_TOPICS)]})"
    language = language_of(query)
    output = Output.ANSWER if index % 2 else Output.TABLE
    system = instructions(Role.SINGLE, language, limit=5, output=output, closed_book=True)
    return Prompt((Message(role=ChatRole.SYSTEM, text=system), Message(role=ChatRole.USER, text=text)))
