"""Provisional rows, and what the end of the lead makes of a run."""

import pytest

from services.orchestrator.ends import answer_table, conclude
from services.orchestrator.rows import ProvisionalRows
from services.orchestrator.subagents import LoggedSubagents
from wideseek.contracts import RunError, RunRequest
from wideseek.events import (
    Logged,
    RowUpserted,
    RunCompleted,
    RunCreated,
    RunIncomplete,
    SubagentCompleted,
    SubagentFailed,
    SubagentQueued,
    TableSchema,
)
from wideseek.messages import Completion
from wideseek.tables import Table
from wideseek.trajectory import Role, StopReason, Trajectory, Turn

ASKED = RunRequest.model_validate({"query": "For Mali: facts.", "columns": ["Country", "Capital"]})
QUESTION = RunRequest.model_validate({"query": "Country and Capital of Mali?", "output": "answer"})
ANSWER = "```markdown\n| Capital | country |\n|---|---|\n| Bamako | Mali |\n```"


def created(request: RunRequest = ASKED) -> RunCreated:
    return RunCreated(run_id="ws_1", request=request, model="m", deadline=0)


def trajectory(text: str, stop: StopReason = StopReason.ANSWERED) -> Trajectory:
    turns = (Turn(completion=Completion(text=text)),)
    return Trajectory(agent_id="lead", role=Role.LEAD, task="", turns=turns, stop_reason=stop)


def subagents(request: RunRequest = ASKED) -> LoggedSubagents:
    rows = ProvisionalRows(request)
    return LoggedSubagents(None, None, "ws_1", None, rows, 0)  # type: ignore[arg-type]


def report(capital: str) -> str:
    return f"Found.\n\n| Country | Capital |\n|---|---|\n| Mali | {capital} |"


def test_reported_rows_become_a_schema_and_a_row() -> None:
    rows = ProvisionalRows(ASKED)

    events = rows.read("s1", report("Bamako"))

    assert events == [
        TableSchema(columns=("Country", "Capital")),
        RowUpserted(key="Mali", cells=("Mali", "Bamako"), subtask_id="s1"),
    ]
    assert rows.table == Table(columns=("Country", "Capital"), rows=(("Mali", "Bamako"),))


def test_a_labelled_line_is_a_row_like_that_of_a_table() -> None:
    table, line = ProvisionalRows(ASKED), ProvisionalRows(ASKED)

    assert line.read("s1", "Country: Mali | Capital: Bamako") == table.read("s1", report("Bamako"))
    assert line.read("s1", "Country: Mali | Capital: Timbuktu") == []
    assert line.table == table.table


def test_a_labelled_line_is_put_in_the_columns_asked_for() -> None:
    rows = ProvisionalRows(ASKED)

    events = rows.read("s1", "Area: 3 | Capital: Bamako | Country: Mali")

    assert events[-1] == RowUpserted(key="Mali", cells=("Mali", "Bamako"), subtask_id="s1")


@pytest.mark.parametrize(
    "text", ["Country: Mali | no", "Bordering Mali: Algeria; Chad", "No page was found for Mali.", "Hat: 1 | Cane: 2"]
)
def test_a_line_that_is_no_row_of_the_answer_is_none(text: str) -> None:
    rows = ProvisionalRows(ASKED)

    assert rows.read("s1", text) == []
    assert rows.table is None


def test_a_table_in_a_report_counts_before_a_labelled_line() -> None:
    rows = ProvisionalRows(ASKED)

    rows.read("s1", f"Country: Chad | Capital: N'Djamena\n\n{report('Bamako')}")

    assert rows.table == Table(columns=("Country", "Capital"), rows=(("Mali", "Bamako"),))


def test_a_question_has_no_rows() -> None:
    rows = ProvisionalRows(QUESTION)

    assert rows.read("s1", report("Bamako")) == []
    assert rows.table is None


def test_a_report_counts_once_and_an_empty_cell_erases_nothing() -> None:
    rows = ProvisionalRows(ASKED)
    rows.read("s1", report("Bamako"))

    assert rows.read("s1", report("Timbuktu")) == []
    assert rows.read("s2", report("")) == []


def test_a_discovery_table_is_no_part_of_the_answer() -> None:
    rows = ProvisionalRows(RunRequest(query="For each neighbour of Mali: Country and Capital."))

    assert rows.read("s1", "| Name | Page |\n|---|---|\n| Chad | made:chad |") == []
    assert rows.read("s2", report("Bamako")) != []


def test_the_key_column_is_the_one_the_request_names() -> None:
    request = RunRequest.model_validate({"query": "q", "columns": ["No", "Country"], "primary_key": "Country"})
    rows = ProvisionalRows(request)

    events = rows.read("s1", "| No | Country |\n|---|---|\n| 1 | Mali |")

    assert isinstance(events[1], RowUpserted)
    assert events[1].key == "Mali"


def test_what_the_log_holds_is_taken_over() -> None:
    first, second = ProvisionalRows(ASKED), ProvisionalRows(ASKED)

    for event in first.read("s1", report("Bamako")):
        second.recall(event)

    assert second.table == first.table
    assert second.read("s1", report("Bamako")) == []


def test_a_table_with_rows_completes_the_run_in_the_columns_asked_for() -> None:
    end = conclude(created(), trajectory(ANSWER), subagents())

    assert isinstance(end, RunCompleted)
    assert end.table == Table(columns=("Country", "Capital"), rows=(("Mali", "Bamako"),))
    assert end.answer_text == ANSWER


