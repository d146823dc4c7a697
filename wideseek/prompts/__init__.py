"""What agents are told, in English and Chinese: templates beside this file, filled strictly."""

import re
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

from wideseek.contracts import Mode, Output, PromptProfile, RunRequest
from wideseek.trajectory import Role

_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]+")

_HEADINGS: dict[str, Any] = {
    "en": {
        "task": {Output.TABLE: "# Task", Output.ANSWER: "# Question"},
        "main": {Output.TABLE: "# Main task", Output.ANSWER: "# Main question"},
        "subtask": "# Your subtask",
        "columns": "# Columns",
        "pages": "# Pages",
    },
    "zh": {
        "task": {Output.TABLE: "# 任务", Output.ANSWER: "# 问题"},
        "main": {Output.TABLE: "# 主任务", Output.ANSWER: "# 主问题"},
        "subtask": "# 你的子任务",
        "columns": "# 列",
        "pages": "# 页面",
    },
}
_HINTS = {
    "en": {
        "turn": "This is turn $turn of at most $max_turns.",
        "final": "This is your last turn: no tool may be called any more. Write the final answer now.",
        "repair": "No tool ran. Fix the call or write the final answer.",
        "last": "Last turn: no tool may be called. Write the answer now.",
    },
    "zh": {
        "turn": "这是第 $turn 轮，最多 $max_turns 轮。",
        "final": "这是最后一轮：不能再调用任何工具。请根据已有信息立即写出最终答案。",
        "repair": "没有工具被执行。请修正调用，或写出最终答案。",
        "last": "这是最后一轮：不能再调用工具，请写出答案。",
    },
}


def language_of(query: str) -> str:
    """`zh` when the query is written in Chinese, else `en`: more Han characters than Latin words."""
    return "zh" if len(_HAN.findall(query)) > len(_LATIN.findall(query)) else "en"


def instructions(
    role: Role,
    language: str,
    *,
    limit: int,
    output: Output = Output.TABLE,
    closed_book: bool = False,
    profile: PromptProfile = PromptProfile.FULL,
) -> str:
    """The system prompt of a role. Raises `KeyError` when a template names something it is not given.

    A closed book has no tools to explain, and one prompt for all profiles.
    """
    name = ("closed_book" if closed_book else role.value) + ("_answer" if output is Output.ANSWER else "")
    short = ".compact" if profile is PromptProfile.COMPACT and not closed_book else ""
    text = files(__package__).joinpath(f"{name}{short}.{language}.md").read_text("utf-8")
    return Template(text).substitute(limit=limit).strip()


def whole_task(request: RunRequest, language: str) -> str:
    """The user message of a lead or a single agent: the query, its columns, the pages to look at."""
    heading = _HEADINGS[language]["task"][request.output]
    return f"{heading}\n{request.query.strip()}{_columns(request, language)}{_pages(request, language)}"


def subagent_task(request: RunRequest, subtask: str, language: str) -> str:
    """The user message of a subagent: the main task for orientation, and its own part."""
    headings = _HEADINGS[language]
    main = f"{headings['main'][request.output]}\n{request.query.strip()}{_columns(request, language)}"
    return f"{main}{_pages(request, language)}\n\n{headings['subtask']}\n{subtask.strip()}"


def _columns(request: RunRequest, language: str) -> str:
    lines = [
        f"- {column.name}" + (f": {column.description}" if column.description else "")
        for column in request.columns or ()
    ]
    return _section("columns", lines, language)


def _pages(request: RunRequest, language: str) -> str:
    """The pages that the caller named; in a closed book, whose agent could only guess from their names, none."""
    urls = request.sources.urls if request.mode is not Mode.CLOSED_BOOK else ()
    return _section("pages", [f"- {url}" for url in urls], language)


def _section(name: str, lines: Sequence[str], language: str) -> str:
    return f"\n\n{_HEADINGS[language][name]}\n" + "\n".join(lines) if lines else ""


def turn_hint(
    language: str,
    turn: int,
    max_turns: int,
    *,
    final: bool,
    repair: bool = False,
    profile: PromptProfile = PromptProfile.FULL,
) -> str:
    """What stands at the end of a turn's results: how many turns are left, or that there are none.

    In the compact profile nothing, unless this is the last turn or a call could not be read.
    """
    hints = _HINTS[language]
    if profile is PromptProfile.COMPACT:
        return hints["last"] if final else hints["repair"] if repair else ""
    parts = [hints["repair"]] if repair and not final else []
    parts.append(Template(hints["turn"]).substitute(turn=turn, max_turns=max_turns))
    if final:
        parts.append(hints["final"])
    return "\n".join(parts)
