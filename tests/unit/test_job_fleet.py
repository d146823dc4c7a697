"""GPU hours of a job on machines that are not here, by hand from stated assumptions."""

from pathlib import Path
from typing import Any

import pytest

from services.trainer.jobs.assumptions import Architecture, Assumptions, read_assumptions
from services.trainer.jobs.cost import Measured, estimate
from services.trainer.jobs.fleet import fleet
from tests.trainer_parts import desk, job
from wideseek.errors import InvalidRequest

SHAPE = {
    "source": "made up for a test",
    "hidden_size": 8,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 4,
    "intermediate_size": 32,
    "vocabulary": 100,
    "tied": True,
    "qk_norm": True,
}
LAYER = 16 * 8 + 2 * 8 * 8 + 8 * 16 + 3 * 32 * 8 + 8 + 8 + 4 + 4
P = 100 * 8 + 2 * LAYER + 8
FIGURES = {
    "learner_flops": 1e6,
    "engine_gpus": 4,
    "prefill_tokens_per_second": 100,
    "decode_tokens_per_second": 10,
    "utilisation": 0.5,
    "unique_tokens": 1_000,
    "sampled_tokens": 200,
    "demonstration_tokens": 300,
}


def assumptions(**changes: float) -> Assumptions:
    figures = {name: {"value": value, "source": "assumed: for a test"} for name, value in (FIGURES | changes).items()}
    return Assumptions.model_validate({"architecture": SHAPE, **figures})


def rollouts(tmp_path: Path, **more: Any) -> Any:
    chosen = {"group_size": 2, "groups_per_step": 3, "max_staleness": 0} | more.pop("rollouts", {})
    return job(tmp_path, steps=5, rollouts=chosen, hardware={"processes": 2, "device": "cuda"}, **more)


def test_an_architecture_has_the_weights_of_its_formula() -> None:
    tied = Architecture.model_validate(SHAPE)
    untied = Architecture.model_validate({**SHAPE, "tied": False, "qk_norm": False})

    def count(shapes: dict[str, tuple[int, ...]]) -> int:
        return sum(shape[0] * (shape[1] if len(shape) == 2 else 1) for shape in shapes.values())

    assert count(tied.shapes()) == P
    assert count(untied.shapes()) == P + 100 * 8 - 2 * 8
    assert tied.shapes()["layers.1.self_attn.k_proj.weight"] == (8, 8)


def test_hours_of_learner_and_engine_add_up_where_they_take_turns(tmp_path: Path) -> None:
    config, assumed = rollouts(tmp_path), assumptions()

    found = estimate(config, None, None, accelerator=False, assumed=assumed)
    costs = fleet(config, found, assumed)

    learner = 4 * P * 30 * 1_000 / 1e6 / 3_600
    engine = 30 * (800 / 100 + 200 / 10) / 0.5 / 3_600
    assert (found.parameters, found.rollouts, found.tokens_per_rollout) == (P, 30, 1_000)
    assert costs.learner_gpu_hours == pytest.approx(learner)
    assert costs.engine_gpu_hours == pytest.approx(engine)
    assert costs.gpu_hours == pytest.approx(learner + engine)
    assert costs.hours == pytest.approx(learner / 2 + engine / 4)
    assert costs.reserved_gpu_hours == pytest.approx(6 * costs.hours)
    assert "take turns" in costs.order


def test_the_longer_half_decides_where_they_overlap(tmp_path: Path) -> None:
    config, assumed = rollouts(tmp_path, rollouts={"max_staleness": 1}), assumptions()

    costs = fleet(config, estimate(config, None, None, accelerator=False, assumed=assumed), assumed)

    assert costs.hours == pytest.approx(max(costs.learner_gpu_hours / 2, costs.engine_gpu_hours / 4))
    assert "overlap" in costs.order


def test_supervised_training_draws_no_rollouts(tmp_path: Path) -> None:
    config = job(tmp_path, mode="sft", steps=4, sft_rows_per_step=2, data={"demonstrations": ("job:tj_1",)})
    assumed = assumptions()

    costs = fleet(config, estimate(config, None, None, accelerator=False, assumed=assumed), assumed)

    assert (costs.engine_gpus, costs.engine_gpu_hours) == (0, 0)
    assert costs.learner_gpu_hours == pytest.approx(4 * P * 8 * 300 / 1e6 / 3_600)
    assert costs.hours == costs.learner_gpu_hours


def test_what_was_measured_goes_before_what_is_assumed(tmp_path: Path) -> None:
    found = estimate(
        rollouts(tmp_path), None, Measured(rollouts=9, tokens_per_rollout=70), accelerator=False, assumed=assumptions()
    )

    assert (found.tokens_per_rollout, found.tokens_source) == (70, "measured on 9 rollouts")


async def test_an_offline_dry_run_says_what_it_did_not_look_at_and_refuses_what_it_did(tmp_path: Path) -> None:
    away = {"wide": (tmp_path / "away.jsonl",), "corpora": ("factbook",)}
    at, model = desk(tmp_path), {"base": str(tmp_path / "no-weights")}

    dry = await at.dry_run(job(tmp_path, data=away, model=model), offline=True, assumed=assumptions())

    assert dry.checks["data.wide: away.jsonl"] == f"not checked: {tmp_path}/away.jsonl is not here"
    assert dry.checks["data.corpora"] == "not checked: factbook; offline, nobody is asked"
    for key in ("model.base", "engine", "hardware"):
        assert dry.checks[key].startswith("not checked: "), key
    assert dry.estimate.parameters == P
    with pytest.raises(InvalidRequest, match=r"away\.jsonl"):
        await at.dry_run(job(tmp_path, data=away))
    (tmp_path / "away.jsonl").write_text("{}\n")
    with pytest.raises(InvalidRequest, match=r"data\.wide: .*away\.jsonl"):
        await at.dry_run(job(tmp_path, data=away), offline=True)


async def test_files_of_a_supervised_job_may_be_elsewhere_offline(tmp_path: Path) -> None:
    config = job(
        tmp_path,
        mode="sft",
        data={"demonstrations": (str(tmp_path / "gone.pb"),)},
        model={"base": str(tmp_path / "base"), "init_adapter": tmp_path / "gone"},
    )

    dry = await desk(tmp_path).dry_run(config, offline=True)

    assert dry.checks["data.demonstrations: gone.pb"].endswith("gone.pb is not here")
    assert dry.checks["model.init_adapter"].endswith("gone is not here")
    assert "engine" not in dry.checks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "not TOML"),
        ("[architecture]\nsource = 'made up for a test'", "architecture.hidden_size: Field required"),
        ("learner_flopz = 1", "learner_flopz: unknown key"),
        ("learner_flops = {value = -1, source = 'assumed: so'}", "learner_flops.value: Input should be greater than 0"),
        ("learner_flops = {value = 1, source = 'so'}", "learner_flops.source: String should have at least 10"),
    ],
)
def test_a_broken_file_of_assumptions_is_refused_by_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "assumptions.toml"
    path.write_text(text)

    with pytest.raises(InvalidRequest) as refused:
        read_assumptions(path)

    assert f"{path}: " in str(refused.value)
    assert said in str(refused.value)


def test_a_file_of_assumptions_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"none\.toml: cannot be read \(No such file"):
        read_assumptions(tmp_path / "none.toml")
