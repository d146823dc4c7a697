"""What a run took, from hand-made public events with hand-computed numbers."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.evaluation.cost import Measured, Rates, measure
from wideseek.contracts import Limits, Mode, Run, RunStatus
from wideseek.errors import ContractViolation
from wideseek.events import (
    Event,
    Logged,
    SubagentQueued,
    SubagentStarted,
    ToolCalled,
    ToolCompleted,
    TurnCompleted,
    TurnStarted,
)
from wideseek.messages import Completion, ToolCall
from wideseek.trajectory import Role, Source, ToolResult

LEAD, SUBAGENT = Role.LEAD, Role.SUBAGENT


def run_in(mode: Mode = Mode.MULTI_AGENT, **changes: Any) -> Run:
    times = {"created_at": 99.0, "started_at": 100.0, "completed_at": 150.0}
    facts = {"id": "ws_1", "status": RunStatus.COMPLETED, "query": "Which?", "mode": mode, "model": "m"}
    return Run.model_validate({**facts, **times, "limits": Limits(), **changes})


def model_call(agent: str, role: Role, turn: int, begun: float, ended: float, *, attempt: int = 1) -> list[Event]:
    """1,000 prompt and 100 completion tokens."""
    done = Completion(text="x", token_ids=(1,), logprobs=(0.0,), prompt_tokens=1_000, completion_tokens=100)
    started = TurnStarted(agent_id=agent, role=role, turn=turn, attempt=attempt, at=begun)
    return [
        started,
        TurnCompleted(agent_id=agent, role=role, turn=turn, completion=done, attempt=attempt, at=ended),
    ]


def called(agent: str, role: Role, turn: int, index: int, at: float, name: str = "search") -> Event:
    call = ToolCall(name=name, arguments={})
    return ToolCalled(agent_id=agent, role=role, turn=turn, index=index, call=call, at=at)


def served(
    agent: str, role: Role, turn: int, index: int, at: float, name: str = "search", **result: Any
) -> ToolCompleted:
    call = result.pop("call", ToolCall(name=name, arguments={}))
    whole = ToolResult.model_validate({"call": call, "content": "long text", **result})
    return ToolCompleted(agent_id=agent, role=role, turn=turn, index=index, result=whole, at=at)


def tool(agent: str, turn: int, index: int, begun: float, ended: float, **result: Any) -> list[Event]:
    return [called(agent, SUBAGENT, turn, index, begun), served(agent, SUBAGENT, turn, index, ended, **result)]


def queued(subtask_id: str, turn: int, index: int, at: float) -> Event:
    return SubagentQueued(subtask_id=subtask_id, turn=turn, index=index, prompt="Find.", at=at)


def delegated(turn: int, index: int, at: float, *ids: str) -> list[Event]:
    return [
        called("lead", LEAD, turn, index, at, "call_subagent"),
        *(queued(name, turn, index * 10 + place, at) for place, name in enumerate(ids)),
    ]


def reported(turn: int, index: int, at: float, *ids: str) -> Event:
    return served("lead", LEAD, turn, index, at, "call_subagent", subtask_ids=ids)


def measured(
    facts: Sequence[Event], run: Run | None = None, *, rates: Rates | None = None, rows: int | None = None
) -> Measured:
    events = [Logged(seq=number, event=fact).public() for number, fact in enumerate(facts, 1)]
    return measure(events, run or run_in(), rates=rates or Rates(), accepted_rows=rows)


WAVE = [
    *model_call("lead", LEAD, 1, 100, 102),
    *delegated(1, 0, 102, "s1", "s2"),
    # s1 waits 3 s for a worker, then thinks for 1 s, searches twice side by side (2 s and 4 s), writes for 2 s: 7 s.
    *model_call("s1", SUBAGENT, 1, 105, 106),
    called("s1", SUBAGENT, 1, 0, 106),
    called("s1", SUBAGENT, 1, 1, 106),
    served("s1", SUBAGENT, 1, 0, 108),
    served("s1", SUBAGENT, 1, 1, 110),
    *model_call("s1", SUBAGENT, 2, 110, 112),
    # s2 has to wait for s1's worker and then needs 5 s.
    *model_call("s2", SUBAGENT, 1, 112, 117),
    reported(1, 0, 117, "s1", "s2"),
    *model_call("lead", LEAD, 2, 118, 121),
]
"""A lead with one wave of two subagents."""


def test_a_wave_takes_as_long_as_its_slowest_subagent_works() -> None:
    cost = measured(WAVE).cost

    # lead 2 + 3, wave max(7, 5); s2's wait for a worker is none of it
    assert cost.critical_path_s == pytest.approx(2 + 7 + 3)
    # lead twice, s1 twice
    assert cost.critical_path_calls == 4
    # lead 2 + 3, s1 1 + 2 + 4 + 2, s2 5
    assert cost.work_s == pytest.approx(5 + 9 + 5)
    assert cost.wall_s == 50


def test_one_subagent_at_a_time_makes_a_wave_the_sum() -> None:
    cost = measured(WAVE, run_in(Mode.SEQUENTIAL)).cost

    assert cost.critical_path_s == pytest.approx(2 + (7 + 5) + 3)
    assert cost.critical_path_calls == 5
    assert cost.work_s == pytest.approx(19)


def test_calls_tokens_and_widths_are_counted() -> None:
    cost = measured(WAVE).cost

    assert (cost.model_calls, cost.tool_calls, cost.tokens) == (5, 3, 5 * 1_100)
    assert (cost.subagents, cost.waves) == (2, (2,))
    assert cost.turns == {"lead": (2,), "subagent": (2, 1)}


def test_two_waves_in_a_turn_run_side_by_side_and_waves_of_two_turns_do_not() -> None:
    facts = [
        *model_call("lead", LEAD, 1, 0, 1),
        *delegated(1, 0, 1, "s1"),
        *delegated(1, 1, 1, "s2", "s3"),
        *model_call("s1", SUBAGENT, 1, 1, 4),
        *model_call("s2", SUBAGENT, 1, 1, 3),
        *model_call("s3", SUBAGENT, 1, 1, 6),
        reported(1, 0, 4, "s1"),
        reported(1, 1, 6, "s2", "s3"),
        *model_call("lead", LEAD, 2, 6, 7),
        *delegated(2, 0, 7, "s4"),
        *model_call("s4", SUBAGENT, 1, 7, 9),
        reported(2, 0, 9, "s4"),
        *model_call("lead", LEAD, 3, 9, 10),
    ]

    parallel, in_turn = measured(facts).cost, measured(facts, run_in(Mode.SEQUENTIAL)).cost

    assert (parallel.critical_path_s, parallel.critical_path_calls) == (3 + 5 + 2, 5)
    assert (in_turn.critical_path_s, in_turn.critical_path_calls) == (3 + (3 + 2 + 5) + 2, 7)
    assert parallel.waves == (3, 1)


def test_an_agent_that_works_alone_is_its_own_critical_path() -> None:
    facts = [
        *model_call("lead", Role.SINGLE, 1, 0, 2),
        called("lead", Role.SINGLE, 1, 0, 2),
        served("lead", Role.SINGLE, 1, 0, 3),
        *model_call("lead", Role.SINGLE, 2, 3, 5),
    ]

    cost = measured(facts, run_in(Mode.SINGLE_AGENT)).cost

    assert (cost.critical_path_s, cost.critical_path_calls, cost.work_s) == (5, 2, 5)
    assert (cost.subagents, cost.waves, cost.turns) == (0, (), {"single": (2,)})


def test_a_subtask_taken_up_again_pays_twice_and_waits_once() -> None:
    facts = [
        *model_call("lead", LEAD, 1, 0, 1),
        *delegated(1, 0, 1, "s1"),
        # The first attempt took two turns and was lost; the second begins at turn 1 again.
        *model_call("s1", SUBAGENT, 1, 1, 5),
        *tool("s1", 1, 0, 5, 6),
        *model_call("s1", SUBAGENT, 2, 6, 9),
        SubagentStarted(subtask_id="s1", attempt=2, worker="w2"),
        *model_call("s1", SUBAGENT, 1, 20, 22, attempt=2),
        reported(1, 0, 22, "s1"),
        *model_call("lead", LEAD, 2, 22, 23),
    ]

    cost = measured(facts).cost

    assert cost.critical_path_s == pytest.approx(1 + 2 + 1)
    assert cost.work_s == pytest.approx(1 + 4 + 1 + 3 + 2 + 1)
    assert (cost.model_calls, cost.tokens, cost.subagents) == (5, 5_500, 1)
    assert cost.turns == {"lead": (2,), "subagent": (1,)}


def test_a_resumed_subtask_keeps_the_turns_it_had() -> None:
    facts = [
        *model_call("lead", LEAD, 1, 0, 1),
        *delegated(1, 0, 1, "s1"),
        *model_call("s1", SUBAGENT, 1, 1, 3),
        # Begun, and lost with its worker; 30 s later another one goes on there.
        TurnStarted(agent_id="s1", role=SUBAGENT, turn=2, at=3),
        *model_call("s1", SUBAGENT, 2, 33, 34, attempt=2),
        reported(1, 0, 34, "s1"),
    ]

    assert measured(facts).cost.critical_path_s == pytest.approx(1 + 2 + 1)


def test_a_late_subagent_counts_for_what_it_had_done_when_the_lead_went_on() -> None:
    facts = [
        *model_call("lead", LEAD, 1, 0, 1),
        *delegated(1, 0, 1, "s1", "s2"),
        *model_call("s1", SUBAGENT, 1, 1, 3),
        *model_call("s2", SUBAGENT, 1, 1, 5),
        reported(1, 0, 10, "s1", "s2"),
        *model_call("lead", LEAD, 2, 10, 11),
        *model_call("s2", SUBAGENT, 2, 5, 60),
    ]

    cost = measured(facts).cost

    assert cost.critical_path_s == pytest.approx(1 + 4 + 1)
    assert cost.work_s == pytest.approx(1 + 2 + 4 + 1 + 55)


def test_a_wave_that_the_end_cut_short_counts() -> None:
    facts = [
        *model_call("lead", LEAD, 1, 0, 1),
        *delegated(1, 0, 1, "s1", "s2"),
        *model_call("s1", SUBAGENT, 1, 1, 7),
    ]

    cost = measured(facts).cost

    assert (cost.critical_path_s, cost.waves, cost.turns) == (7, (2,), {"lead": (1,), "subagent": (1,)})


def test_without_a_start_the_caller_s_own_clock_counts() -> None:
    done = Completion(text="x", seconds=2.5)
    facts = [TurnCompleted(agent_id="lead", role=LEAD, turn=1, completion=done, at=50)]

    assert measured(facts).cost.critical_path_s == 2.5


def test_a_run_that_nobody_began_cost_nothing() -> None:
    found = measured([], run_in(started_at=None))

    assert found == Measured(cost=found.cost, opened=frozenset(), format_failures=0)
    assert (found.cost.tokens, found.cost.wall_s, found.cost.critical_path_s, found.cost.turns) == (0, 0, 0, {})


def test_money_and_energy_by_hand() -> None:
    # 5 calls: 5,000 prompt and 500 completion tokens.
    rates = Rates(usd_per_mtok_prompt=2, usd_per_mtok_completion=10, params_billion=4, flop_per_joule=1e11)

    cost = measured(WAVE, rates=rates, rows=4).cost

    assert cost.usd == pytest.approx((5_000 * 2 + 500 * 10) / 1e6)
    assert cost.usd_per_row == pytest.approx(0.015 / 4)
    assert cost.tokens_per_row == pytest.approx(5_500 / 4)
    # 2 * 4e9 * 5,500 = 4.4e13 FLOP, 440 J
    assert cost.energy_wh == pytest.approx(440 / 3_600)


@pytest.mark.parametrize("rows", [None, 0])
def test_without_an_accepted_row_there_is_no_price_a_row(rows: int | None) -> None:
    cost = measured(WAVE, rates=Rates(usd_per_mtok_prompt=1), rows=rows).cost

    assert (cost.usd_per_row, cost.tokens_per_row) == (None, None)


def test_energy_of_a_model_of_unknown_size_is_not_made_up() -> None:
    assert measured(WAVE).cost.energy_wh is None
    assert "unknown" in str(Rates().assumptions()["params_billion"])
    assert Rates(params_billion=4).assumptions()["params_billion"] == 4


def test_pages_that_were_read_are_told_from_pages_that_were_found() -> None:
    def source(url: str) -> Source:
        return Source(url=url, content_sha256="s", start=0, end=1)

    facts = [
        *model_call("s1", SUBAGENT, 1, 0, 1),
        served("s1", SUBAGENT, 1, 0, 1, "search", sources=(source("found"),)),
        served("s1", SUBAGENT, 1, 1, 1, "access", sources=(source("read"), source("read"), source("read too"))),
        served("s1", SUBAGENT, 1, 2, 1, "access", failed=True),
    ]

    assert measured(facts).opened == {"read", "read too"}


def failed(role: Role, name: str, arguments: dict[str, Any]) -> ToolCompleted:
    return served("a", role, 1, 0, 1, call=ToolCall(name=name, arguments=arguments), failed=True)


@pytest.mark.parametrize(
    ("result", "counts"),
    [
        (served("a", SUBAGENT, 1, 0, 1, call=None, failed=True), True),
        (failed(SUBAGENT, "browse", {"urls": ["x"]}), True),
        (failed(SUBAGENT, "call_subagent", {"subtasks": ["x"]}), True),
        (failed(LEAD, "search", {"queries": ["x"]}), True),
        (failed(SUBAGENT, "search", {"query": "x"}), True),
        (failed(SUBAGENT, "search", {"queries": [{"query": " "}]}), True),
        (failed(LEAD, "call_subagent", {"subtasks": []}), True),
        # well written: no such page, one too many, no subagent came back
        (failed(SUBAGENT, "access", {"urls": [{"url": "no:where"}]}), False),
        (failed(Role.SINGLE, "search", {"queries": ["x"] * 9}), False),
        (failed(LEAD, "call_subagent", {"subtasks": ["x"]}), False),
        (served("a", SUBAGENT, 1, 0, 1), False),
    ],
)
def test_only_calls_that_are_badly_written_are_failures_of_form(result: ToolCompleted, counts: bool) -> None:
    assert measured([*model_call("a", result.role, 1, 0, 1), result]).format_failures == int(counts)


def test_other_events_are_passed_over_and_broken_ones_are_not() -> None:
    broken = {"type": "turn.completed", "sequence_number": 7, "agent_id": "lead"}

    assert measure([{"type": "from.the.future"}], run_in(), rates=Rates(), accepted_rows=None).cost.tokens == 0
    with pytest.raises(ContractViolation, match=r"event 7 \(turn.completed\)"):
        measure([broken], run_in(), rates=Rates(), accepted_rows=None)
