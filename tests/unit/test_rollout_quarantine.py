"""Damaged objects: put away, counted and raised; and rewards, which are never changed."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from prometheus_client import CollectorRegistry, Counter

from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutCorrupt, RolloutMissing, RolloutStore
from tests.rollout_parts import reward_of, rollout_of
from wideseek.codec import encode_rollout
from wideseek.errors import ContractViolation


@pytest.fixture
def store(tmp_path: Path) -> RolloutStore:
    return RolloutStore.open(str(tmp_path / "rollouts"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "rollouts"


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:20] + bytes([data[20] ^ 1]) + data[21:]


def emptied(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [cut, flipped, emptied, lambda data: data + b"more"])
def test_a_damaged_object_is_quarantined_counted_and_raised(root: Path, damage: Callable[[bytes], bytes]) -> None:
    registry = CollectorRegistry()
    counter = Counter("quarantined", "Objects put away.", registry=registry)
    store = RolloutStore.open(str(root), on_quarantine=lambda uri, reason: counter.inc())
    entry, sound = store.put(rollout_of("run_1"), "j"), store.put(rollout_of("run_2"), "j")
    (root / entry.uri).write_bytes(damage((root / entry.uri).read_bytes()))

    with pytest.raises(RolloutCorrupt, match="quarantine"):
        store.get(entry.uri, entry.sha256)

    assert registry.get_sample_value("quarantined_total") == 1
    assert store.quarantined("j") == [f"j/quarantine/{Path(entry.uri).name}"]
    assert list(store.scan("j")) == [sound]
    with pytest.raises(RolloutMissing):
        store.get(entry.uri, entry.sha256)
    assert registry.get_sample_value("quarantined_total") == 1


def named_by_its_hash(root: Path, entry: StoredRollout, data: bytes) -> str:
    uri = entry.uri.replace(entry.sha256[:12], hashlib.sha256(data).hexdigest()[:12])
    (root / uri).write_bytes(data)
    return uri


@pytest.mark.parametrize(
    "data",
    [
        b"no frame at all, whatever its name says",
        zstandard.compress(b"\xff\xff\xff"),
        zstandard.compress(encode_rollout(rollout_of("run_2"))),
        zstandard.ZstdCompressor().compressobj().compress(b"") + b"\x28\xb5\x2f\xfd",
    ],
)
def test_sound_bytes_that_are_no_such_rollout_are_quarantined(store: RolloutStore, root: Path, data: bytes) -> None:
    uri = named_by_its_hash(root, store.put(rollout_of("run_1"), "j"), data)

    with pytest.raises(RolloutCorrupt):
        store.get(uri)

    assert len(store.quarantined("j")) == 1


def test_a_newer_schema_is_refused_and_left_where_it_is(store: RolloutStore, root: Path) -> None:
    newer = zstandard.compress(encode_rollout(rollout_of("run_1", schema_version=2)))
    uri = named_by_its_hash(root, store.put(rollout_of("run_1"), "j"), newer)

    with pytest.raises(ContractViolation, match="schema_version 2"):
        store.get(uri)

    assert store.quarantined("j") == []


def test_a_wrong_hash_of_the_caller_does_not_harm_a_sound_object(store: RolloutStore) -> None:
    entry = store.put(rollout_of("run_1"), "j")

    with pytest.raises(ContractViolation, match="not 000"):
        store.get(entry.uri, "0" * 64)

    assert store.get(entry.uri) == rollout_of("run_1")


def test_writing_again_heals_a_damaged_object(store: RolloutStore, root: Path) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    (root / entry.uri).write_bytes(b"damaged")

    assert store.put(rollout_of("run_1"), "j") == entry

    assert store.get(entry.uri, entry.sha256) == rollout_of("run_1")
    assert len(store.quarantined("j")) == 1


def test_a_verifying_scan_quarantines_what_is_damaged(store: RolloutStore, root: Path) -> None:
    entries = [store.put(rollout_of(f"run_{number}"), "j") for number in range(5)]
    (root / entries[2].uri).write_bytes(b"damaged")

    found = list(store.scan("j", verify=True))

    assert sorted(entry.rollout_id for entry in found) == sorted(
        {e.rollout_id for e in entries} - {entries[2].rollout_id}
    )
    assert len(store.quarantined("j")) == 1


# ---- rewards ------------------------------------------------------------------------------


def test_a_reward_comes_back_as_it_was(store: RolloutStore, root: Path) -> None:
    reward = reward_of(rollout_of("run_1"))

    stored = store.put_reward(reward, "j", answer_hash=reward.answer_hash)

    assert stored.uri == f"j/rewards/{reward.rollout_id}.v1.json"
    assert stored.sha256 == hashlib.sha256((root / stored.uri).read_bytes()).hexdigest()
    assert store.get_reward(stored.uri, stored.sha256) == reward
    assert store.put_reward(reward, "j") == stored


def test_a_reward_is_never_changed_but_a_new_version_stands_beside_it(store: RolloutStore) -> None:
    rollout = rollout_of("run_1")
    first = store.put_reward(reward_of(rollout), "j")

    with pytest.raises(ContractViolation, match="needs a new reward_version"):
        store.put_reward(reward_of(rollout, total=0.5), "j")
    second = store.put_reward(reward_of(rollout, "v2", total=0.5), "j")

    assert store.reward_uris("j") == {rollout.rollout_id: [first.uri, second.uri]}


def test_the_reward_of_another_answer_is_not_stored(store: RolloutStore) -> None:
    with pytest.raises(ContractViolation, match="another answer"):
        store.put_reward(reward_of(rollout_of("run_1")), "j", answer_hash="0" * 64)

    assert store.reward_uris("j") == {}


@pytest.mark.parametrize("text", ["{", '{"total": 1}'])
def test_a_reward_that_cannot_be_read_is_quarantined(store: RolloutStore, root: Path, text: str) -> None:
    stored = store.put_reward(reward_of(rollout_of("run_1")), "j")
    (root / stored.uri).write_text(text)

    with pytest.raises(RolloutCorrupt):
        store.get_reward(stored.uri)

    assert len(store.quarantined("j")) == 1


def test_a_reward_altered_since_a_manifest_pinned_it_is_quarantined(store: RolloutStore, root: Path) -> None:
    stored = store.put_reward(reward_of(rollout_of("run_1")), "j")
    (root / stored.uri).write_text((root / stored.uri).read_text().replace("0.75", "0.95"))

    with pytest.raises(RolloutCorrupt, match="SHA-256"):
        store.get_reward(stored.uri, stored.sha256)
