"""The objective against the reference vectors, through the functions and through the command."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from services.trainer.objective.cases import evaluate_case, read_case

pytestmark = pytest.mark.shared_data
Vector = Mapping[str, Any]

_RELATIVE, _ABSOLUTE, _LOOSE = 1e-8, 1e-12, 1e-9
_ROUNDED = {"all_equal_rewards", "tiny_spread"}
"""Categories where rounding is divided by 1e-6."""


def vectors(file: Path) -> list[Vector]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def file(shared_data: Path) -> Path:
    return shared_data / "objective" / "vectors.jsonl"


def _numbers(value: Any) -> Iterator[float]:
    for one in value if isinstance(value, list) else [value]:
        yield from _numbers(one) if isinstance(one, list) else [one]


def disagreements(vector: Vector, found: Vector) -> list[str]:
    """Which of the vector's expectations are missed."""
    absolute = _LOOSE if vector["category"] in _ROUNDED else _ABSOLUTE
    return [
        f"{vector['id']} {name}"
        for name, expected in vector["expected"].items()
        if list(_numbers(found[name])) != pytest.approx(list(_numbers(expected)), rel=_RELATIVE, abs=absolute)
    ]


def test_every_vector_is_reproduced_by_the_functions_that_train(file: Path) -> None:
    given = vectors(file)

    found = [json.loads(evaluate_case(read_case(json.dumps(vector))).model_dump_json()) for vector in given]

    wrong = [one for vector, result in zip(given, found, strict=True) for one in disagreements(vector, result)]
    assert len(given) == 69
    assert not wrong


def test_every_vector_is_reproduced_by_the_command(file: Path, tmp_path: Path) -> None:
    given, out = vectors(file), tmp_path / "out.jsonl"

    with pytest.raises(SystemExit) as ended:
        main(["objective", "--case", str(file), "--out", str(out)])

    found = vectors(out)
    assert ended.value.code == 0
    assert [one["id"] for one in found] == [vector["id"] for vector in given]
    assert all(set(one) == {"id", *vector["expected"]} for vector, one in zip(given, found, strict=True))
    assert not [miss for vector, one in zip(given, found, strict=True) for miss in disagreements(vector, one)]


def test_no_vector_is_given_the_token_mean_of_the_whole_batch(file: Path) -> None:
    """The value a loss takes that is averaged over tokens, where it differs from the right one."""
    given = vectors(file)

    found = [evaluate_case(read_case(json.dumps(vector))).loss for vector in given]

    apart = [
        abs(loss - vector["diagnostics"]["loss_token_mean_whole_batch"])
        for vector, loss in zip(given, found, strict=True)
        if abs(vector["expected"]["loss"] - vector["diagnostics"]["loss_token_mean_whole_batch"]) > 1e-6
    ]
    assert len(apart) > 40
    assert min(apart) > 5e-7


def test_a_group_of_equal_rewards_has_advantages_that_are_zero_without_a_sign(file: Path) -> None:
    given = [vector for vector in vectors(file) if vector["category"] == "all_equal_rewards"]

    found = [evaluate_case(read_case(json.dumps(vector))) for vector in given]

    groups = [
        advantages
        for vector, result in zip(given, found, strict=True)
        for group, advantages in zip(vector["groups"], result.advantages, strict=True)
        if len({rollout["reward"] for rollout in group["rollouts"]}) == 1
    ]
    assert len(groups) >= 5
    assert {str(advantage) for advantages in groups for advantage in advantages} == {"0.0"}
