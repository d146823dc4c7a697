"""Demonstrations recorded: every task asked once, and what is kept a function of the store alone."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from services.kit.asking import Interrupted, Patience, Stop
from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.record import Kept, Recording, Selection, agent_tokens, score_of, select
from tests.collect_parts import RIGHT, Bench, Cluster, End, IndexInMemory, rollout_of, until
from tests.evaluation_parts import question, wide
from wideseek.contracts import Mode, Output, PromptProfile, RunRequest, RunStatus, Training
from wideseek.errors import InvalidRequest, UpstreamError
from wideseek.instances import Task
from wideseek.rollout import AgentRecord, AgentStatus, Rollout, RolloutSource, RolloutStatus, rollout_id_of
from wideseek.trajectory import Role

JOB = "shown"
TASKS: list[Task] = [wide("w0"), wide("w1"), question("q0")]
HALF = RIGHT.replace("Lima", "Cusco")
"""Three of four cells are right: item F1 is 3/4."""
RUNS = sorted((f"ws_{number}" for number in range(9)), key=lambda run_id: rollout_id_of(run_id, None, None, 0))
"""Runs in the order of their rollouts' ids."""


def well(request: RunRequest) -> End:
    """A demonstration that is right."""
    answer = "\\boxed{Lima}" if request.output is Output.ANSWER else RIGHT
    return End(answer=answer, source=RolloutSource.DEMONSTRATION)


def cluster_at(folder: Path, **more: Any) -> Cluster:
    return Bench.at(folder, **{"end": well, **more}).cluster


def recording(cluster: Cluster, **more: Any) -> Recording:
    patience = Patience(tries=3, backoff_s=0.001, poll_s=0.001)
    return Recording(**{"job_id": JOB, "runs": cluster, "patience": patience, **more})


# ---- asking -----------------------------------------------------------------------------------


async def test_every_task_is_asked_once_as_a_run_that_opts_in(tmp_path: Path) -> None:
    cluster, done = cluster_at(tmp_path), list[str]()

    await recording(cluster, model="expert").record(TASKS, lambda task: done.append(task.instance_id))

    assert sorted(done) == ["q0", "w0", "w1"]
    asked = {request.training.task_id: request for request in cluster.requests}
    assert sorted(asked, key=str) == ["q0", "w0", "w1"]
    assert asked["w0"].query == "w0: Country, Capital?"
    assert {request.output for request in asked.values()} == {Output.TABLE, Output.ANSWER}
    for request in asked.values():
        assert (request.mode, request.prompt_profile) == (Mode.MULTI_AGENT, PromptProfile.COMPACT)
        assert (request.model, request.training.job_id, request.training.split) == ("expert", JOB, "train")
        assert request.training.opt_in
    assert len(list(cluster.store.scan(JOB))) == 3


async def test_the_profile_is_the_callers(tmp_path: Path) -> None:
    cluster = cluster_at(tmp_path)

    await recording(cluster, profile=PromptProfile.FULL).record(TASKS, lambda _: None)

    assert {request.prompt_profile for request in cluster.requests} == {PromptProfile.FULL}


async def test_another_process_finds_what_was_asked_already(tmp_path: Path) -> None:
    cluster = cluster_at(tmp_path)
    await recording(cluster).record(TASKS[:2], lambda _: None)

    await recording(cluster).record(TASKS, lambda _: None)

    assert [request.training.task_id for request in cluster.requests[2:]] == ["q0"]


@pytest.mark.parametrize("width", [1, 3])
async def test_so_many_are_asked_side_by_side(tmp_path: Path, width: int) -> None:
    cluster = cluster_at(tmp_path)

    await recording(cluster, concurrency=width).record([wide(f"w{n}") for n in range(9)], lambda _: None)

    assert cluster.peak == width


async def test_an_outage_is_sat_out_and_a_run_it_ended_is_asked_again(tmp_path: Path) -> None:
    ends = iter([End(status=RunStatus.FAILED, source=RolloutSource.DEMONSTRATION)])
    cluster = cluster_at(tmp_path, end=lambda request: next(ends, well(request)), down=1)

    await recording(cluster).record(TASKS[:1], lambda _: None)

    assert len(cluster.requests) == 2


async def test_an_outage_that_lasts_ends_it(tmp_path: Path) -> None:
    done: list[Task] = []

    with pytest.raises(UpstreamError, match="does not answer"):
        await recording(cluster_at(tmp_path, down=10_000)).record(TASKS, done.append)

    assert done == []


