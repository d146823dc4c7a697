"""Tools as agents see them: their specs, and how a call's items are read and admitted.

A toolbox admits the calls of a turn before any of them runs, because the limit on items is the
turn's. What is over the limit is answered, never silently cut.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from wideseek.compact import delegation_spec, short_spec
from wideseek.contracts import PromptProfile
from wideseek.messages import ToolCall, ToolSpec
from wideseek.ports import Subtask
from wideseek.trajectory import ToolResult
from wideseek.values import Frozen


class Admitted(Frozen):
    """A call that may run."""

    call: ToolCall
    items: tuple[dict[str, Any], ...]
    """The readable items of its one list argument, at most as many as the turn has left."""
    first_index: int = 0
    """Place of the first item among all items of the turn."""
    notes: tuple[str, ...] = ()
    """What to tell the policy beside the result: items that did not run, and why."""


class Toolbox(Protocol):
    """What an agent can do."""

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """The tools, as the prompt lists them."""
        ...

    def admit(self, calls: Sequence[ToolCall]) -> list[Admitted | ToolResult]:
        """For each call what may run of it, or the failed result that says what to fix."""
        ...

    async def call(self, turn: int, admitted: Admitted, room_tokens: int, /) -> ToolResult:
        """Serve a call; its content has at most `room_tokens` tokens. Outages raise."""
        ...

    def recall(self, result: ToolResult) -> None:
        """Take note of a result of an earlier attempt that enters the context again."""
        ...


class Items(Frozen):
    """The one list argument of a tool: its name, and the string each item must have."""

    tool: str
    argument: str
    required: str

    def read(self, call: ToolCall) -> list[dict[str, Any]] | str:
        """The items, or what is wrong with the call. A lone string or object is read as a list of one."""
        value = call.arguments.get(self.argument)
        if isinstance(value, (str, dict)):
            value = [value]
        if not isinstance(value, list) or not value:
            return f'{self.tool} needs "{self.argument}": a list of objects with "{self.required}"'
        items = [{self.required: item} if isinstance(item, str) else item for item in value]
        bad = [item for item in items if not self._readable(item)]
        if bad:
            return (
                f'every item of "{self.argument}" needs a non-empty string "{self.required}"; got {str(bad[0])[:200]}'
            )
        return items

    def _readable(self, item: Any) -> bool:
        return isinstance(item, dict) and isinstance(item.get(self.required), str) and bool(item[self.required].strip())


SUBTASKS = Items(tool="call_subagent", argument="subtasks", required="prompt")
QUERIES = Items(tool="search", argument="queries", required="query")
URLS = Items(tool="access", argument="urls", required="url")


def admit_calls(
    calls: Sequence[ToolCall], kinds: Sequence[Items], limit: int, *, per_call: bool, answer_over_limit: bool
) -> list[Admitted | ToolResult]:
    """Admit items up to `limit`, a call (`per_call`) or a turn."""
    by_tool = {kind.tool: kind for kind in kinds}
    admitted: list[Admitted | ToolResult] = []
    used = 0
    for call in calls:
        kind = by_tool.get(call.name)
        if kind is None:
            known = ", ".join(by_tool)
            admitted.append(
                ToolResult(call=call, content=f"There is no tool {call.name!r}. Tools: {known}.", failed=True)
            )
            continue
        items = kind.read(call)
        if isinstance(items, str):
            admitted.append(ToolResult(call=call, content=items, failed=True))
            continue
        room = limit if per_call else limit - used
        kept, over = items[: max(0, room)], items[max(0, room) :]
        notes = tuple(_did_not_run(kind, item, limit, per_call=per_call) for item in over) if answer_over_limit else ()
        if kept:
            admitted.append(Admitted(call=call, items=tuple(kept), first_index=used, notes=notes))
        else:
            admitted.append(ToolResult(call=call, content="\n".join(notes), failed=True))
        used += len(kept)
    return admitted


class NoTools:
    """The toolbox of an agent that works from memory: whatever it calls is answered with that."""

    specs: Sequence[ToolSpec] = ()

    def admit(self, calls: Sequence[ToolCall]) -> list[Admitted | ToolResult]:
        """Nothing."""
        return [ToolResult(call=call, content="There are no tools: answer from memory.", failed=True) for call in calls]

    async def call(self, _turn: int, admitted: Admitted, _room_tokens: int) -> ToolResult:
        """Never asked for, since nothing is admitted; answered all the same."""
        return ToolResult(call=admitted.call, content="There are no tools: answer from memory.", failed=True)

    def recall(self, result: ToolResult) -> None:
        """Nothing to remember."""


def _did_not_run(kind: Items, item: dict[str, Any], limit: int, *, per_call: bool) -> str:
    scope = "call" if per_call else "turn"
    return f"Did not run: {item[kind.required]} (the limit is {limit} {kind.argument} a {scope}; ask again)"


def subtask_items(admitted: Admitted, turn: int, ids: Sequence[str]) -> list[Subtask]:
    """The subtasks of an admitted `call_subagent`."""
    return [
        Subtask(subtask_id=ids[number], prompt=item["prompt"], turn=turn, index=admitted.first_index + number)
        for number, item in enumerate(admitted.items)
    ]


def _list_spec(name: str, description: str, argument: str, fields: dict[str, Any], required: list[str]) -> ToolSpec:
    item = {"type": "object", "properties": fields, "required": required}
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "array", "items": item}},
        "required": [argument],
    }
    return ToolSpec(name=name, description=description, parameters=parameters)


def call_subagent_spec(limit: int, language: str, profile: PromptProfile = PromptProfile.FULL) -> ToolSpec:
    """The lead's one tool."""
    if profile is PromptProfile.COMPACT:
        return delegation_spec(limit, language)
    text = {
        "en": f"Hand out subtasks to subagents that work in parallel, in no order: at most {limit} in one call.",
        "zh": f"把子任务分派给并行工作的子智能体，彼此没有先后顺序，每次调用最多 {limit} 个。",
    }
    prompt = {
        "en": "The whole subtask: the subagent sees nothing else of this conversation.",
        "zh": "完整的子任务：子智能体看不到这段对话的其他内容。",
    }
    fields = {"prompt": {"type": "string", "description": prompt[language]}}
    return _list_spec("call_subagent", text[language], "subtasks", fields, ["prompt"])


