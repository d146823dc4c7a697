"""Rewards from the record of a rollout, and held-out evaluation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.kit.asking import Patience
from services.trainer.collect.attempts import Pupil
from services.trainer.collect.evaluate import VersionEvaluation
from services.trainer.collect.scoring import Scoring, outcome_of
from services.trainer.config import AdvantageConfig, JobConfig, WeightsConfig
from services.trainer.folder import JobRecord
from services.trainer.objective.advantages import step_advantages
from services.trainer.objective.credit import shape
from tests.collect_parts import BASE, JOB, RIGHT, Bench, Cluster, End, collecting, config_of, rollout_of, usually_right
from tests.evaluation_parts import question, record, wide, write_tasks
from wideseek.contracts import RunRequest, RunStatus, Training
from wideseek.errors import JudgeUnavailable, UpstreamError
from wideseek.judging import DeterministicJudge
from wideseek.ports import AnswerPair
from wideseek.rewards import RewardRule
from wideseek.rollout import AgentRecord, AgentStatus, Rollout, ToolRecord
from wideseek.trajectory import Role, Source, StopReason

PLACE = RunRequest(query="?", model=BASE, training=Training(opt_in=True, job_id=JOB, group_id="g0-0", index_in_group=0))
PAGE = Source(url="page:1", content_sha256="ab" * 32, start=0, end=4)


def rollout(answer: str = RIGHT, **end: Any) -> Rollout:
    return rollout_of("ws_1", PLACE, End(answer=answer, **end))


def with_tool(made: Rollout, **call: Any) -> Rollout:
    """The rollout with a tool call in its lead's first turn."""
    tool = ToolRecord.model_validate({"name": "access", "args_hash": "a", "ok": True, "result_hash": "b", **call})
    lead = made.agents[0]
    turns = (lead.turns[0].model_copy(update={"tool_calls": (tool,)}), *lead.turns[1:])
    return made.model_copy(update={"agents": (lead.model_copy(update={"turns": turns}), *made.agents[1:])})


def with_subagent(made: Rollout, status: AgentStatus, tokens: int) -> Rollout:
    turn = (
        made.agents[0]
        .turns[0]
        .model_copy(
            update={
                "sampled_token_ids": (5,) * tokens,
                "sampled_logprobs": (-0.5,) * tokens,
                "weight_version_spans": (
                    made.agents[0].turns[0].weight_version_spans[0].model_copy(update={"end": tokens}),
                ),
            }
        )
    )
    below = AgentRecord(
        agent_id="sub:1", role=Role.SUBAGENT, parent_agent_id="lead", subtask="?", status=status, turns=(turn,)
    )
    return made.model_copy(update={"agents": (*made.agents, below)})


async def test_a_right_table_with_a_page_read_earns_all_terms() -> None:
    given = await Scoring().score(with_tool(rollout(), sources=(PAGE,)), wide("w"))

    assert given.components == {"answer": 1.0, "format": 0.1, "access": 0.05, "length": 0.0}
    assert given.total == pytest.approx(1.15)
    assert given.valid
    assert given.masks == ()
    assert given.answer_hash == rollout().answer_hash


async def test_an_access_counts_only_when_a_page_was_opened() -> None:
    tried: list[dict[str, Any]] = [
        {"ok": False, "sources": ()},
        {"ok": True, "sources": ()},
        {"name": "search", "sources": (PAGE,)},
    ]

    rewards = [await Scoring().score(with_tool(rollout(), **call), wide("w")) for call in tried]

    assert [given.components["access"] for given in rewards] == [0.0, 0.0, 0.0]


async def test_the_longest_turn_of_any_agent_is_what_length_is_taken_off_for() -> None:
    made = with_subagent(rollout(), AgentStatus.ANSWERED, tokens=4_000)

    given = await Scoring().score(made, wide("w"))

    assert given.components["length"] == pytest.approx(-0.05)


async def test_advantages_by_role_differ_where_only_subagents_were_long() -> None:
    """Totals 1.1 and 1.05: the lead, short in both, did nothing to earn the difference."""
    short = with_subagent(rollout(), AgentStatus.ANSWERED, tokens=100)
    long = with_subagent(rollout(), AgentStatus.ANSWERED, tokens=4_000).model_copy(update={"rollout_id": "long"})
    rewards = [await Scoring().score(made, wide("w")) for made in (short, long)]
    shapes = [shape(made, "g", given, "mask") for made, given in zip((short, long), rewards, strict=True)]

    shared = step_advantages(shapes, AdvantageConfig(estimator="mean"))
    by_role = step_advantages(shapes, AdvantageConfig(estimator="mean", per_role=True))

    assert [given.role_reward["lead"] for given in rewards] == pytest.approx([1.1, 1.1])
    assert [given.role_reward["subagent"] for given in rewards] == pytest.approx([1.1, 1.05])
    assert [given.total for given in rewards] == pytest.approx([1.1, 1.05])
    assert shared["long", None] == pytest.approx(-0.025)
    assert by_role["long", Role.LEAD] == 0.0
    assert by_role["long", Role.SUBAGENT] == pytest.approx(-0.025)


async def test_half_a_table_earns_its_item_f1() -> None:
    half = "```markdown\n| Country | Capital |\n| --- | --- |\n| Peru | Lima |\n```"

    given = await Scoring().score(rollout(half), wide("w"))

    assert given.components["answer"] == pytest.approx(2 * 1 * 0.5 / 1.5)


