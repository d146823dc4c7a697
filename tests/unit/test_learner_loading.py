"""A manifest's rollouts as training rows: everything from the manifest, nothing guessed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.kit.rollouts.store import RolloutStore
from services.trainer.folder import JobFolder
from services.trainer.learn.loading import load_rows
from services.trainer.ledger.manifest import AgentShare, Entry, Manifest
from tests.learner_parts import JOB, job_folder, manifest, rollout, store_of
from wideseek.errors import ContractViolation
from wideseek.rollout import Rollout, TurnMask
from wideseek.trajectory import Role


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return job_folder(tmp_path / "job", tmp_path / "base")


def written(folder: JobFolder, *rollouts: Rollout) -> Manifest:
    manifest(folder, 1, rollouts)
    return Manifest.model_validate_json(folder.manifest_file(1).read_bytes())


def changed(given: Manifest, change: Callable[[Entry], dict[str, object]]) -> Manifest:
    """The manifest with its first entry changed."""
    first = given.entries[0]
    return given.model_copy(update={"entries": (first.model_copy(update=change(first)), *given.entries[1:])})


def share(agent: AgentShare, **values: object) -> AgentShare:
    return agent.model_copy(update=values)


def test_a_lead_of_two_turns_is_one_row_with_its_sampled_tokens_marked(folder: JobFolder) -> None:
    one = rollout(1, subagents=0)
    first, second = one.agents[0].turns

    (row,) = load_rows(store_of(folder), written(folder, one), supervised=False).rows

    assert row.token_ids == second.prompt_token_ids + second.sampled_token_ids
    marked = [place for place, trained in enumerate(row.trained) if trained]
    start = len(first.prompt_token_ids)
    assert marked[: len(first.sampled_token_ids)] == list(range(start, start + len(first.sampled_token_ids)))
    assert [row.behaviour[place] for place in marked] == pytest.approx(first.sampled_logprobs + second.sampled_logprobs)
    assert row.weight == pytest.approx(1 / len(marked))
    assert (row.role, row.advantage, row.minibatch) == (Role.LEAD, 1.0, 0)


def test_agents_are_sequences_of_their_own_across_rollouts(folder: JobFolder) -> None:
    rows = load_rows(store_of(folder), written(folder, rollout(1), rollout(2)), supervised=False).rows

    assert [row.sequence for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row.advantage for row in rows] == [1.0] * 3 + [-1.0] * 3


def test_a_masked_turn_stays_as_context_only(folder: JobFolder) -> None:
    one = rollout(1, subagents=0)
    first, second = one.agents[0].turns
    masked = changed(
        written(folder, one),
        lambda entry: {
            "masked": (TurnMask(agent_id="lead", turn_index=0, reason="untrainable"),),
            "agents": (share(entry.agents[0], trained_tokens=len(second.sampled_token_ids)),),
        },
    )

    (row,) = load_rows(store_of(folder), masked, supervised=False).rows

    assert sum(row.trained) == len(second.sampled_token_ids)
    assert row.token_ids[: len(first.prompt_token_ids)] == first.prompt_token_ids


def test_an_agent_with_every_turn_masked_has_no_row(folder: JobFolder) -> None:
    masked = changed(
        written(folder, rollout(1)),
        lambda entry: {
            "masked": (TurnMask(agent_id="sub-0", turn_index=0, reason="failed_subagent"),),
            "agents": (entry.agents[0], share(entry.agents[1], trained_tokens=0, weight=0.0), entry.agents[2]),
        },
    )

    rows = load_rows(store_of(folder), masked, supervised=False).rows

    assert [row.role for row in rows] == [Role.LEAD, Role.SUBAGENT]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entry: {"agents": entry.agents[:1]}, "agent sub-0 .* no weight in the manifest"),
        (lambda entry: {"agents": (share(entry.agents[0], agent_id="x"),)}, "has no agent x"),
        (lambda entry: {"agents": (share(entry.agents[0], trained_tokens=1), *entry.agents[1:])}, "manifest says 1"),
        (lambda entry: {"agents": (share(entry.agents[0], role=Role.SINGLE), *entry.agents[1:])}, "is a lead"),
        (lambda entry: {"rollout_id": "ro_other"}, "the manifest names ro_other"),
        (lambda entry: {"sha256": "0" * 64}, "SHA-256"),
    ],
)
def test_a_manifest_that_the_record_does_not_confirm_is_refused(
    folder: JobFolder, change: Callable[[Entry], dict[str, object]], words: str
) -> None:
    odd = changed(written(folder, rollout(1)), change)

    with pytest.raises(ContractViolation, match=words):
        load_rows(store_of(folder), odd, supervised=False)


def test_an_object_that_is_gone_is_named(folder: JobFolder) -> None:
    given = written(folder, rollout(1))
    stored = store_of(folder).entry(JOB, given.entries[0].rollout_id)
    assert stored is not None
    RolloutStore.open(folder.record().rollouts_root).delete(stored)

    with pytest.raises(ContractViolation, match=given.entries[0].rollout_id):
        load_rows(store_of(folder), given, supervised=False)


def test_what_merging_came_to_and_what_is_masked_is_counted(folder: JobFolder) -> None:
    one = rollout(1, subagents=1)
    lead, subagent = one.agents
    forked = lead.turns[0].model_copy(update={"turn_index": 2})
    given = one.model_copy(
        update={"agents": (lead.model_copy(update={"turns": (*lead.turns, forked)}), subagent)}, deep=True
    )
    masked = changed(
        written(folder, given),
        lambda entry: {
            "masked": (TurnMask(agent_id="sub-0", turn_index=0, reason="failed_subagent"),),
            "agents": (entry.agents[0], share(entry.agents[1], trained_tokens=0, weight=0.0)),
        },
    )
    lengths = [len(turn.prompt_token_ids) + len(turn.sampled_token_ids) for turn in (*lead.turns, forked)]

    loaded = load_rows(store_of(folder), masked, supervised=False)

    told, sampled = loaded.merging.scalars(), loaded.sampled
    assert told["forks/per_1000_turns"] == pytest.approx(1_000 / 3)
    assert told["tokens/merge_saving"] == pytest.approx(sum(lengths) / (lengths[1] + lengths[2]))
    left_out, rest = (sum(len(turn.sampled_token_ids) for turn in agent.turns) for agent in reversed(given.agents))
    share_of = pytest.approx(left_out / (left_out + rest))
    assert sampled.scalars() == {"tokens/masked": share_of, "tokens/masked/failed_subagent": share_of}
    assert sampled.histograms() == {
        "tokens/lead": (float(rest),),
        "turns/lead": (3.0,),
        "tokens/subagent": (float(left_out),),
        "turns/subagent": (1.0,),
    }
