"""Job files: every key known, paths anchored, values set on top, mistakes named."""

from pathlib import Path

import pytest

from services.trainer.jobs.files import read_job
from wideseek.errors import InvalidRequest

SMALL = 'steps = 3\n[data]\nwide = ["tasks.jsonl"]\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "job.toml"
    path.write_text(text)
    return path


def test_a_small_file_is_a_whole_job(tmp_path: Path) -> None:
    job = read_job(written(tmp_path, SMALL))

    assert (job.steps, job.mode, job.policy, job.planned) == (3, "grpo", "policy", 32)


def test_paths_are_relative_to_the_file_and_those_set_on_top_to_the_working_folder(tmp_path: Path) -> None:
    job = read_job(written(tmp_path, SMALL), ['data.questions=["q.jsonl"]'])

    assert job.data.wide == (tmp_path / "tasks.jsonl",)
    assert job.data.questions == (Path.cwd() / "q.jsonl",)


def test_names_that_are_no_paths_stay_as_they_are(tmp_path: Path) -> None:
    job = read_job(written(tmp_path, 'mode = "sft"\n[data]\ndemonstrations = ["job:tj_1", "d.bin"]\n'))

    assert job.data.demonstrations == ("job:tj_1", str(tmp_path / "d.bin"))
    assert job.model.base == "smollm2"


@pytest.mark.parametrize(
    ("override", "value"),
    [("optim.lr=1e-3", 1e-3), ("objective.weights.scheme=role", "role"), ("rollouts.group_size=4", 4)],
)
def test_a_value_set_on_top_wins(tmp_path: Path, override: str, value: object) -> None:
    job = read_job(written(tmp_path, SMALL), [override])

    found: object = job
    for name in override.split("=", maxsplit=1)[0].split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stepz = 3\n" + SMALL, "stepz: unknown key"),
        (SMALL + "[optim]\nlearning_rate = 1\n", "optim.learning_rate: unknown key"),
        (SMALL + "[rollouts.sampling]\ntop_p = 0.9\n", "rollouts.sampling.top_p: must be 1"),
        (SMALL + "[rollouts.sampling]\ntop_k = 20\n", "rollouts.sampling.top_k: must be -1"),
        (SMALL + '[reward]\nquestion_metric = "bleu"\n', "reward.question_metric: Input should be"),
        (SMALL + "[reward]\nstyle_bonus = 1\n", "reward.style_bonus: unknown key"),
        ("steps = 0\n[data]\nwide = []\n", "steps: Input should be greater than or equal to 1"),
        ("steps = 3\n", "data.wide: mode grpo needs tasks"),
        ("steps = ", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(InvalidRequest) as refused:
        read_job(path)

    assert str(path) in str(refused.value)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no such file"):
        read_job(tmp_path / "none.toml")


@pytest.mark.parametrize("override", ["steps", "=3", "a..b=1"])
def test_an_override_that_sets_nothing_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(InvalidRequest, match="expected key"):
        read_job(written(tmp_path, SMALL), [override])


def test_the_hash_follows_the_resolved_values(tmp_path: Path) -> None:
    plain = read_job(written(tmp_path, SMALL))

    assert read_job(written(tmp_path, SMALL + "[optim]\nlr = 1e-5\n")).sha256 == plain.sha256
    assert read_job(written(tmp_path, SMALL), ["optim.lr=2e-5"]).sha256 != plain.sha256