async def test_no_valid_answer_earns_nothing_and_keeps_the_last_turn_only() -> None:
    given = await Scoring().score(rollout("no table here"), wide("w"))

    assert (given.total, given.valid) == (0.0, False)
    assert [(mask.turn_index, mask.reason) for mask in given.masks] == [(0, "no_valid_answer")]


async def test_a_lead_that_ran_into_a_limit_earns_nothing() -> None:
    made = rollout(lead=AgentStatus.TURN_LIMIT)

    given = await Scoring().score(made, wide("w"))

    assert (given.total, given.valid) == (0.0, True)
    assert outcome_of(made, score=1.0, valid=True).stop_reason is StopReason.TURN_LIMIT


async def test_a_number_is_judged_with_its_decimal_point() -> None:
    asked = question("q", answers=["78.7"])

    right, wrong = [await Scoring().score(rollout(f"\\boxed{{{given}}}"), asked) for given in ("78.7", "787")]

    assert right.components["answer"] == 1
    assert wrong.components["answer"] == 0


async def test_failed_subagents_are_masked_as_the_job_says() -> None:
    made = with_subagent(rollout(), AgentStatus.CONTEXT_LIMIT, tokens=5)
    trained = Scoring(weights=WeightsConfig(failed_subagent="train"))

    masked, kept = await Scoring().score(made, wide("w")), await trained.score(made, wide("w"))

    assert [mask.reason for mask in masked.masks] == ["failed_subagent"]
    assert kept.masks == ()
    assert masked.reward_version != kept.reward_version


def test_the_version_names_all_that_a_reward_depends_on() -> None:
    variants = [
        Scoring(),
        Scoring(rule=RewardRule(format_bonus=0.2)),
        Scoring(weights=WeightsConfig(failed_subagent="count")),
        Scoring(judge_name="http://judge"),
    ]

    assert len({scoring.version for scoring in variants}) == len(variants)
    assert Scoring().version == Scoring(weights=WeightsConfig(lead_share=0.7)).version


class BusyJudge(DeterministicJudge):
    """Does not answer at first."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def judge_answer(self, answer: AnswerPair) -> bool:
        if self.failures:
            self.failures -= 1
            raise JudgeUnavailable("does not answer")
        return await super().judge_answer(answer)


async def test_a_judge_that_is_down_is_waited_for_and_gives_no_reward(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    scoring = Scoring(judge=BusyJudge(failures=5))

    async with collecting(bench.collector(config_of(max_staleness=0), scoring=scoring)) as collector:
        groups = await collector.take(2)

    answered = [one.reward.total for group in groups if group.kind == "question" for one in group.rollouts]
    assert answered == pytest.approx([1.1, 0.1, 1.1, 0.1])
    assert len(bench.cluster.requests) == 8


# ---- held-out tasks -----------------------------------------------------------------------


def evaluation(folder: Path, end: Any = usually_right, **more: Any) -> tuple[VersionEvaluation, Cluster]:
    """Three tasks in files, two trials each."""
    cluster = Bench.at(folder, end=end).cluster
    questions = {"instance_id": "q0", "question": "Capital of Peru?", "answers": ["Lima"]}
    files = [write_tasks(folder / "w.jsonl", record("w0"), record("w1")), write_tasks(folder / "q.jsonl", questions)]
    config = JobConfig.model_validate(
        {"data": {"wide": ["t.jsonl"]}, "evaluation": {"tasks": files, "every": 1, "trials": 2}, **more}
    )
    job = JobRecord(job_id=JOB, created_at=0, config=config, rollouts_root="")
    patience = Patience(tries=3, backoff_s=0.001, poll_s=0.0)
    return replace(VersionEvaluation.read(job, cluster, Pupil(JOB, config, BASE).model), patience=patience), cluster


async def test_a_version_is_scored_on_every_held_out_task_and_trial(tmp_path: Path) -> None:
    held_out, cluster = evaluation(tmp_path)

    scores = {one.metric: one for one in await held_out.evaluate(3)}

    assert set(scores) == {"item_f1", "row_f1", "success", "em", "judged"}
    assert (scores["item_f1"].mean, scores["item_f1"].tasks, scores["em"].tasks) == (1.0, 2, 1)
    assert scores["item_f1"].low <= scores["item_f1"].mean <= scores["item_f1"].high
    assert {request.model for request in cluster.requests} == {"policy@v3"}
    assert len(cluster.requests) == 6
    assert not any(request.training.opt_in for request in cluster.requests)
    assert {request.sampling.seed for request in cluster.requests} == {None}


async def test_held_out_trials_have_seeds_of_their_own_where_the_job_sets_one(tmp_path: Path) -> None:
    held_out, cluster = evaluation(tmp_path, rollouts={"sampling": {"seed": 7}})

    await held_out.evaluate(3)

    assert len({request.sampling.seed for request in cluster.requests} - {None}) == 6


async def test_an_evaluation_begun_again_pays_for_no_run_twice(tmp_path: Path) -> None:
    held_out, cluster = evaluation(tmp_path)

    first, second = await held_out.evaluate(3), await held_out.evaluate(3)

    assert first == second
    assert len(cluster.requests) == 6


async def test_an_outage_is_no_held_out_score(tmp_path: Path) -> None:
    held_out, _ = evaluation(tmp_path, end=lambda _: End(status=RunStatus.FAILED))

    with pytest.raises(UpstreamError):
        await held_out.evaluate(0)
