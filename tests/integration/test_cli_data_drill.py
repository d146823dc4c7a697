"""`wideseek data drill` as people run it: rollouts in the trainer's tokens, the same for a seed."""

from pathlib import Path

import pytest

from services.model.bundled import tokenizer_file
from services.model.expert.tokens import Tokens
from tests.data_commands import run_data
from wideseek.codec import read_rollouts


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_drills_are_written_as_a_job_reads_them(tmp_path: Path, home: Path) -> None:
    made = [
        run_data(tmp_path, "drill", "--out", f"{name}.pb", "--count", "3", "--lines", "4", "--home", str(home))
        for name in ("one", "two")
    ]

    assert [done.returncode for done in made] == [0, 0], made[0].stderr
    assert "3 drills of 4 comparisons in one.pb" in made[0].stderr
    assert (tmp_path / "one.pb").read_bytes() == (tmp_path / "two.pb").read_bytes()
    with (tmp_path / "one.pb").open("rb") as stream:
        rollouts = list(read_rollouts(stream))
    tokens = Tokens(tokenizer_file(home))
    for rollout in rollouts:
        turns = rollout.agents[0].turns
        whole = [*turns[-1].prompt_token_ids, *turns[-1].sampled_token_ids]
        assert tokens.decode(whole).endswith(rollout.answer_text)
        assert whole == tokens.encode(tokens.decode(whole)), "as the engine tokenizes it in one go"
        assert rollout.query in tokens.decode(turns[0].prompt_token_ids)
        assert {tokens.decode(turn.sampled_token_ids) for turn in turns} <= {" over", " under", " yes", " no"}
        assert len(turns) == 8
    assert len({rollout.rollout_id for rollout in rollouts}) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--count", "0"), "--count"), (("--lines", "0"), "--lines"), (("--lines", "101"), "--lines")],
)
def test_what_cannot_be_made_is_refused(tmp_path: Path, options: tuple[str, str], said: str) -> None:
    done = run_data(tmp_path, "drill", "--out", "drills.pb", *options)

    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "drills.pb").exists()


def test_a_folder_cannot_be_the_file(tmp_path: Path) -> None:
    done = run_data(tmp_path, "drill", "--out", ".")

    assert done.returncode == 2
    assert "--out .: is a folder" in done.stderr
