"""`arms.toml` and the folders it describes; what it says is held against what was measured."""

from pathlib import Path

import pytest

from services.evaluation.policy.arms import read_arms
from services.evaluation.policy.training import Stage, Step, read_stages, smoothed
from tests.policy_report_parts import only_arm, write_arm, write_arms, write_metrics
from wideseek.errors import InvalidRequest

SFT = '[arms.sft]\ntitle = "SFT"\ngroup = "headline"\n'


def test_arms_are_kept_in_the_order_of_the_file_and_those_that_are_missing_too(tmp_path: Path) -> None:
    text = '[arms."widths/width=2"]\ntitle = "w2"\ngroup = "width"\nwidth = 2\n' + SFT
    write_arms(tmp_path, text)
    write_arm(tmp_path, "widths/width=2", {"named-1": [1.0, 0.5]}, setting={"width": 2})

    described, arms = read_arms(tmp_path)

    assert list(described.arms) == ["widths/width=2", "sft"]
    assert [(arm.title, len(arm.trials), arm.num_trials) for arm in arms] == [("w2", 2, 2), ("SFT", 0, 0)]
    assert len(arms[0].results_sha256) == 64
    assert arms[0].setting("width") == 2
    assert arms[1].setting("width") is None


def test_a_task_that_lacks_a_trial_is_left_out(tmp_path: Path) -> None:
    write_arms(tmp_path, SFT)
    write_arm(tmp_path, "sft", {"named-1": [1.0, 0.5, 0.2], "named-2": [1.0]}, trials=3)

    assert {trial.instance_id for trial in only_arm(tmp_path).trials} == {"named-1"}


def test_an_arm_of_which_no_task_has_ended_is_not_measured(tmp_path: Path) -> None:
    write_arms(tmp_path, SFT)
    write_arm(tmp_path, "sft", {"named-1": [1.0]}, trials=3)

    arm = only_arm(tmp_path)

    assert arm.summary is None
    assert not arm.trials


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('mode = "single_agent"', "arms.sft.mode: says single_agent, measured was multi_agent"),
        ("width = 4", "arms.sft.width: says 4, measured was none"),
        ("token_budget = 9", "arms.sft.token_budget: says 9, measured was 5000"),
        ('token_budget = "other"', "arms.sft.token_budget: says other, measured was base"),
        ('of = "nobody"', "arms.sft.of: 'nobody' is no arm"),
        ('[[compare]]\nfirst = "sft"\nsecond = "marl"', "compare.0.second: 'marl' is no arm"),
        ('[[targets]]\narm = "x"\nmetric = "item_f1"\nat_least = 1', "targets.0.arm: 'x' is no arm"),
        ('colour = "red"', "arms.sft.colour: Extra inputs"),
        ("= 3", "not TOML"),
    ],
)
def test_what_does_not_fit_is_refused_by_key(tmp_path: Path, more: str, said: str) -> None:
    write_arms(tmp_path, SFT + more)
    setting = {"max_tokens": 5_000, "budget_from": "base (0123456789ab)"}
    write_arm(tmp_path, "sft", {"named-1": [1.0]}, setting=setting)

    with pytest.raises(InvalidRequest) as refused:
        read_arms(tmp_path)

    assert str(refused.value).startswith(f"{tmp_path / 'arms.toml'}: ")
    assert said in str(refused.value)


def test_what_fits_is_taken(tmp_path: Path) -> None:
    write_arms(tmp_path, SFT + 'mode = "multi_agent"\nwidth = 4\ntoken_budget = "base"')
    write_arm(
        tmp_path,
        "sft",
        {"named-1": [1.0]},
        setting={"width": 4, "budget_from": "base (0123456789ab)"},
    )

    assert only_arm(tmp_path).trials


def test_results_that_no_entry_describes_are_named(tmp_path: Path) -> None:
    write_arms(tmp_path, SFT)
    write_arm(tmp_path, "forgotten", {"named-1": [1.0]})

    with pytest.raises(InvalidRequest, match=r"arms\.forgotten: results lie there, but no entry describes them"):
        read_arms(tmp_path)


def test_files_that_are_not_there_or_broken_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"arms\.toml: cannot be read"):
        read_arms(tmp_path)
    write_arms(tmp_path, SFT)
    write_arm(tmp_path, "sft", {"named-1": [1.0]})
    (tmp_path / "sft" / "summary.json").write_text("{}")
    with pytest.raises(InvalidRequest, match=r"summary\.json: Field required"):
        read_arms(tmp_path)
    (tmp_path / "sft" / "summary.json").unlink()
    with pytest.raises(InvalidRequest, match=r"summary\.json: cannot be read"):
        read_arms(tmp_path)


# ---- metrics of training ------------------------------------------------------------------


def test_stages_come_in_the_order_of_their_titles_and_others_after_them(tmp_path: Path) -> None:
    write_metrics(tmp_path, "marl", [{"step": 1, "scalars": {"reward/mean": 0.5}}])
    write_metrics(tmp_path, "again", [{"step": 1}])

    stages = read_stages(tmp_path, {"sft": "Warm start", "marl": "MARL"})

    assert [(stage.name, stage.title, len(stage.steps)) for stage in stages] == [
        ("sft", "Warm start", 0),
        ("marl", "MARL", 1),
        ("again", "again", 1),
    ]


def test_a_stage_gives_curves_totals_and_held_out_scores(tmp_path: Path) -> None:
    held_out = {"version": 1, "metric": "item_f1", "mean": 0.5, "low": 0.4, "high": 0.6, "tasks": 3}
    lines = [
        {"step": 1, "scalars": {"loss/value": 2.0, "tokens/trained": 10.0}},
        {"step": 2, "scalars": {"loss/value": 1.0, "tokens/trained": 20.0}},
        {"step": 2, "evaluation": [held_out]},
    ]
    write_metrics(tmp_path, "sft", lines)

    [stage] = read_stages(tmp_path, {})

    assert stage.curve("loss/value") == [(1, 2.0), (2, 1.0)]
    assert (stage.total("tokens/trained"), stage.total("reward/mean")) == (30.0, None)
    assert stage.held_out() == {"item_f1": [(2, 0.5, 0.4, 0.6)]}


def test_a_line_that_is_no_metric_is_named(tmp_path: Path) -> None:
    path = write_metrics(tmp_path, "sft", [{"step": 1}])
    path.write_text(path.read_text() + "nonsense\n")

    with pytest.raises(InvalidRequest, match=r"metrics\.jsonl:2: no line of a training job's metrics"):
        read_stages(tmp_path, {})


def test_smoothing_is_the_mean_with_what_came_before() -> None:
    curve = Stage("s", "s", [Step(step=n, scalars={"x": float(n)}) for n in (1, 2, 3, 4)]).curve("x")

    assert smoothed(curve, 3) == [(1, 1.0), (2, 1.5), (3, 2.0), (4, 3.0)]
