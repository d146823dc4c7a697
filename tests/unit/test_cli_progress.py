"""A recorded run, event by event, as it is shown."""

import io
from typing import Any

from rich.console import Console

from services.cli.logs import humanise, last_lines
from services.cli.progress import LiveView, RunView
from wideseek.contracts import RunError
from wideseek.events import (
    Event,
    Logged,
    RowUpserted,
    RunClaimed,
    RunCompleted,
    SubagentCompleted,
    SubagentFailed,
    SubagentQueued,
    SubagentStarted,
    TableSchema,
    ToolCalled,
    ToolCompleted,
    TurnCompleted,
    TurnStarted,
)
from wideseek.messages import Completion, ToolCall
from wideseek.tables import Table
from wideseek.trajectory import Role, Source, StopReason, ToolResult

CALL = ToolCall(name="access", arguments={"urls": [{"url": "atlas:peru"}]})
PAGE = Source(url="atlas:peru", title="Peru", content_sha256="0" * 64, start=0, end=9)
BEFORE_ROWS: list[Event] = [
    RunClaimed(replica="a", claim=1),
    TurnStarted(agent_id="lead", role=Role.LEAD, turn=1),
    TurnCompleted(
        agent_id="lead", role=Role.LEAD, turn=1, completion=Completion(text="…", prompt_tokens=90, completion_tokens=10)
    ),
    SubagentQueued(subtask_id="s1", turn=1, index=0, prompt="Find the capital\nof Peru."),
    SubagentQueued(subtask_id="s2", turn=1, index=1, prompt="Find the capital of Chile."),
    SubagentQueued(subtask_id="s3", turn=1, index=2, prompt="Find the capital of Brazil."),
    SubagentStarted(subtask_id="s1", attempt=1, worker="w"),
    ToolCalled(agent_id="s1", role=Role.SUBAGENT, turn=1, index=0, call=CALL),
    ToolCompleted(
        agent_id="s1",
        role=Role.SUBAGENT,
        turn=1,
        index=0,
        result=ToolResult(call=CALL, content="Peru's capital is Lima.", sources=(PAGE, PAGE)),
    ),
]
ROWS: list[Event] = [
    TableSchema(columns=("Country", "Capital")),
    RowUpserted(key="peru", cells=("Peru", "Lima"), subtask_id="s1"),
    RowUpserted(key="chile", cells=("Chile", ""), subtask_id="s2"),
]


def public(events: list[Event]) -> list[dict[str, Any]]:
    """The events as the stream carries them."""
    return [Logged(seq=number, event=event).public() for number, event in enumerate(events, 1)]


def viewed(events: list[Event]) -> RunView:
    view = RunView()
    for event in public(events):
        view.apply(event)
    return view


def drawn(view: RunView) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(LiveView(view))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_view_counts_agents_pages_and_tokens() -> None:
    view = viewed(BEFORE_ROWS)

    assert (view.status, view.turn, view.tokens) == ("working", 1, 100)
    assert (view.count("queued"), view.count("running"), view.count("completed")) == (2, 1, 0)
    assert view.pages == {"atlas:peru"}


def test_rows_count_as_cells_filled_of_all() -> None:
    view = viewed([*BEFORE_ROWS, *ROWS])

    assert view.cells == (3, 4)
    assert view.line().endswith("1 pages read, 3 of 4 cells filled")


def test_a_row_that_is_reported_again_replaces_the_first() -> None:
    view = viewed([*ROWS, RowUpserted(key="chile", cells=("Chile", "Santiago"))])

    assert view.cells == (4, 4)


def test_the_display_shows_what_is_under_way_on_one_line_each() -> None:
    shown = drawn(viewed([*BEFORE_ROWS, *ROWS]))

    assert "access: Find the capital of Peru." in shown
    assert "0 of 3 done, 1 running, 2 queued" in shown
    assert "3 of 4 filled, 2 rows" in shown


def test_a_subtask_that_ran_twice_is_done_once() -> None:
    done = SubagentCompleted(subtask_id="s1", attempt=1, report="Lima", stop_reason=StopReason.ANSWERED, num_turns=2)
    again = SubagentFailed(subtask_id="s1", attempt=2, error=RunError(code="poison", message="given up"))

    view = viewed([*BEFORE_ROWS, done, again])

    assert view.count("completed") == 1
    assert view.count("failed") == 0


def test_events_that_come_again_after_a_reconnect_are_passed_over() -> None:
    view = viewed(BEFORE_ROWS)

    for event in public(BEFORE_ROWS):
        view.apply(event)

    assert (view.tokens, view.seq) == (100, len(BEFORE_ROWS))


def test_an_event_of_a_later_release_is_passed_over() -> None:
    view = viewed(BEFORE_ROWS)

    view.apply({"type": "cell.verified", "sequence_number": 99})

    assert view.seq == 99


def test_the_last_event_names_the_end() -> None:
    table = Table(columns=("Country",), rows=(("Peru",),))

    assert viewed([*BEFORE_ROWS, RunCompleted(table=table, answer_text="…")]).status == "completed"


def test_a_json_log_line_is_shown_short() -> None:
    line = '{"event": "run_claimed", "level": "warning", "run_id": "ws_1", "n": 2, "timestamp": "x", "service": "y"}'

    assert humanise(line) == "WARNING run_claimed run_id=ws_1 n=2"


def test_other_log_lines_are_shown_as_they_are() -> None:
    assert humanise("Ready to accept connections\n") == "Ready to accept connections"
    assert humanise("{not json") == "{not json"


def test_a_log_that_was_never_written_has_no_last_lines(tmp_path: Any) -> None:
    assert last_lines(tmp_path / "none.log") == []
