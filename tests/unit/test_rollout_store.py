"""The store in a folder: whole or not at all, never twice, never silently broken."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings

from services.kit.rollouts.entry import UNASSIGNED, StoredRollout
from services.kit.rollouts.store import RolloutStore
from tests.rollout_parts import rollout_of, sound_rollouts
from wideseek.codec import decode_rollout, encode_rollout
from wideseek.errors import ContractViolation, InvalidRequest, StoreUnavailable
from wideseek.rollout import Rollout

OTHER = rollout_of("run_1", query="Which one?")


@pytest.fixture
def store(tmp_path: Path) -> RolloutStore:
    return RolloutStore.open(str(tmp_path / "rollouts"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "rollouts"


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


class Killed(Exception):
    """The process ended here."""


def killed_at(boundary: str) -> Callable[[str], None]:
    def probe(reached: str) -> None:
        if reached == boundary:
            raise Killed(reached)

    return probe


# ---- round trips --------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rollout=sound_rollouts())
def test_any_sound_rollout_comes_back_as_it_was(rollout: Rollout, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = RolloutStore.open(str(tmp_path_factory.mktemp("store")))

    entry = store.put(rollout, "job-1")

    assert store.get(entry.uri, entry.sha256) == decode_rollout(encode_rollout(rollout))
    assert list(store.scan("job-1")) == [entry]
    assert store.put(rollout, "job-1") == entry


def test_path_hash_and_entry_say_what_is_stored(store: RolloutStore, root: Path) -> None:
    entry = store.put(rollout_of("run_1"), "job-1")

    data = (root / entry.uri).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    assert entry == StoredRollout(
        rollout_id=rollout_of("run_1").rollout_id,
        job_id="job-1",
        run_id="run_1",
        group_id="g1",
        task_id="t1",
        status="ok",
        source="policy",
        uri=f"job-1/rollouts/2026-09-21/{entry.rollout_id}.{sha256[:12]}.pb.zst",
        sha256=sha256,
        version_min=3,
        version_max=3,
        tokens_by_agent={"lead": 3, "s1": 3},
        finished_at=1_790_000_060.0,
    )
    assert decode_rollout(zstandard.decompress(data)) == rollout_of("run_1")
    assert store.entry("job-1", entry.rollout_id) == entry


def test_rollouts_of_no_job_are_unassigned(store: RolloutStore) -> None:
    entry = store.put(rollout_of("run_1", group_id=None, index=None))

    assert entry.job_id == UNASSIGNED
    assert store.jobs() == [UNASSIGNED]
    assert store.find(entry.rollout_id) == entry
    assert store.find("ro_nothing") is None


def test_no_temporary_file_is_left(store: RolloutStore, root: Path) -> None:
    entry = store.put(rollout_of("run_1"), "j")

    assert files(root) == [f"j/entries/{entry.rollout_id}.json", entry.uri]


# ---- one id, one content ------------------------------------------------------------------


def test_other_content_under_the_same_id_is_refused_and_changes_nothing(store: RolloutStore, root: Path) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    before = files(root)

    with pytest.raises(ContractViolation, match="stored with other content"):
        store.put(OTHER, "j")

    assert files(root) == before
    assert store.get(entry.uri).query == "Which?"


def test_another_day_does_not_hide_other_content(store: RolloutStore) -> None:
    store.put(rollout_of("run_1"), "j")

    with pytest.raises(ContractViolation, match="stored with other content"):
        store.put(rollout_of("run_1", started_at=1.0), "j")


def test_the_same_content_in_another_compression_is_the_same(store: RolloutStore, root: Path) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    again = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(encode_rollout(rollout_of("run_1")))
    sha256 = hashlib.sha256(again).hexdigest()
    uri = entry.uri.replace(entry.sha256[:12], sha256[:12])
    (root / entry.uri).unlink()
    (root / uri).write_bytes(again)
    recompressed = entry.model_copy(update={"uri": uri, "sha256": sha256})
    (root / f"j/entries/{entry.rollout_id}.json").write_text(recompressed.model_dump_json())

    assert store.put(rollout_of("run_1"), "j") == recompressed


@pytest.mark.parametrize("contents", [("Which?", "Which?"), ("Which?", "Which one?")])
def test_of_two_writers_of_one_id_exactly_one_content_is_stored(root: Path, contents: tuple[str, str]) -> None:
    together = threading.Barrier(2)

    def probe(boundary: str) -> None:
        if boundary == "object.before_rename":
            together.wait(10)

    def write(query: str) -> StoredRollout | ContractViolation:
        store = RolloutStore.open(str(root), probe=probe)
        try:
            return store.put(rollout_of("run_1", query=query), "j")
        except ContractViolation as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(write, contents))

    written = [end for end in ends if isinstance(end, StoredRollout)]
    assert len(written) == (2 if contents[0] == contents[1] else 1)
    assert list(RolloutStore.open(str(root)).scan("j")) == written[:1]
    assert len(files(root)) == 2


# ---- crashes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boundary", "stored"),
    [
        ("object.before_rename", 0),
        ("object.after_rename", 1),
        ("entry.before_rename", 1),
        ("entry.after_rename", 1),
    ],
)
def test_a_crash_at_any_boundary_leaves_all_or_nothing(root: Path, boundary: str, stored: int) -> None:
    with pytest.raises(Killed):
        RolloutStore.open(str(root), probe=killed_at(boundary)).put(rollout_of("run_1"), "j")

    store = RolloutStore.open(str(root))
    assert len(list(store.scan("j"))) == stored
    entry = store.put(rollout_of("run_1"), "j")
    assert list(store.scan("j")) == [entry]
    assert store.get(entry.uri) == rollout_of("run_1")


def test_an_orphan_whose_id_other_content_took_is_passed_over(root: Path) -> None:
    with pytest.raises(Killed):
        RolloutStore.open(str(root), probe=killed_at("object.after_rename")).put(OTHER, "j")
    store = RolloutStore.open(str(root))

    entry = store.put(rollout_of("run_1"), "j")

    assert list(store.scan("j")) == [entry]


def test_an_orphan_without_entry_is_found_by_its_id(root: Path, store: RolloutStore) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    (root / f"j/entries/{entry.rollout_id}.json").unlink()

    assert store.find(entry.rollout_id) == entry


def test_an_entry_cut_short_is_made_again(root: Path, store: RolloutStore) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    (root / f"j/entries/{entry.rollout_id}.json").write_text('{"rollout_id"')

    assert list(store.scan("j")) == [entry]
    assert store.entry("j", entry.rollout_id) == entry


def test_what_crashed_writers_left_is_swept_once_it_is_old(root: Path, store: RolloutStore) -> None:
    store.put(rollout_of("run_1"), "j")
    (root / "j/rollouts/.ro_x-abc").write_bytes(b"half")

    assert store.sweep(before=0) == 0
    assert len(list(store.scan("j"))) == 1
    assert store.sweep(before=2**40) == 1
    assert len(list(store.scan("j"))) == 1


# ---- names and outages --------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["../x", "/etc/passwd", "j/rollouts/2026-09-21/../a.000000000000.pb.zst", "", "j"])
def test_a_path_the_store_never_made_is_refused(store: RolloutStore, uri: str) -> None:
    with pytest.raises(ContractViolation, match="no path of the rollout store"):
        store.get(uri)
    with pytest.raises(ContractViolation, match="no path of the rollout store"):
        store.get_reward(uri)


@pytest.mark.parametrize("job", ["", "..", "a/b", ".hidden", "x" * 129])
def test_a_job_id_that_is_no_name_is_refused(store: RolloutStore, job: str) -> None:
    with pytest.raises(InvalidRequest, match="job_id is"):
        store.put(rollout_of("run_1"), job)


def test_an_address_that_nothing_opens_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="ROLLOUT_STORE is 'nosuch://x'"):
        RolloutStore.open("nosuch://x")


def test_a_vanished_folder_is_an_outage_not_an_empty_store(store: RolloutStore, root: Path) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    root.rename(root.with_name("elsewhere"))

    for attempt in (
        lambda: store.get(entry.uri),
        lambda: list(store.scan("j")),
        lambda: store.put(rollout_of("run_2"), "j"),
        store.jobs,
        lambda: store.delete(entry),
    ):
        with pytest.raises(StoreUnavailable):
            attempt()


def test_a_file_where_the_folder_should_be_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "rollouts").write_text("")

    with pytest.raises(StoreUnavailable):
        RolloutStore.open(str(tmp_path / "rollouts"))


def test_an_address_of_a_folder_is_the_folder(store: RolloutStore, root: Path) -> None:
    entry = store.put(rollout_of("run_1"), "j")

    assert list(RolloutStore.open(root.as_uri()).scan("j")) == [entry]


def test_any_file_system_that_creates_exclusively_will_do() -> None:
    store = RolloutStore.open("memory://unit/rollouts")

    entry = store.put(rollout_of("run_1"), "j")

    assert store.get(entry.uri, entry.sha256) == rollout_of("run_1")
    with pytest.raises(ContractViolation, match="other content"):
        store.put(OTHER, "j")
    assert store.jobs() == ["j"]
    store.delete(entry)
    assert list(store.scan("j")) == []
