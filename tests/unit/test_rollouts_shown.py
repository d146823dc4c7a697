"""A rollout that was written down: learnt from in the pieces that are to be learnt, and stored like any other."""

import io
from pathlib import Path

import pytest

from services.kit.rollouts.shown import shown_rollout
from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.demonstrations import Demonstrations
from wideseek.codec import read_rollouts, write_rollouts
from wideseek.errors import InvalidRequest
from wideseek.rollout import Rollout

PIECES = [([7], [8, 2]), ([9], [4])]


def shown(name: str = "drill-1", pieces: list[tuple[list[int], list[int]]] = PIECES) -> Rollout:
    return shown_rollout(name, "2 or 3?", "3", [5, 6], pieces)


def written(folder: Path, rollout: Rollout) -> str:
    file = folder / "shown.pb"
    with file.open("wb") as stream:
        write_rollouts([rollout], stream)
    return str(file)


def test_what_is_given_is_context_and_what_is_learnt_is_sampled() -> None:
    first, second = shown().agents[0].turns

    assert (first.prompt_token_ids, first.sampled_token_ids) == ((5, 6, 7), (8, 2))
    assert (second.prompt_token_ids, second.sampled_token_ids) == ((5, 6, 7, 8, 2, 9), (4,))


def test_a_job_learns_the_pieces_that_are_to_be_learnt(tmp_path: Path) -> None:
    store = RolloutStore.open(str(tmp_path / "store"))

    (found,) = Demonstrations(store, "job").read([written(tmp_path, shown())])

    assert found.stored.rollout_id == shown().rollout_id
    assert [agent.trained_tokens for agent in found.shape.agents] == [3]
    assert found.masks == ()


def test_it_survives_its_record() -> None:
    stream = io.BytesIO()
    write_rollouts([shown()], stream)
    stream.seek(0)

    assert list(read_rollouts(stream)) == [shown()]


def test_names_tell_rollouts_apart() -> None:
    assert shown("a").rollout_id == shown("a").rollout_id != shown("b").rollout_id


def test_a_piece_with_nothing_to_learn_is_refused(tmp_path: Path) -> None:
    store = RolloutStore.open(str(tmp_path / "store"))

    with pytest.raises(InvalidRequest, match="trainable without prompt, sampled tokens"):
        Demonstrations(store, "job").read([written(tmp_path, shown(pieces=[([7], [])]))])
