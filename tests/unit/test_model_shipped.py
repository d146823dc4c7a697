"""Which policy is served, and what its `POLICY.json` may say."""

import json
from pathlib import Path

import pytest

from services.model.shipped import CARD, CONFIG, SHIPPED, WEIGHTS, UnusableAdapter, find_policy, read_card
from tests.adapter_parts import write_card


def folder(path: Path) -> Path:
    """The files of an adapter, whatever is in them."""
    path.mkdir(parents=True)
    (path / CONFIG).write_text("{}")
    (path / WEIGHTS).write_bytes(b"weights")
    return path


def test_the_shipped_policy_is_found_where_it_is_there(tmp_path: Path) -> None:
    assert find_policy(None, models=tmp_path) is None

    shipped = write_card(folder(tmp_path / SHIPPED)).absolute()

    assert find_policy(None, models=tmp_path) == shipped
    assert find_policy("none", models=tmp_path) is None


def test_a_named_folder_goes_before_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_card(folder(tmp_path / SHIPPED))
    folder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)

    assert find_policy("mine", models=tmp_path) == tmp_path / "mine"


@pytest.mark.parametrize("missing", [CONFIG, WEIGHTS])
def test_a_folder_without_an_adapter_is_refused(tmp_path: Path, missing: str) -> None:
    (folder(tmp_path / "mine") / missing).unlink()

    with pytest.raises(UnusableAdapter, match=f"mine holds no {missing}: name the folder of a LoRA adapter, or none"):
        find_policy(str(tmp_path / "mine"))


def test_a_card_names_the_policy_and_its_prompts(tmp_path: Path) -> None:
    card = read_card(write_card(folder(tmp_path / "mine"), name="mine-1", prompt_profile="compact", base_sha256="ab"))

    assert (card.name, card.prompt_profile, card.base_sha256) == ("mine-1", "compact", "ab")


def test_the_record_of_a_published_version_is_a_card(tmp_path: Path) -> None:
    published = {"version": 3, "job_id": "tj", "step": 3, "precision": "bfloat16", "files": {}, "created_at": 1.0}

    card = read_card(write_card(folder(tmp_path / "policy@v3"), name="policy", base_sha256="ab", **published))

    assert (card.name, card.base_sha256, card.prompt_profile) == ("policy", "ab", None)


@pytest.mark.parametrize(
    ("name", "served"), [("mine", "mine"), ("smollm2", "policy"), ("Step 3", "policy"), ("120", "policy")]
)
def test_an_adapter_without_a_card_goes_by_its_folder_s_name_where_that_is_one(
    tmp_path: Path, name: str, served: str
) -> None:
    assert read_card(folder(tmp_path / name)).name == served


@pytest.mark.parametrize("name", ["smollm2", "expert", "none", "Trained", "a/b", "trained@v1", ""])
def test_names_that_mean_something_else_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnusableAdapter, match="is no name for a policy"):
        read_card(write_card(folder(tmp_path / "mine"), name=name))


def test_an_adapter_that_is_not_the_cards_is_refused(tmp_path: Path) -> None:
    mine = write_card(folder(tmp_path / "mine"))
    (mine / WEIGHTS).write_bytes(b"others")

    with pytest.raises(UnusableAdapter, match=r"is not what POLICY\.json was written for; pack it again"):
        read_card(mine)


@pytest.mark.parametrize(
    ("text", "said"), [("[]", "be an object"), ("{", "JSON"), ('{"name": "a", "prompt_profile": "x"}', "'full'")]
)
def test_a_card_that_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    (folder(tmp_path / "mine") / CARD).write_text(text)

    with pytest.raises(UnusableAdapter, match=said) as refused:
        read_card(tmp_path / "mine")
    assert "\n" not in str(refused.value)


def test_what_training_read_is_kept_by_its_hash(tmp_path: Path) -> None:
    trained = {"configs": [{"file": "sft.toml", "sha256": "a" * 64}], "data_sha256": ["b" * 64], "results": {"f1": 0.8}}

    card = read_card(write_card(folder(tmp_path / "mine"), **trained))

    assert json.loads(card.model_dump_json())["configs"] == trained["configs"]
    assert card.results == {"f1": 0.8}
