"""The learner on tiny models, through its folder: manifests in, checkpoints, adapters and log-probabilities out."""

from pathlib import Path

import pytest
import torch

from services.trainer.folder import COMMITTED, JobFolder, LearnerReport, ScoreReply, ScoreRequest, ScoreRow, write_model
from services.trainer.learn.main import learn
from services.trainer.learn.orders import Failure, Orders, ScoreFiles
from services.trainer.learn.process import only_learner
from services.trainer.learn.sharding import trainable
from services.trainer.ledger.manifest import FIRST, Manifest
from services.trainer.metrics.names import HISTOGRAMS, SCALARS, is_known
from tests.learner_parts import job_folder, manifest, manifests, rollout
from tests.learner_torch_parts import adapter_of, base_folder, direct, drain, everything, opened, same
from wideseek.errors import ContractViolation
from wideseek.rollout import RolloutSource

FULL = {"model": {"adaptation": "full"}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base") / "tiny")


def report(folder: JobFolder, step: int) -> LearnerReport:
    return LearnerReport.model_validate_json(folder.learner_file(step).read_bytes())


def asked(folder: JobFolder, name: str, step: int, *rows: ScoreRow) -> None:
    write_model(ScoreFiles(folder).request(name), ScoreRequest(step=step, rows=rows))


def test_every_manifest_becomes_a_checkpoint_an_adapter_and_a_report(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base, checkpoint={"keep": 2})
    manifests(folder, 3)

    drain(folder)

    assert folder.committed() == [2, 3]
    assert (folder.checkpoint(3) / COMMITTED).read_text().strip() == report(folder, 3).manifest_sha256
    assert not same(adapter_of(folder, 2), adapter_of(folder, 3))
    assert report(folder, 1).scalars["tokens/trained"] > 0
    assert report(folder, 1).scalars["loss/grad_norm"] > 0


@pytest.mark.parametrize("mode", ["grpo", "sft"])
def test_every_number_of_a_report_has_a_known_name(tmp_path: Path, base: Path, mode: str) -> None:
    sft = {"mode": "sft", "data": {"questions": [], "demonstrations": ["demos.bin"]}, "publish": {"every": 0}}
    folder = job_folder(tmp_path / "job", base, **(sft if mode == "sft" else {}))
    manifests(folder, 1)

    drain(folder)

    told = report(folder, 1)
    assert {"tokens/merge_saving", "forks/per_1000_turns", "tokens/trained"} <= told.scalars.keys()
    assert [name for name in (*told.scalars, *told.histograms) if not is_known(name)] == []
    assert not told.scalars.keys() & HISTOGRAMS.keys()
    assert not told.histograms.keys() & SCALARS.keys()
    assert told.scalars["forks/per_1000_turns"] == 0.0
    assert told.scalars["tokens/merge_saving"] > 1.0
    measured_here = {"tokens/lead", "turns/lead", "tokens/subagent", "turns/subagent"}
    assert told.histograms.keys() == (measured_here if mode == "sft" else set())
    assert told.scalars.get("tokens/masked") == (0.0 if mode == "sft" else None)


@pytest.mark.parametrize("changes", [{}, FULL], ids=["lora", "full"])
def test_a_stopped_learner_goes_on_bit_by_bit(tmp_path: Path, base: Path, changes: dict[str, object]) -> None:
    through = job_folder(tmp_path / "through", base, **changes)
    manifests(through, 4)
    drain(through)
    wanted = everything(opened(through))
    parts = job_folder(tmp_path / "parts", base, **changes)
    manifests(parts, 2)
    drain(parts)
    manifests(parts, 4)

    drain(parts)

    assert same(everything(opened(parts)), wanted)


def test_steps_between_checkpoints_are_run_again_with_the_same_result(tmp_path: Path, base: Path) -> None:
    sparse = {"checkpoint": {"every": 3}, "publish": {"every": 0}, "mode": "sft"}
    sft = {"data": {"questions": [], "demonstrations": ["demos.bin"]}, **sparse}
    through, parts = (job_folder(tmp_path / name, base, **sft) for name in ("through", "parts"))
    for folder in (through, parts):
        manifests(folder, 4)
    drain(through)
    folder_of_three = everything(opened(through))
    drain(parts)

    drain(parts)

    assert through.committed() == [3]
    assert report(through, 4).scalars["loss/value"] == report(parts, 4).scalars["loss/value"]
    assert same(everything(opened(parts)), folder_of_three)


def test_scores_are_those_of_a_direct_forward_pass_of_the_step_asked(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 1)
    drain(folder)
    one, start = opened(folder), job_folder(tmp_path / "start", base)
    manifests(folder, 2)
    row, short = ScoreRow(token_ids=(5, 9, 13, 7, 22, 41), start=2), ScoreRow(token_ids=(8, 9), start=2)
    drain(folder)
    asked(folder, "base", 0, row)
    asked(folder, "older", 1, row, short)
    asked(folder, "current", 2, row)

    drain(folder)

    for name, policy in (("base", opened(start)), ("older", one), ("current", opened(folder))):
        reply = ScoreFiles(folder).answer(name)
        assert isinstance(reply, ScoreReply)
        assert reply.logprobs[0] == pytest.approx(direct(policy, row.token_ids, 2).tolist(), abs=1e-5)
    older = ScoreFiles(folder).answer("older")
    assert isinstance(older, ScoreReply)
    assert older.logprobs[1] == ()
    assert older.precision == "float32"


@pytest.mark.parametrize("changes", [{}, FULL], ids=["lora", "full"])
def test_answering_changes_nothing_that_is_trained(tmp_path: Path, base: Path, changes: dict[str, object]) -> None:
    quiet, asking = (job_folder(tmp_path / name, base, **changes) for name in ("quiet", "asking"))
    manifests(quiet, 3)
    drain(quiet)
    for step in range(1, 4):
        manifests(asking, step)
        asked(asking, f"start-{step}", 0, ScoreRow(token_ids=(5, 9, 13), start=1))
        asked(asking, f"older-{step}", max(0, step - 2), ScoreRow(token_ids=(5, 9, 13), start=1))
        drain(asking)

    answers = [ScoreFiles(asking).answer(f"start-{step}") for step in range(1, 4)]

    assert same(everything(opened(asking)), everything(opened(quiet)))
    assert answers[0] == answers[1] == answers[2]
    assert isinstance(answers[0], ScoreReply)


@pytest.mark.parametrize(
    ("step", "row", "words"),
    [
        (9, ScoreRow(token_ids=(1, 2), start=1), "step 9 has no checkpoint"),
        (0, ScoreRow(token_ids=(1, 97), start=1), "outside of the model's 97"),
        (0, ScoreRow(token_ids=(1,) * 40, start=1), "batching.max_row_tokens is 32"),
    ],
)
def test_what_cannot_be_scored_is_answered_with_the_reason(
    tmp_path: Path, base: Path, step: int, row: ScoreRow, words: str
) -> None:
    folder = job_folder(tmp_path / "job", base, batching={"max_row_tokens": 32})
    asked(folder, "odd", step, row)

    drain(folder)

    answer = ScoreFiles(folder).answer("odd")
    assert isinstance(answer, Failure)
    assert words in answer.error


def test_a_corrupt_rollout_ends_the_step_loudly(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 1)
    named = Manifest.model_validate_json(folder.manifest_file(1).read_bytes()).entries[1]
    path = Path(folder.record().rollouts_root, named.uri)
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(ContractViolation, match=f"step 1: .*{named.rollout_id}"):
        drain(folder)

    assert folder.committed() == []
    assert not folder.learner_file(1).exists()


def test_a_manifest_out_of_the_chain_is_refused(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifest(folder, 1, [rollout(1)], previous="f" * 64)

    with pytest.raises(ContractViolation, match="follows ffffffffffff, the weights come from 000000000000"):
        drain(folder)


def test_half_a_checkpoint_is_removed_and_trained_again(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 2)
    drain(folder)
    wanted = everything(opened(folder))
    (folder.checkpoint(2) / COMMITTED).unlink()
    (folder.checkpoint(2) / "checkpoint.json").write_text("{")
    (folder.path / "ckpt" / ".3").mkdir()

    drain(folder)

    assert folder.committed() == [1, 2]
    assert same(everything(opened(folder)), wanted)
    assert not (folder.path / "ckpt" / ".3").exists()


def test_a_changed_base_or_configuration_is_refused(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 1)
    drain(folder)
    other = job_folder(tmp_path / "job", base_folder(tmp_path / "other", seed=8))

    with pytest.raises(ContractViolation, match=r"made from base .* put the old weights back"):
        drain(other)
    with pytest.raises(ContractViolation, match="another configuration"):
        drain(job_folder(tmp_path / "job", base, seed=6))


def test_demonstrations_become_likelier(tmp_path: Path, base: Path) -> None:
    settings = {"mode": "sft", "data": {"questions": [], "demonstrations": ["demos.bin"]}, "optim": {"lr": 2e-2}}
    folder = job_folder(tmp_path / "job", base, **settings)
    shown = [rollout(number, source=RolloutSource.DEMONSTRATION) for number in range(2)]
    previous = FIRST
    for step in range(1, 9):
        previous = manifest(folder, step, shown, previous, advantage=1.0)

    drain(folder)

    losses = [report(folder, step).scalars["loss/value"] for step in range(1, 9)]
    assert losses[0] == pytest.approx(_cross_entropy(job_folder(tmp_path / "start", base, **settings)), rel=1e-5)
    assert losses[-1] < losses[0] - 0.5
    assert "ratio/mean" not in report(folder, 1).scalars


def test_a_demonstration_is_no_rollout_of_the_policy(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifest(folder, 1, [rollout(1, source=RolloutSource.DEMONSTRATION)])

    with pytest.raises(ContractViolation, match="only mode sft learns from those"):
        drain(folder)


def test_a_gradient_that_is_no_number_leaves_the_last_checkpoint(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 1)
    drain(folder)
    manifest(folder, 2, [rollout(200)], report(folder, 1).manifest_sha256, advantage=1e300)

    with pytest.raises(FloatingPointError, match="nothing was updated"):
        drain(folder)

    assert folder.committed() == [1]


def test_the_stop_file_ends_it_before_anything_is_trained(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 1)
    folder.stop_file.touch()

    drain(folder)

    assert folder.committed() == []


def test_a_second_learner_waits_for_the_first_and_gives_way_to_a_stop(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 1)
    seen: list[bool] = []

    def alive() -> bool:
        """Asked while waiting: the first time the conductor is there, then it is gone."""
        seen.append(folder.committed() == [])
        return len(seen) == 1

    with only_learner(folder, Orders(folder, lambda: True)) as first:
        learn(folder, tmp_path, Orders(folder, alive, drain=True))

    assert first
    assert seen == [True, True]
    assert folder.committed() == []


def test_boundaries_of_a_commit_are_passed_in_order(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base)
    manifests(folder, 1)
    seen: list[tuple[str, bool, bool]] = []

    drain(folder, probe=lambda name: seen.append((name, folder.committed() == [1], folder.learner_file(1).exists())))

    assert seen == [("committed.before_rename", False, True), ("committed.after_rename", True, True)]


def test_a_step_of_bfloat16_exports_bfloat16_and_trains_float32(tmp_path: Path, base: Path) -> None:
    folder = job_folder(tmp_path / "job", base, model={"precision": "bfloat16"})
    manifests(folder, 1)

    drain(folder)

    assert {value.dtype for value in adapter_of(folder, 1).values()} == {torch.bfloat16}
    assert {value.dtype for value in trainable(opened(folder).scorer).values()} == {torch.float32}


def _cross_entropy(folder: JobFolder) -> float:
    """Mean over rollouts and agents of the mean negative log-probability of an agent's tokens, written out."""
    policy, total = opened(folder), 0.0
    agents = [agent for number in range(2) for agent in rollout(number).agents]
    for agent in agents:
        values = [
            value
            for turn in agent.turns
            for value in direct(policy, turn.prompt_token_ids + turn.sampled_token_ids, len(turn.prompt_token_ids))
        ]
        total -= float(torch.stack(values).mean()) / len(agents)
    return total
