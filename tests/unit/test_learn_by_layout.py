"""The `reference_compat` scheme: the layout multiplies the weights, in the learner as in the formula."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.trainer.learn.layout import MicroBatch, TrainRow
from services.trainer.learn.update import loss_config, weighed_by_layout
from tests.learn_parts import gradient, off, policy, some_rows, tiny_model, updater
from tests.learner_parts import job_folder
from tests.learner_torch_parts import base_folder, opened
from wideseek.errors import InvalidRequest
from wideseek.trajectory import Role


def row(trained: int, weight: float) -> TrainRow:
    length = trained + 1
    marks = (False, *(True,) * trained)
    return TrainRow((5,) * length, marks, (0.0,) * length, weight, 1.0, Role.LEAD, 0)


def test_the_factors_of_a_layout_by_hand() -> None:
    """Rows of 4, 2 and 6 trained tokens, the first two together: S = 3, M = 2, n = 6 and 6; one row has none."""
    rows = [row(4, 0.5), row(0, 0.7), row(6, 1.0), row(2, 2.0)]

    found = weighed_by_layout(rows, [MicroBatch((0, 3), 10, 1.0), MicroBatch((2,), 7, 1.0)])

    assert [one.weight for one in found] == pytest.approx([0.5 * 4 / 6 * 3 / 2, 0.7, 1.0 * 3 / 2, 2.0 * 2 / 6 * 3 / 2])
    assert [replace(one, weight=0.0) for one in found] == [replace(one, weight=0.0) for one in rows]


def test_the_gradient_is_that_of_the_weights_times_the_formula(tmp_path: Path) -> None:
    scored, rows = policy(tiny_model(tmp_path)), some_rows()
    plan = updater(scored, tokens=64).plan(rows)[0]
    lengths = {place: sum(rows[place].trained) for batch in plan for place in batch.rows}
    factors = {
        place: lengths[place] / sum(lengths[one] for one in batch.rows) * len(rows) / len(plan)
        for batch in plan
        for place in batch.rows
    }
    scaled = [replace(one, weight=one.weight * factors[place]) for place, one in enumerate(rows)]

    found = gradient(updater(scored, tokens=64, by_layout=True), rows)

    assert len({round(factor, 6) for factor in factors.values()}) > 3
    assert off(found, gradient(updater(scored, tokens=64), scaled)) < 1e-9
    assert off(found, gradient(updater(scored, tokens=64), rows)) > 0.05


def test_alone_in_their_micro_batches_rows_weigh_what_the_manifest_says(tmp_path: Path) -> None:
    scored, rows = policy(tiny_model(tmp_path)), some_rows()

    found = gradient(updater(scored, tokens=16, by_layout=True), rows)

    assert off(found, gradient(updater(scored, tokens=16), rows)) < 1e-9


def test_every_optimiser_step_of_a_manifest_is_a_layout_of_its_own(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    rows = [replace(one, minibatch=place % 2) for place, one in enumerate(some_rows())]
    update = updater(scored, tokens=64, by_layout=True)
    parts = [[one for one in rows if one.minibatch == number] for number in (0, 1)]
    alone = [updater(scored, tokens=64, by_layout=True).step(part, lr=0.0)["loss/value"] for part in parts]

    told = update.step(rows, lr=0.0)

    assert told["loss/value"] == pytest.approx(sum(alone) / 2, rel=1e-9)


def test_several_processes_are_refused(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))

    with pytest.raises(InvalidRequest, match=r"objective\.weights\.scheme.*hardware\.processes must be 1"):
        updater(scored, by_layout=True, ranks=2)


@pytest.mark.parametrize("scheme", ["wideseek", "reference_compat"])
def test_the_scheme_of_the_job_reaches_its_update(tmp_path: Path, scheme: str) -> None:
    weights = {"scheme": scheme, "failed_subagent": "mask"}
    folder = job_folder(tmp_path / "job", base_folder(tmp_path / "base"), objective={"weights": weights})
    rows = some_rows()
    policy = opened(folder)
    plain = updater(policy.scorer, loss=loss_config(policy.config), tokens=64)

    found = gradient(policy.update, rows)

    expected = weighed_by_layout(rows, plain.plan(rows)[0]) if scheme == "reference_compat" else rows
    assert off(found, gradient(plain, expected)) < 1e-5