async def test_a_refusal_ends_it_at_once(tmp_path: Path) -> None:
    cluster = cluster_at(tmp_path, end=lambda _: InvalidRequest("no such model", field="/model"))

    with pytest.raises(InvalidRequest, match="task w0 was refused: /model: no such model"):
        await recording(cluster, concurrency=1).record(TASKS, lambda _: None)


async def test_one_that_is_stopped_cancels_what_it_waits_for_and_is_gone_on_with(tmp_path: Path) -> None:
    held, stop = True, Stop()
    cluster = cluster_at(tmp_path, hold=lambda _: held)
    working = asyncio.ensure_future(recording(cluster, stop=stop, concurrency=1).record(TASKS, lambda _: None))
    await until(lambda: len(cluster.requests) == 1)

    stop.set("interrupted")
    with pytest.raises(Interrupted):
        await working
    held = False
    await recording(cluster).record(TASKS, lambda _: None)

    assert cluster.cancelled == ["ws_0"]
    assert len(list(cluster.store.scan(JOB))) == 3


# ---- choosing ---------------------------------------------------------------------------------


def shown(run: str, task: str, **end: Any) -> Rollout:
    """A rollout of a task, a demonstration unless said otherwise."""
    place = Training(opt_in=True, job_id=JOB, task_id=task)
    request = RunRequest(query="?", model="expert", training=place)
    return rollout_of(run, request, End(**{"source": RolloutSource.DEMONSTRATION, **end}))


def with_subagent(rollout: Rollout, *turns: tuple[int, int]) -> Rollout:
    """The rollout with a subagent whose turns have so many tokens of prompt and sampled."""
    first = rollout.agents[0].turns[0]
    made = tuple(
        first.model_copy(
            update={
                "turn_index": place,
                "prompt_token_ids": (1,) * prompt,
                "sampled_token_ids": (2,) * sampled,
                "sampled_logprobs": (-0.5,) * sampled,
                "weight_version_spans": (first.weight_version_spans[0].model_copy(update={"end": sampled}),),
            }
        )
        for place, (prompt, sampled) in enumerate(turns)
    )
    below = AgentRecord(
        agent_id="s",
        role=Role.SUBAGENT,
        parent_agent_id="lead",
        parent_turn_index=0,
        subtask="?",
        status=AgentStatus.ANSWERED,
        turns=made,
    )
    return rollout.model_copy(update={"agents": (*rollout.agents, below)})


def test_the_length_of_an_agent_is_that_of_its_last_context() -> None:
    """The lead's last turn has the prompt tokens 1 to 6 and samples 3; the subagent's 30 and 7."""
    rollout = with_subagent(shown("ws_0", "w0"), (10, 5), (30, 7))

    assert list(agent_tokens(rollout)) == [6 + 3, 30 + 7]
    assert list(agent_tokens(with_subagent(rollout))) == [9, 37, 0]


@pytest.mark.parametrize(
    ("task", "answer", "score"),
    [
        (wide("w"), RIGHT, 1.0),
        (wide("w"), HALF, 0.75),
        (wide("w"), "", 0.0),
        (question("q"), "\\boxed{Lima}", 1.0),
        (question("q"), "\\boxed{Cusco}", 0.0),
    ],
)
async def test_a_table_is_scored_by_its_cells_and_an_answer_by_exact_match(
    task: Task, answer: str, score: float
) -> None:
    assert await score_of(answer, task) == score


@pytest.mark.parametrize(
    ("rollout", "task", "reason"),
    [
        (shown("a", "w0", answer=RIGHT), TASKS[0], ""),
        (shown("a", "w0", answer=HALF), TASKS[0], "low_score"),
        (shown("a", "w0", source=RolloutSource.POLICY), TASKS[0], "no_demonstration"),
        (shown("a", "w0", lead=AgentStatus.TURN_LIMIT), TASKS[0], "failed_task"),
        (shown("a", "w0", reason="tool_outage"), TASKS[0], "infra_error"),
        (shown("a", "other"), None, "unknown_task"),
        (with_subagent(shown("a", "w0"), (2_000, 48)), TASKS[0], ""),
        (with_subagent(shown("a", "w0"), (2_000, 49)), TASKS[0], "too_long"),
        (with_subagent(shown("a", "w0"), (2_000, 49), (10, 1)), TASKS[0], ""),
    ],
)
async def test_a_rollout_is_left_out_for_one_reason(rollout: Rollout, task: Task | None, reason: str) -> None:
    assert await Selection().why_not(rollout, task) == reason


