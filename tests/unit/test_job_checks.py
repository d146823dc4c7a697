"""What a job names is looked at before it starts, and everything wrong is said at once."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.kit.processor import fastest_dtype
from services.trainer.jobs.checks import check
from services.trainer.learn.base import base_sha256
from tests.trainer_parts import desk, job, surroundings, write_tasks
from wideseek.errors import InvalidRequest, ModelUnavailable, RetrievalUnavailable


async def test_a_good_job_tells_what_was_found(tmp_path: Path) -> None:
    found = await check(job(tmp_path), surroundings(tmp_path))

    assert found["data.wide: train.jsonl"] == "1 tasks"
    assert found["data.corpora"] == "the default of factbook"
    assert found["model.base"].startswith("TinyForCausalLM, sha256 ")
    assert found["engine"] == "smollm2"


async def test_a_missing_corpus_is_refused_with_those_there_are(tmp_path: Path) -> None:
    config = job(tmp_path, data={"wide": (tmp_path / "train.jsonl",), "corpora": ("moon", "factbook")})

    with pytest.raises(InvalidRequest, match=r"data\.corpora: moon not served; served: factbook"):
        await check(config, surroundings(tmp_path))


async def test_a_policy_with_another_base_is_refused(tmp_path: Path) -> None:
    config = job(tmp_path)
    around = surroundings(tmp_path, base_of=lambda _: (4, "f" * 64))

    with pytest.raises(
        InvalidRequest, match=r"model\.base: policy@v4 was trained on another base \(sha256 ffffffffffff"
    ):
        await check(config, around)


async def test_the_same_base_goes_on(tmp_path: Path) -> None:
    config = job(tmp_path)
    same = base_sha256(tmp_path / "base")

    found = await check(config, surroundings(tmp_path, base_of=lambda _: (4, same)))

    assert same[:12] in found["model.base"]


async def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps({"instance_id": "x"}) + "\n")
    config = job(
        tmp_path,
        model={"base": str(tmp_path / "nowhere")},
        data={"wide": (broken, tmp_path / "none.jsonl")},
        hardware={"launcher": "kubernetes"},
    )

    with pytest.raises(InvalidRequest) as refused:
        await check(config, surroundings(tmp_path))

    said = str(refused.value)
    for part in ("broken.jsonl", "none.jsonl", "model.base:", "hardware.launcher: kubernetes is not served"):
        assert part in said


async def test_a_task_that_is_trained_on_is_no_held_out_task(tmp_path: Path) -> None:
    held_out = write_tasks(tmp_path / "held.jsonl", ("w9", "w1"))
    config = job(tmp_path, evaluation={"tasks": (held_out,), "every": 5})

    with pytest.raises(InvalidRequest, match=r"evaluation\.tasks: w1 is trained on too \(data\.wide\)"):
        await check(config, surroundings(tmp_path))


async def test_the_expert_engine_is_refused_since_it_only_demonstrates(tmp_path: Path) -> None:
    async def models() -> Sequence[str]:
        return ["expert"]

    with pytest.raises(InvalidRequest, match="whose rollouts are demonstrations"):
        await check(job(tmp_path), surroundings(tmp_path, models=models))


def merged_into(folder: Path, policy: str = "trained") -> Path:
    """A folder of weights that a policy was merged into."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MODEL.json").write_text(json.dumps({"name": policy, "policy": policy, "sha256": "m" * 64}))
    return folder


async def test_a_policy_merged_into_its_base_is_no_place_to_train(tmp_path: Path) -> None:
    served = merged_into(tmp_path / "models" / "trained-1")

    async def engine_root() -> str:
        return str(served)

    with pytest.raises(InvalidRequest, match=r"engine: trained is served, merged .*--policy none` serves it"):
        await check(job(tmp_path), surroundings(tmp_path, engine_root=engine_root))


async def test_merged_weights_are_a_base_like_any_other_when_a_job_names_them(tmp_path: Path) -> None:
    config = job(tmp_path)
    merged_into(tmp_path / "base")

    async def engine_root() -> str:
        return str(tmp_path / "base")

    found = await check(config, surroundings(tmp_path, engine_root=engine_root))

    assert found["engine"] == "smollm2"


async def test_an_outage_refuses_a_start_and_is_a_remark_in_a_dry_run(tmp_path: Path) -> None:
    async def down() -> Sequence[str]:
        raise RetrievalUnavailable("connection refused")

    async def also_down() -> Sequence[str]:
        raise ModelUnavailable("connection refused")

    around = surroundings(tmp_path, corpora=down, models=also_down)

    with pytest.raises(InvalidRequest, match="retrieval cannot be asked"):
        await check(job(tmp_path), around)
    found = await check(job(tmp_path), around, dry_run=True)
    assert found["data.corpora"].startswith("not checked: retrieval cannot be asked")
    assert found["engine"].startswith("not checked: model cannot be asked")


async def test_supervised_jobs_need_their_demonstrations_and_no_cluster(tmp_path: Path) -> None:
    async def down() -> Sequence[str]:
        raise RetrievalUnavailable("connection refused")

    around = surroundings(tmp_path, corpora=down, models=down)
    there = tmp_path / "demos.bin"
    there.write_bytes(b"x")
    good = job(tmp_path, mode="sft", data={"demonstrations": (str(there), "job:tj_1")})
    bad = job(tmp_path, mode="sft", data={"demonstrations": (str(tmp_path / "gone.bin"),)})

    assert "model.base" in await check(good, around)
    with pytest.raises(InvalidRequest, match=r"data\.demonstrations: .*gone\.bin: no such file"):
        await check(bad, around)


def _adapter(folder: Path, rank: int) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return folder


async def test_a_job_starts_from_the_policy_s_current_version_unless_told_otherwise(tmp_path: Path) -> None:
    current, given = _adapter(tmp_path / "policy@v7", 16), _adapter(tmp_path / "mine", 16)
    at = desk(tmp_path, current=lambda _: current)

    made = await at.start(job(tmp_path))

    assert made.record().config.model.init_adapter == current
    base = str(tmp_path / "base")
    assert at.started(job(tmp_path, model={"base": base, "start": "base"})).model.init_adapter is None
    assert at.started(job(tmp_path, model={"base": base, "init_adapter": given})).model.init_adapter == given
    assert at.started(job(tmp_path, model={"base": base, "adaptation": "full"})).model.init_adapter is None


def test_a_job_is_made_in_one_number_format(tmp_path: Path) -> None:
    base = str(tmp_path / "base")
    quickest = job(tmp_path, model={"base": base, "precision": "fastest"})

    at = desk(tmp_path)

    assert at.started(quickest).model.precision == fastest_dtype()
    cuda = quickest.model_copy(update={"hardware": quickest.hardware.model_copy(update={"device": "cuda"})})
    assert at.started(cuda).model.precision == "bfloat16"
    assert at.started(job(tmp_path, model={"base": base, "precision": "float32"})).model.precision == "float32"


async def test_an_adapter_of_another_rank_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    current = _adapter(tmp_path / "policy@v7", 8)

    with pytest.raises(
        InvalidRequest, match=r'model\.lora_rank: policy@v7.*has rank 8; set it, or model\.start = "base"'
    ):
        await desk(tmp_path, current=lambda _: current).start(job(tmp_path))
