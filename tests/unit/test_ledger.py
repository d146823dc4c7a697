"""Manifests in a chain: written once, verified when opened, given up together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.trainer.config import OptimConfig
from services.trainer.folder import COMMITTED, JobFolder, LearnerReport, write_model
from services.trainer.ledger.files import create_exclusively
from services.trainer.ledger.ledger import Ledger, LedgerBroken
from services.trainer.ledger.lineage import abandoned, restart_from
from services.trainer.ledger.manifest import Dropped, Entry, Manifest
from services.trainer.ledger.rate import learning_rate
from services.trainer.ledger.seeds import step_seed
from services.trainer.ledger.versions import Versions
from services.trainer.metrics.record import StepMetrics
from wideseek.errors import Conflict


def manifest_after(ledger: Ledger, *rollouts: str, **changed: Any) -> Manifest:
    entries = tuple(
        Entry(rollout_id=name, uri=f"{name}.pb", sha256="a", reward_uri=f"{name}.json", group_id="g0-0", agents=())
        for name in rollouts
    )
    made = Manifest(
        job_id="j",
        lineage=ledger.lineage,
        step=ledger.step + 1,
        prev_sha256=ledger.head,
        created_at=1.0,
        seed=0,
        config_sha256="c",
        code_version="v",
        policy_version=ledger.step,
        planned=4,
        learning_rate=0.1,
        entries=entries,
        dropped=(Dropped(rollout_id=f"late-{ledger.step}", reason="late"),),
        cursor=f"{ledger.step + 1}-0",
    )
    return made.model_copy(update=changed)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


def written(folder: JobFolder, steps: int) -> Ledger:
    ledger = Ledger(folder)
    for step in range(1, steps + 1):
        ledger.write(manifest_after(ledger, f"ro-{ledger.lineage}-{step}"))
    return ledger


def commit(folder: JobFolder, step: int, manifest_sha256: str) -> None:
    write_model(folder.learner_file(step), LearnerReport(step=step, manifest_sha256=manifest_sha256, scalars={}))
    folder.checkpoint(step).mkdir(parents=True)
    (folder.checkpoint(step) / COMMITTED).touch()


def test_what_manifests_name_is_resolved_for_whoever_opens_the_ledger_next(folder: JobFolder) -> None:
    written(folder, 2)

    ledger = Ledger(folder)

    assert (ledger.step, ledger.cursor) == (2, "2-0")
    assert ledger.resolved == {"ro-0-1", "ro-0-2", "late-0", "late-1"}
    assert ledger.consumed(1) == {"ro-0-1"}
    assert ledger.is_resolved("late-1")
    assert [manifest.step for manifest in ledger.manifests(after=1)] == [2]


def test_a_step_that_has_a_manifest_keeps_it(folder: JobFolder) -> None:
    first = written(folder, 1).manifest(1)
    ledger = Ledger(folder)

    again = ledger.write(first.model_copy(update={"created_at": 2.0, "entries": ()}))

    assert again == first
    assert folder.manifest_file(1).read_bytes() == first.to_bytes()


def test_a_second_conductor_is_fenced_off(folder: JobFolder) -> None:
    one, other = Ledger(folder), Ledger(folder)
    one.write(manifest_after(one, "ro-1"))

    with pytest.raises(Conflict, match="step 1 was written by another conductor"):
        other.write(manifest_after(other, "ro-2"))


def test_of_two_writers_one_creates_the_file(tmp_path: Path) -> None:
    path = tmp_path / "steps" / "1" / "manifest.json"

    created = [create_exclusively(path, b"one"), create_exclusively(path, b"other")]

    assert created == [True, False]
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in path.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.replace(b'"seed": 0', b'"seed": 1'), "the manifest of step 3 follows"),
        (lambda data: data.replace(b"\n", b"\n\n", 1), "the manifest of step 2 was changed"),
        (lambda data: data[:20], "the manifest of step 2 cannot be read"),
        (lambda data: data.replace(b'"step": 2', b'"step": 7'), "the manifest of step 2 says it is of step 7"),
        (lambda data: data.replace(b"ro-0-2", b"ro-0-1"), "the manifest of step 2 uses rollout ro-0-1"),
    ],
)
def test_a_changed_manifest_is_an_error_that_names_the_step(
    change: Callable[[bytes], bytes], said: str, folder: JobFolder
) -> None:
    written(folder, 3)
    file = folder.manifest_file(2)
    file.write_bytes(change(file.read_bytes()))

    with pytest.raises(LedgerBroken, match=said):
        Ledger(folder)


def test_a_missing_manifest_is_an_error_that_names_the_step(folder: JobFolder) -> None:
    written(folder, 3)
    folder.manifest_file(2).unlink()

    with pytest.raises(LedgerBroken, match="step 2 has no manifest, but step 3 exists"):
        Ledger(folder)


def test_a_checkpoint_without_its_manifest_is_an_error(folder: JobFolder) -> None:
    commit(folder, 1, "a" * 64)

    with pytest.raises(LedgerBroken, match="step 1 has no manifest, but step 1 exists"):
        Ledger(folder)


def test_the_last_manifest_is_held_against_what_was_trained_on(folder: JobFolder) -> None:
    written(folder, 1)
    commit(folder, 1, "a" * 64)

    with pytest.raises(LedgerBroken, match="step 1 was trained on another manifest"):
        Ledger(folder)


def test_a_manifest_that_does_not_follow_is_not_written(folder: JobFolder) -> None:
    ledger = written(folder, 1)

    with pytest.raises(LedgerBroken, match="of step 3, lineage 0; the next is of step 2"):
        ledger.write(manifest_after(ledger, "ro", step=3))
    with pytest.raises(LedgerBroken, match="lineage 5"):
        ledger.write(manifest_after(ledger, "ro", lineage=5))

    assert Ledger(folder).step == 1


def test_a_restart_keeps_newer_steps_aside_and_makes_their_rollouts_eligible_again(folder: JobFolder) -> None:
    ledger = written(folder, 3)
    for step in (1, 2, 3):
        commit(folder, step, ledger.manifest(step).sha256)
    lines = [StepMetrics(step=step, at=0.0, policy_version=step).model_dump_json() for step in (1, 2, 3)]
    folder.metrics_file.write_text("\n".join(lines) + "\n")
    Versions(folder).assign(1, 1, 0)
    Versions(folder).assign(3, 2, 1)

    lineage = restart_from(folder, 1, at=5.0)

    fresh = Ledger(folder)
    assert (lineage, fresh.lineage, fresh.step) == (1, 1, 1)
    assert fresh.resolved == {"ro-0-1", "late-0"}
    assert folder.committed() == [1]
    assert (folder.path / "abandoned" / "0" / "steps" / "3" / "manifest.json").exists()
    assert (folder.path / "abandoned" / "0" / "ckpt" / "2" / COMMITTED).exists()
    assert folder.metrics_file.read_text().splitlines() == lines[:1]
    assert Versions(folder).newest(3) == Versions(folder).assigned(1)
    fresh.write(manifest_after(fresh, "ro-0-2"))
    assert Ledger(folder).manifest(2).lineage == 1


def test_a_restart_that_was_cut_off_is_finished_when_the_ledger_is_opened(folder: JobFolder) -> None:
    ledger = written(folder, 3)
    commit(folder, 1, ledger.manifest(1).sha256)
    restart_from(folder, 1, at=5.0)
    (folder.path / "abandoned" / "0" / "done").unlink()
    (folder.path / "abandoned" / "0" / "steps" / "2").rename(folder.path / "steps" / "2")

    reopened = Ledger(folder)

    assert (reopened.step, reopened.lineage) == (1, 1)
    assert [restart.from_step for restart in abandoned(folder)] == [1]


def test_a_restart_needs_a_checkpoint(folder: JobFolder) -> None:
    ledger = written(folder, 2)
    commit(folder, 1, ledger.manifest(1).sha256)

    with pytest.raises(Conflict, match="no checkpoint of step 2; checkpoints: 1"):
        restart_from(folder, 2, at=5.0)

    assert restart_from(folder, 0, at=5.0) == 1


def test_the_version_of_a_step_is_decided_once(folder: JobFolder) -> None:
    versions = Versions(folder)

    first = versions.assign(4, 9, 8)
    again = versions.assign(4, 10, 8)

    assert first == again == versions.assigned(4)
    assert versions.newest(3) is None
    assert versions.newest(6) == first


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, 0.8535533905932737, 0.5, 0.14644660940672627]),
    ],
)
def test_the_rate_warms_up_and_falls_but_is_never_nothing(schedule: str, rates: list[float]) -> None:
    optim = OptimConfig.model_validate({"lr": 1.0, "schedule": schedule, "warmup_steps": 2})

    assert [learning_rate(step, steps=6, optim=optim) for step in range(1, 7)] == pytest.approx(rates)


def test_every_step_and_lineage_has_a_seed_of_its_own() -> None:
    seeds = {step_seed(seed, lineage, step) for seed in (0, 1) for lineage in (0, 1) for step in (1, 2, 11)}

    assert len(seeds) == 12
    assert all(0 <= seed < 2**63 for seed in seeds)