@pytest.mark.parametrize(("least", "reason"), [(0.75, ""), (0.76, "low_score"), (0.0, "")])
async def test_how_good_is_good_enough_is_said(least: float, reason: str) -> None:
    assert await Selection(min_score=least).why_not(shown("a", "w0", answer=HALF), TASKS[0]) == reason


@dataclass
class Written:
    """A store of some rollouts, put in an order."""

    folder: Path

    def holding(self, rollouts: Sequence[Rollout]) -> RolloutStore:
        store = RolloutStore.open(str(self.folder))
        for rollout in rollouts:
            store.put(rollout, JOB)
        return store


def several() -> list[Rollout]:
    return [
        with_subagent(shown(RUNS[0], "w0"), (30, 7)),
        shown(RUNS[1], "w1", answer=HALF),
        shown(RUNS[2], "q0", answer="\\boxed{Lima}"),
        shown(RUNS[3], "gone"),
        shown(RUNS[4], "w0", answer=HALF),
        shown(RUNS[5], "w1", reason="tool_outage"),
        shown(RUNS[6], "w1"),
    ]


async def test_one_rollout_a_task_is_kept_and_the_rest_is_counted_by_reason(tmp_path: Path) -> None:
    kept, counted = await select(Written(tmp_path).holding(several()), JOB, TASKS, Selection())

    assert [(rollout.run_id, rollout.task_id) for rollout in kept] == [
        (RUNS[0], "w0"),
        (RUNS[2], "q0"),
        (RUNS[6], "w1"),
    ]
    assert counted.left_out == {"duplicate": 1, "infra_error": 1, "low_score": 1, "unknown_task": 1}
    assert (counted.recorded, counted.kept) == (7, 3)
    assert counted.agents == {"lead": 3, "subagent": 1}
    assert counted.tokens == {"lead": 3 * 9, "subagent": 37}


async def test_what_is_kept_follows_from_the_store_alone(tmp_path: Path) -> None:
    orders = [several(), several()[::-1], random.Random(3).sample(several(), 7)]

    found = [
        await select(Written(tmp_path / str(place)).holding(order), JOB, tasks, Selection())
        for place, (order, tasks) in enumerate(zip(orders, [TASKS, TASKS[::-1], TASKS], strict=True))
    ]

    assert found[0] == found[1] == found[2]
    assert found[0] == await select(RolloutStore.open(str(tmp_path / "0")), JOB, TASKS, Selection())


async def test_one_that_was_left_out_leaves_its_task_to_the_next(tmp_path: Path) -> None:
    store = Written(tmp_path).holding([shown(RUNS[2], "w0"), shown(RUNS[1], "w0", answer=HALF)])

    kept, counted = await select(store, JOB, TASKS, Selection())

    assert [rollout.run_id for rollout in kept] == [RUNS[2]]
    assert counted.left_out == {"low_score": 1}


async def test_other_jobs_and_an_empty_one_are_nothing(tmp_path: Path) -> None:
    store = Written(tmp_path).holding(several())

    assert await select(store, "another", TASKS, Selection()) == (
        [],
        Kept(recorded=0, kept=0, left_out={}, agents={}, tokens={}),
    )


async def test_a_task_whose_name_no_run_can_carry_is_found_by_its_label(tmp_path: Path) -> None:
    task = wide("odd/name?")
    cluster = cluster_at(tmp_path)
    await recording(cluster).record([task], lambda _: None)

    kept, _ = await select(cluster.store, JOB, [task], Selection())

    assert cluster.requests[0].training.task_id != task.instance_id
    assert len(kept) == 1


async def test_what_was_recorded_is_chosen_from(tmp_path: Path) -> None:
    def end(request: RunRequest) -> End:
        return well(request) if request.training.task_id != "w1" else replace(well(request), answer=HALF)

    cluster = Cluster(tmp_path, RolloutStore.open(str(tmp_path)), IndexInMemory(), end=end)
    await recording(cluster).record(TASKS, lambda _: None)

    kept, counted = await select(cluster.store, JOB, TASKS, Selection())

    assert sorted(str(rollout.task_id) for rollout in kept) == ["q0", "w0"]
    assert counted.left_out == {"low_score": 1}
    assert all(rollout.status is RolloutStatus.OK for rollout in kept)
