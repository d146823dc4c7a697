"""The run object as the log's events add up to it."""

from typing import Any

import pytest

from services.orchestrator.fold import RunFold
from wideseek.contracts import Column, RunError, RunRequest, RunStatus, SubagentCounts
from wideseek.events import (
    Event,
    Logged,
    RowUpserted,
    RunCancelled,
    RunCancelling,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunIncomplete,
    SubagentCancelled,
    SubagentCompleted,
    SubagentFailed,
    SubagentQueued,
    SubagentStarted,
    TableSchema,
    ToolCompleted,
    TurnCompleted,
    TurnStarted,
)
from wideseek.messages import Completion, ToolCall
from wideseek.tables import Table
from wideseek.trajectory import Role, Source, StopReason, ToolResult, Usage

CREATED = RunCreated(run_id="ws_1", request=RunRequest(query="Which?"), model="expert", deadline=9, at=1)
NIGER = Table(columns=("Country", "Capital"), rows=(("Niger", "Niamey"),))


def folded(*events: Event, created: RunCreated = CREATED) -> RunFold:
    fold = RunFold(created)
    fold.add_all(Logged(seq=number, event=event) for number, event in enumerate([created, *events], 1))
    return fold


def started(subtask_id: str, attempt: int = 1) -> SubagentStarted:
    return SubagentStarted(subtask_id=subtask_id, attempt=attempt, worker="w")


def queued(subtask_id: str) -> SubagentQueued:
    return SubagentQueued(subtask_id=subtask_id, turn=0, index=0, prompt="Find it.")


def reported(subtask_id: str, attempt: int = 1) -> SubagentCompleted:
    return SubagentCompleted(
        subtask_id=subtask_id, attempt=attempt, report="done", stop_reason=StopReason.ANSWERED, num_turns=1
    )


def completed_turn(role: Role, turn: int, prompt_tokens: int, completion_tokens: int) -> TurnCompleted:
    completion = Completion(text="x", prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return TurnCompleted(agent_id="a", role=role, turn=turn, completion=completion)


def tool_completed(name: str, *urls: str, role: Role = Role.SUBAGENT) -> ToolCompleted:
    sources = tuple(Source(url=url, title=url.upper(), content_sha256=f"sha-{url}", start=0, end=1) for url in urls)
    result = ToolResult(call=ToolCall(name=name, arguments={}), content="…", sources=sources)
    return ToolCompleted(agent_id="a", role=role, turn=0, index=0, result=result)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], RunStatus.QUEUED),
        ([RunClaimed(replica="r", claim=1)], RunStatus.RUNNING),
        ([RunClaimed(replica="r", claim=1), RunCancelling()], RunStatus.CANCELLING),
        ([RunCancelling(), RunClaimed(replica="r", claim=1)], RunStatus.CANCELLING),
        ([RunCompleted(table=NIGER, answer_text="x"), RunCancelling()], RunStatus.COMPLETED),
        ([RunFailed(error=RunError(code="c", message="m"))], RunStatus.FAILED),
        ([RunIncomplete(reason="budget", table=None, answer_text="")], RunStatus.INCOMPLETE),
    ],
)
def test_the_status_follows_the_events(events: list[Event], status: RunStatus) -> None:
    assert folded(*events).run().status is status


def test_a_subtask_counts_once_whatever_its_attempts() -> None:
    failed = SubagentFailed(subtask_id="d", attempt=1, error=RunError(code="c", message="m"))

    run = folded(
        *(queued(name) for name in "abcde"),
        *(started(name) for name in "bcd"),
        started("b", attempt=2),
        reported("c"),
        started("c", attempt=2),
        failed,
        SubagentCancelled(subtask_id="e", attempt=1),
    ).run()

    assert run.progress.subagents == SubagentCounts(queued=1, running=1, completed=1, failed=1, cancelled=1)


def test_usage_is_summed_by_role_and_in_all() -> None:
    run = folded(
        completed_turn(Role.LEAD, 0, 100, 10),
        completed_turn(Role.SUBAGENT, 0, 50, 5),
        completed_turn(Role.SUBAGENT, 1, 70, 7),
        tool_completed("search"),
    ).run()

    assert run.usage["lead"] == Usage(prompt_tokens=100, completion_tokens=10, model_calls=1)
    assert run.usage["subagent"] == Usage(prompt_tokens=120, completion_tokens=12, model_calls=2, tool_calls=1)
    assert run.usage["total"] == Usage(prompt_tokens=220, completion_tokens=22, model_calls=3, tool_calls=1)


def test_only_the_leads_turns_are_the_runs_and_a_repeated_one_counts_once() -> None:
    def begun(role: Role, turn: int) -> TurnStarted:
        return TurnStarted(agent_id="a", role=role, turn=turn)

    run = folded(begun(Role.LEAD, 0), begun(Role.LEAD, 1), begun(Role.LEAD, 1), begun(Role.SUBAGENT, 7)).run()

    assert run.progress.turn == 2


