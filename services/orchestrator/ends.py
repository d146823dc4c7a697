"""What the end of the agent that answers makes of a run."""

from services.orchestrator.subagents import LoggedSubagents
from wideseek.contracts import Output
from wideseek.events import RunCompleted, RunCreated, RunIncomplete, TerminalEvent
from wideseek.questions import boxed
from wideseek.tables import Table, aligned, parse_markdown_table
from wideseek.toolcalls import after_thinking
from wideseek.trajectory import StopReason, Trajectory


def conclude(created: RunCreated, trajectory: Trajectory, subagents: LoggedSubagents) -> TerminalEvent:
    """What a trajectory makes of its run: completed only with a table that says something, or an answer."""
    asks_table = created.request.output is Output.TABLE
    return _table_end(created, trajectory, subagents) if asks_table else _answer_end(trajectory, subagents)


def answer_table(created: RunCreated, text: str) -> Table | None:
    """The table of a final text, with the columns that the request named, at most `max_rows` long."""
    table = parse_markdown_table(after_thinking(text))
    if table is None:
        return None
    if created.request.columns:
        table = aligned(table, [column.name for column in created.request.columns])
    return table.head(created.request.limits.max_rows)


def says_something(table: Table) -> bool:
    """Whether a table has rows, and a fact in one of them: more filled cells than rows have names."""
    return bool(table.rows) and table.cells_filled > (len(table.rows) if len(table.columns) > 1 else 0)


def _table_end(created: RunCreated, trajectory: Trajectory, subagents: LoggedSubagents) -> TerminalEvent:
    text = trajectory.final_text
    table = answer_table(created, text)
    lacking = _lacking(table, subagents)
    if trajectory.stop_reason is StopReason.ANSWERED and lacking is None:
        return RunCompleted(table=table, answer_text=text)
    shown = table if table is not None and table.rows else subagents.rows.table
    return RunIncomplete(reason=_reason(trajectory.stop_reason, lacking, subagents), table=shown, answer_text=text)


def _lacking(table: Table | None, subagents: LoggedSubagents) -> str | None:
    """What keeps a table from being the answer."""
    if table is None or not table.rows:
        return "no_table"
    if subagents.outage:
        return "tool_outage"
    return None if says_something(table) else "no_facts"


def _answer_end(trajectory: Trajectory, subagents: LoggedSubagents) -> TerminalEvent:
    text = trajectory.final_text
    lacking = "no_answer" if not boxed(text) else "tool_outage" if subagents.outage else None
    if trajectory.stop_reason is StopReason.ANSWERED and lacking is None:
        return RunCompleted(answer_text=text)
    return RunIncomplete(reason=_reason(trajectory.stop_reason, lacking, subagents), answer_text=text)


def _reason(stop: StopReason, lacking: str | None, subagents: LoggedSubagents) -> str:
    """The limit that ended the agent, or what its answer lacks."""
    if stop is StopReason.ANSWERED and lacking is not None:
        return lacking
    return "width_starved" if stop is StopReason.DEADLINE and subagents.starved else stop.value
