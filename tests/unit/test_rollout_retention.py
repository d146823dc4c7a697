"""What is deleted, and everything that is not."""

from pathlib import Path

import pytest

from services.kit.rollouts.retention import prune
from services.kit.rollouts.store import RolloutStore
from tests.rollout_parts import STARTED, reward_of, rollout_of

DAY = 86_400.0
NOW = STARTED + 15 * DAY


@pytest.fixture
def store(tmp_path: Path) -> RolloutStore:
    """Four old rollouts and a recent one, with a reward each."""
    store = RolloutStore.open(str(tmp_path))
    for number in range(5):
        rollout = rollout_of(f"run_{number}", finished_at=NOW - 1 if number == 4 else STARTED + 60)
        store.put(rollout, "j")
        store.put_reward(reward_of(rollout), "j")
    return store


def ids(*numbers: int) -> set[str]:
    return {rollout_of(f"run_{number}").rollout_id for number in numbers}


def kept(store: RolloutStore) -> set[str]:
    return {entry.rollout_id for entry in store.scan("j")}


def test_only_covered_old_rollouts_that_nobody_needs_are_deleted(store: RolloutStore) -> None:
    pruned = prune(store, "j", covered=ids(0, 1, 2, 4), needed=ids(2), now=NOW)

    assert {entry.rollout_id for entry in pruned.deleted} == ids(0, 1)
    assert (pruned.uncovered, pruned.needed, pruned.recent) == (1, 1, 1)
    assert kept(store) == set(store.reward_uris("j")) == ids(2, 3, 4)


def test_a_dry_run_names_the_same_and_deletes_nothing(store: RolloutStore) -> None:
    listed = prune(store, "j", covered=ids(0, 1), now=NOW, dry_run=True)

    assert kept(store) == ids(0, 1, 2, 3, 4)
    assert listed.deleted == prune(store, "j", covered=ids(0, 1), now=NOW).deleted


def test_age_is_counted_in_days_since_the_end(store: RolloutStore) -> None:
    covered = ids(0, 1, 2, 3, 4)

    assert prune(store, "j", covered=covered, older_than_days=15, now=NOW).deleted == ()
    assert len(prune(store, "j", covered=covered, older_than_days=14.9, now=NOW).deleted) == 4
    assert len(prune(store, "j", covered=covered, older_than_days=0, now=NOW).deleted) == 1


def test_rollouts_that_no_job_trains_on_go_by_age_alone(store: RolloutStore) -> None:
    assert len(prune(store, "j", covered=None, now=NOW).deleted) == 4


def test_what_lies_beside_rollouts_and_in_quarantine_stays(store: RolloutStore, tmp_path: Path) -> None:
    manifest = tmp_path / "j/steps/1/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    damaged = next(iter(store.scan("j")))
    (tmp_path / damaged.uri).write_bytes(b"damaged")
    list(store.scan("j", verify=True))

    prune(store, "j", covered=None, older_than_days=0, now=NOW)

    assert manifest.exists()
    assert len(store.quarantined("j")) == 1