def test_sources_are_the_distinct_pages_that_were_accessed() -> None:
    run = folded(
        tool_completed("access", "a", "b", "a"), tool_completed("access", "b"), tool_completed("search", "c")
    ).run()

    assert [source.url for source in run.sources] == ["a", "b"]
    assert run.progress.pages_read == 2


def test_reported_rows_make_a_provisional_table() -> None:
    run = folded(
        TableSchema(columns=NIGER.columns),
        RowUpserted(key="Niger", cells=("Niger", "")),
        RowUpserted(key="Chad", cells=("Chad", "N'Djamena", "too wide")),
        RowUpserted(key="NIGER ", cells=("Niger", "Niamey")),
        RowUpserted(key="Mali", cells=("Mali",)),
    ).run()

    assert run.table == Table(columns=NIGER.columns, rows=(("Niger", "Niamey"), ("Chad", "N'Djamena"), ("Mali", "")))
    assert (run.progress.rows, run.progress.cells_filled, run.progress.cells_total) == (3, 5, 6)


def test_rows_follow_a_new_schema_by_their_headings() -> None:
    run = folded(
        TableSchema(columns=NIGER.columns),
        RowUpserted(key="niger", cells=NIGER.rows[0]),
        TableSchema(columns=("capital", "Population", "Country")),
    ).run()

    assert run.table == Table(columns=("capital", "Population", "Country"), rows=(("Niamey", "", "Niger"),))


def test_rows_without_a_schema_take_the_requests_columns() -> None:
    request = RunRequest(query="Which?", columns=(Column(name="Country"), Column(name="Capital")))
    created = CREATED.model_copy(update={"request": request})

    assert folded(RowUpserted(key="n", cells=NIGER.rows[0]), created=created).run().table == NIGER
    assert folded(RowUpserted(key="n", cells=NIGER.rows[0])).run().table is None


def test_the_leads_answer_replaces_the_reported_rows() -> None:
    rows: list[Event] = [TableSchema(columns=("X",)), RowUpserted(key="x", cells=("x",))]

    run = folded(*rows, RunCompleted(table=NIGER, answer_text="| … |", at=5)).run()

    assert run.table == NIGER
    assert run.answer_text == "| … |"
    assert run.completed_at == 5


def test_an_incomplete_run_without_an_answer_shows_the_rows_there_are() -> None:
    rows: list[Event] = [TableSchema(columns=("X",)), RowUpserted(key="x", cells=("x",))]

    run = folded(*rows, RunIncomplete(reason="deadline", table=None, answer_text="")).run()

    assert run.table == Table(columns=("X",), rows=(("x",),))
    assert run.incomplete_reason == "deadline"


def test_a_cancelled_run_proves_that_it_stopped() -> None:
    stopped = RunCancelled(requested_at=3, stopped_at=4, workers_stopped=2, tokens_after_cancel=7)

    during = folded(RunCancelling(at=3)).run().cancellation
    after = folded(RunCancelling(at=3), stopped).run().cancellation

    assert during is not None
    assert (during.requested_at, during.stopped_at) == (3, None)
    assert after is not None
    assert (after.stopped_at, after.workers_stopped, after.tokens_after_cancel) == (4, 2, 7)


def test_events_seen_before_and_events_too_early_are_passed_over() -> None:
    fold = folded(queued("a"))
    once: dict[str, Any] = fold.run().model_dump()

    fold.add_all([Logged(seq=2, event=queued("a")), Logged(seq=9, event=queued("z"))])

    assert fold.run().model_dump() == once
    assert fold.last_seq == 2


def test_late_results_still_count_after_the_end() -> None:
    fold = folded(RunCompleted(table=NIGER, answer_text="x"), completed_turn(Role.SUBAGENT, 0, 5, 1))

    assert fold.terminal_seq == 2
    assert fold.run().usage["total"].prompt_tokens == 5
    assert fold.run().table == NIGER


def test_a_question_shows_what_its_final_text_has_in_the_box() -> None:
    request = RunRequest.model_validate({"query": "Capital of Niger?", "output": "answer"})
    asked = CREATED.model_copy(update={"request": request, "subagent_model": "small"})

    working = folded(created=asked).run()
    answered = folded(RunCompleted(answer_text=r"It is \boxed{\text{Niamey}}."), created=asked).run()
    empty = folded(RunIncomplete(reason="no_answer", answer_text=r"\boxed{}"), created=asked).run()

    assert [run.answer for run in (working, answered, empty)] == [None, "Niamey", None]
    assert (answered.output, answered.subagent_model, answered.table) == ("answer", "small", None)


def test_a_box_in_a_table_run_is_no_answer() -> None:
    run = folded(RunCompleted(table=NIGER, answer_text=r"\boxed{Niamey}")).run()

    assert run.answer is None
