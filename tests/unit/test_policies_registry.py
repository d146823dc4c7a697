"""The folder of published versions: written once, found again, never half there."""

import json
from pathlib import Path

import pytest

from services.trainer.policies.records import Candidate, Evaluated, Loaded, PolicyRecord
from services.trainer.policies.registry import Registry
from services.trainer.policies.report import Comparison, ProbeData, ProbeReport, ProbeRow, ReplicaReport
from wideseek.errors import Conflict, InvalidRequest, PolicyNotFound, StoreUnavailable


def candidate(folder: Path, version: int = 1, *, weights: str = "w", parent: int = 0, step: int = 1) -> Candidate:
    adapter = folder / f"adapter-{version}-{weights}"
    (adapter / "deeper").mkdir(parents=True, exist_ok=True)
    (adapter / "adapter_model.safetensors").write_text(weights)
    (adapter / "deeper" / "extra.json").write_text("{}")
    return Candidate(
        name="wide",
        version=version,
        adapter=adapter,
        parent_version=parent,
        job_id="j1",
        step=step,
        base_sha256="b",
        manifest_sha256=f"m{step}",
    )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "policies")


def test_a_version_is_copied_with_its_hashes_and_readable_by_the_engine(registry: Registry, tmp_path: Path) -> None:
    record = registry.write(candidate(tmp_path), "float32")

    folder = registry.path("wide", 1)
    assert registry.record("wide", 1) == record
    assert (folder / "deeper" / "extra.json").read_text() == "{}"
    assert set(record.files) == {"adapter_model.safetensors", "deeper/extra.json"}
    assert all((folder / name).stat().st_mode & 0o044 == 0o044 for name in (*record.files, "POLICY.json"))
    assert folder.stat().st_mode & 0o055 == 0o055
    registry.verify(record)


def test_the_hash_of_the_weights_is_over_names_and_hashes_as_computed_by_hand() -> None:
    fields = {"name": "a", "version": 1, "job_id": "j", "step": 1, "base_sha256": "b", "precision": "float32"}
    record = PolicyRecord.model_validate({**fields, "files": {"y": "22", "x": "11"}, "created_at": 0.0})

    # printf 'x 11\ny 22\n' | sha256sum
    assert record.adapter_sha256 == "b2724b5480f5843769b8f733a49ce3cc7d4a6a7dee0aaefd7785609b1009852a"


def test_writing_again_is_harmless_and_other_content_a_conflict(registry: Registry, tmp_path: Path) -> None:
    first = registry.write(candidate(tmp_path), "float32")

    assert registry.write(candidate(tmp_path), "float32") == first
    with pytest.raises(Conflict, match=r"other content \(files\): publish version 2"):
        registry.write(candidate(tmp_path, weights="x"), "float32")
    with pytest.raises(Conflict, match="precision"):
        registry.write(candidate(tmp_path), "bfloat16")


def test_what_was_begun_and_never_finished_counts_for_nothing_but_its_number(
    registry: Registry, tmp_path: Path
) -> None:
    registry.write(candidate(tmp_path, 4), "float32")
    (registry.path("wide", 4) / "STABLE").unlink()

    assert registry.versions("wide") == []
    assert registry.next_version("wide") == 5
    with pytest.raises(PolicyNotFound, match="versions of wide: none"):
        registry.record("wide", 4)


def test_a_step_that_was_published_is_found_again(registry: Registry, tmp_path: Path) -> None:
    for version in (1, 2):
        registry.write(candidate(tmp_path, version, step=version), "float32")

    assert registry.version_of("wide", job_id="j1", step=2, manifest_sha256="m2") == 2
    assert registry.version_of("wide", job_id="j1", step=2, manifest_sha256="m3") is None
    assert registry.names() == ["wide"]


def test_the_lineage_ends_at_the_base_or_where_it_is_lost(registry: Registry, tmp_path: Path) -> None:
    for version, parent in ((1, 0), (2, 1), (5, 2), (7, 6)):
        registry.write(candidate(tmp_path, version, parent=parent), "float32")

    assert [one.version for one in registry.lineage("wide", 5)] == [5, 2, 1]
    assert [one.version for one in registry.lineage("wide", 7)] == [7]
    assert registry.lineage("wide", 0) == []


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_changed_or_missing_file_is_named(registry: Registry, tmp_path: Path, harm: str) -> None:
    record = registry.write(candidate(tmp_path), "float32")
    file = registry.path("wide", 1) / "deeper" / "extra.json"
    file.unlink() if harm == "remove" else file.write_text("[]")

    with pytest.raises(Conflict, match=r"deeper/extra\.json changed or gone"):
        registry.verify(record)


def test_an_adapter_without_weights_is_refused(registry: Registry, tmp_path: Path) -> None:
    asked = candidate(tmp_path)
    (asked.adapter / "adapter_model.safetensors").unlink()

    with pytest.raises(InvalidRequest, match="holds no weights"):
        registry.write(asked, "float32")


def test_a_shipped_policy_or_another_version_is_published_without_its_own_record(
    registry: Registry, tmp_path: Path
) -> None:
    asked = candidate(tmp_path)
    (asked.adapter / "evaluations").mkdir()
    for name in ("POLICY.json", "STABLE", "PROBE.json", "REFUSED.json", "LOADED.r-1", "evaluations/0.json"):
        (asked.adapter / name).write_text("of what it was before")

    record = registry.write(asked, "float32")

    assert set(record.files) == {"adapter_model.safetensors", "deeper/extra.json"}
    registry.verify(record)
    assert registry.record("wide", 1) == record
    assert (registry.refusal("wide", 1), registry.probe("wide", 1), registry.evaluations("wide", 1)) == (None, None, [])


def test_a_disk_that_refuses_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "policies").write_text("a file where the folder should be")

    with pytest.raises(StoreUnavailable, match="cannot write"):
        Registry(tmp_path / "policies").write(candidate(tmp_path), "float32")


def test_marks_probes_refusals_and_evaluations_are_kept_beside_the_version(registry: Registry, tmp_path: Path) -> None:
    record = registry.write(candidate(tmp_path), "float32")
    data = ProbeData(precision="float32", limit=1e-4, rows=(ProbeRow(token_ids=(1, 2), start=1, logprobs=(-0.5,)),))
    same = Comparison(version=0, position=0.5, error=0.0, gap=0.0, reading="indistinguishable")
    report = ProbeReport(
        model="wide@v1",
        precision="float32",
        replicas=(ReplicaReport(replica="r", reasons=("why",), comparisons=(same,)),),
    )

    registry.save_probe(record, data)
    registry.refuse(record, report)
    registry.mark_loaded(record, Loaded(replica="10.0.0.7-8000", at=1.0))
    registry.add_evaluation("wide", 1, Evaluated(metric="em", mean=0.1, low=0, high=1, tasks=1))
    registry.add_evaluation("wide", 1, Evaluated(metric="em", mean=0.2, low=0, high=1, tasks=1))

    assert registry.probe("wide", 1) == data
    assert registry.refusal("wide", 1) == report
    assert not report.accepted
    assert registry.marked("wide") == [1]
    assert [one.mean for one in registry.evaluations("wide", 1)] == [0.1, 0.2]
    registry.pardon(record)
    registry.unmark_loaded("wide", 1)
    assert (registry.refusal("wide", 1), registry.loaded("wide", 1), registry.marked("wide")) == (None, [], [])
    assert json.loads((registry.path("wide", 1) / "POLICY.json").read_text())["job_id"] == "j1"


def test_a_report_without_replicas_accepts_nothing() -> None:
    assert not ProbeReport(model="m", precision="float32").accepted
