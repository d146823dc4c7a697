"""What agents are told, in English and Chinese: templates beside this file, filled strictly."""

import re
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from wideseek.contracts import Column
from wideseek.trajectory import Role

_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]+")

_HEADINGS = {
    "en": {"task": "# Task", "main": "# Main task", "subtask": "# Your subtask", "columns": "# Columns"},
    "zh": {"task": "# 任务", "main": "# 主任务", "subtask": "# 你的子任务", "columns": "# 列"},
}
_HINTS = {
    "en": {
        "turn": "This is turn $turn of at most $max_turns.",
        "final": "This is your last turn: no tool may be called any more. Write the final answer now.",
        "repair": "No tool ran. Fix the call or write the final answer.",
    },
    "zh": {
        "turn": "这是第 $turn 轮，最多 $max_turns 轮。",
        "final": "这是最后一轮：不能再调用任何工具。请根据已有信息立即写出最终答案。",
        "repair": "没有工具被执行。请修正调用，或写出最终答案。",
    },
}


def language_of(query: str) -> str:
    """`zh` when the query is written in Chinese, else `en`: more Han characters than Latin words."""
    return "zh" if len(_HAN.findall(query)) > len(_LATIN.findall(query)) else "en"


def instructions(role: Role, language: str, *, limit: int) -> str:
    """The system prompt of a role. Raises `KeyError` when a template names something it is not given."""
    text = files(__package__).joinpath(f"{role.value}.{language}.md").read_text("utf-8")
    return Template(text).substitute(limit=limit).strip()


def lead_task(query: str, language: str, columns: Sequence[Column] | None) -> str:
    """The user message of a lead or a single agent."""
    headings = _HEADINGS[language]
    return f"{headings['task']}\n{query.strip()}{_columns(columns, language)}"


def subagent_task(query: str, subtask: str, language: str, columns: Sequence[Column] | None) -> str:
    """The user message of a subagent: the main task for orientation, and its own part."""
    headings = _HEADINGS[language]
    main = f"{headings['main']}\n{query.strip()}{_columns(columns, language)}"
    return f"{main}\n\n{headings['subtask']}\n{subtask.strip()}"


def _columns(columns: Sequence[Column] | None, language: str) -> str:
    if not columns:
        return ""
    lines = [f"- {column.name}" + (f": {column.description}" if column.description else "") for column in columns]
    return f"\n\n{_HEADINGS[language]['columns']}\n" + "\n".join(lines)


def turn_hint(language: str, turn: int, max_turns: int, *, final: bool, repair: bool = False) -> str:
    """What stands at the end of a turn's results: how many turns are left, or that there are none."""
    hints = _HINTS[language]
    parts = [hints["repair"]] if repair and not final else []
    parts.append(Template(hints["turn"]).substitute(turn=turn, max_turns=max_turns))
    if final:
        parts.append(hints["final"])
    return "\n".join(parts)