def search_spec(limit: int, language: str, profile: PromptProfile = PromptProfile.FULL) -> ToolSpec:
    """Search, batched."""
    if profile is PromptProfile.COMPACT:
        return short_spec("search", "queries", ("query",), limit, language)
    text = {
        "en": f"Search the corpus. Returns urls with short passages. At most {limit} searches and pages a turn.",
        "zh": f"搜索语料库，返回网址和简短段落。每轮最多 {limit} 次搜索和页面。",
    }
    fields = {
        "query": {"type": "string"},
        "count": {"type": "integer", "description": {"en": "hits, at most 10", "zh": "结果数，最多 10"}[language]},
    }
    return _list_spec("search", text[language], "queries", fields, ["query"])


def access_spec(limit: int, language: str, profile: PromptProfile = PromptProfile.FULL) -> ToolSpec:
    """Access, batched."""
    if profile is PromptProfile.COMPACT:
        return short_spec("access", "urls", ("url", "info_to_extract"), limit, language)
    text = {
        "en": f"Read pages whose urls a search returned. At most {limit} searches and pages a turn.",
        "zh": f"阅读搜索返回的网址对应的页面。每轮最多 {limit} 次搜索和页面。",
    }
    need = {"en": "what you want to know from the page", "zh": "想从页面了解的内容"}
    fields = {"url": {"type": "string"}, "info_to_extract": {"type": "string", "description": need[language]}}
    return _list_spec("access", text[language], "urls", fields, ["url", "info_to_extract"])