@pytest.mark.parametrize("text", ["I am sorry.", "| Country | Capital |\n|---|---|", ""])
def test_an_answer_without_rows_is_never_called_completed(text: str) -> None:
    end = conclude(created(), trajectory(text), subagents())

    assert isinstance(end, RunIncomplete)
    assert end.reason == "no_table"


def test_a_table_inside_thinking_is_not_the_answer() -> None:
    assert answer_table(created(), f"<think>{ANSWER}</think>no") is None


def test_max_rows_is_kept() -> None:
    request = RunRequest.model_validate({"query": "q", "limits": {"max_rows": 1}})
    text = "| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"

    table = answer_table(created(request), text)

    assert table is not None
    assert table.rows == (("1", "2"),)


@pytest.mark.parametrize("stop", [StopReason.BUDGET, StopReason.DEADLINE, StopReason.TURN_LIMIT])
def test_a_spent_limit_hands_over_the_rows_there_are(stop: StopReason) -> None:
    team = subagents()
    team.rows.read("s1", report("Bamako"))

    end = conclude(created(), trajectory("still working", stop), team)

    assert isinstance(end, RunIncomplete)
    assert end.reason == stop.value
    assert end.table is not None
    assert end.table.rows == (("Mali", "Bamako"),)


async def test_a_deadline_with_subtasks_nobody_began_is_width_starved() -> None:
    team = subagents()
    await team.take_note([Logged(seq=2, event=SubagentQueued(subtask_id="s1", turn=1, index=0, prompt="p"))])

    end = conclude(created(), trajectory("", StopReason.DEADLINE), team)

    assert isinstance(end, RunIncomplete)
    assert end.reason == "width_starved"


async def test_an_outage_nobody_made_up_for_is_said() -> None:
    team = subagents()
    outage = RunError(code="upstream-unavailable", message="down", service="retrieval")
    history = [
        SubagentQueued(subtask_id="s1", turn=1, index=0, prompt="Mali"),
        SubagentFailed(subtask_id="s1", attempt=1, error=outage),
    ]
    await team.take_note([Logged(seq=2 + place, event=event) for place, event in enumerate(history)])

    lost = conclude(created(), trajectory(ANSWER), team)
    again = SubagentQueued(subtask_id="s2", turn=2, index=0, prompt=" Mali ")
    done = SubagentCompleted(subtask_id="s2", attempt=1, report="", stop_reason=StopReason.ANSWERED, num_turns=1)
    await team.take_note([Logged(seq=4, event=again), Logged(seq=5, event=done)])
    made_up = conclude(created(), trajectory(ANSWER), team)

    assert isinstance(lost, RunIncomplete)
    assert lost.reason == "tool_outage"
    assert isinstance(made_up, RunCompleted)


@pytest.mark.parametrize(
    ("text", "stop", "reason"),
    [
        (r"So: \boxed{Bamako}", StopReason.ANSWERED, None),
        (r"<think>\boxed{Paris}</think> \boxed{Bamako}", StopReason.ANSWERED, None),
        (r"<think>\boxed{Paris}</think> Bamako", StopReason.ANSWERED, "no_answer"),
        (r"\boxed{ }", StopReason.ANSWERED, "no_answer"),
        (r"\boxed{Bam", StopReason.ANSWERED, "no_answer"),
        (ANSWER, StopReason.ANSWERED, "no_answer"),
        ("", StopReason.ANSWERED, "no_answer"),
        (r"\boxed{Bamako}", StopReason.TURN_LIMIT, "turn_limit"),
        ("", StopReason.DEADLINE, "deadline"),
    ],
)
def test_a_question_is_answered_by_a_box_that_holds_something(text: str, stop: StopReason, reason: str | None) -> None:
    end = conclude(created(QUESTION), trajectory(text, stop), subagents(QUESTION))

    assert isinstance(end, RunIncomplete if reason else RunCompleted)
    assert end.answer_text == text
    assert end.table is None
    assert getattr(end, "reason", None) == reason


async def test_a_box_beside_a_lost_subtask_is_not_taken_for_a_full_answer() -> None:
    team = subagents(QUESTION)
    outage = RunError(code="upstream-unavailable", message="down", service="retrieval")
    await team.take_note(
        [
            Logged(seq=2, event=SubagentQueued(subtask_id="s1", turn=1, index=0, prompt="Mali")),
            Logged(seq=3, event=SubagentFailed(subtask_id="s1", attempt=1, error=outage)),
        ]
    )

    end = conclude(created(QUESTION), trajectory(r"\boxed{Bamako}"), team)

    assert isinstance(end, RunIncomplete)
    assert end.reason == "tool_outage"


def test_rows_that_are_names_and_nothing_else_are_no_answer() -> None:
    end = conclude(created(), trajectory("| Country | Capital |\n|---|---|\n| Atlantis |  |\n| Mu |  |"), subagents())

    assert isinstance(end, RunIncomplete)
    assert end.reason == "no_facts"
    assert end.table is not None
    assert len(end.table.rows) == 2


def test_a_table_of_one_column_is_an_answer() -> None:
    request = RunRequest(query="Which countries border Mali?")

    end = conclude(created(request), trajectory("| Country | \n|---|\n| Chad |"), subagents(request))

    assert isinstance(end, RunCompleted)
