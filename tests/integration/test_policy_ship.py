"""`wideseek policies ship`: a job's adapter packed into the folder that a checkout ships, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.cli.main import main
from services.model.merging import base_sha256, merge
from services.model.packing import Provenance, pack
from services.model.shipped import CARD, CONFIG, SHIPPED, WEIGHTS, UnusableAdapter, find_policy, read_card
from tests.adapter_parts import with_record, write_adapter, write_card
from tests.learn_parts import tiny_model
from wideseek.contracts import PromptProfile

NAME = "wideseek-tiny"
SAID = Provenance(NAME, PromptProfile.COMPACT)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return with_record(tiny_model(tmp_path / "base", family="llama"))


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """As a job in float32 leaves it."""
    folder = write_adapter(tmp_path / "job" / "ckpt" / "3" / "adapter", base, half=False)
    (folder.parent / "checkpoint.json").write_text(json.dumps({"step": 3, "base_sha256": base_sha256(base)}))
    return folder


def job_file(folder: Path, name: str = "sft.toml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text('mode = "sft"\n')
    return folder / name


def test_what_is_packed_is_what_is_shipped_and_served(base: Path, adapter: Path, tmp_path: Path) -> None:
    configs = [job_file(tmp_path / "recipe"), job_file(tmp_path / "recipe", "grpo.toml")]
    said = Provenance(NAME, PromptProfile.COMPACT, configs, ["a" * 64], {"item_f1": {"named": 0.8123456, "tasks": 12}})
    out = tmp_path / "models" / SHIPPED

    card = pack(adapter, base, said, out)

    assert {path.name for path in out.iterdir()} == {WEIGHTS, CONFIG, CARD, "README.md", "sft.toml", "grpo.toml"}
    assert find_policy(None, models=tmp_path / "models") == out
    assert read_card(out) == card
    assert (card.name, card.base_sha256, card.prompt_profile) == (NAME, base_sha256(base), "compact")
    assert [one.file for one in card.configs] == ["sft.toml", "grpo.toml"]
    ours, theirs = load_file(out / WEIGHTS), load_file(adapter / WEIGHTS)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name].to(torch.bfloat16)) for name, value in ours.items())
    assert merge(base, out, tmp_path / "home")[1] == NAME
    shown = (out / "README.md").read_text()
    for part in (
        f"# {NAME}",
        f"--policy models/{NAME}\n",
        "`compact`",
        card.adapter_sha256,
        "[sft.toml](sft.toml)",
        "| item_f1 named | 0.8123 |",
    ):
        assert part in shown


def test_the_same_adapter_gives_the_same_bytes_in_place_of_the_one_before(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    pack(adapter, base, Provenance(NAME, configs=[job_file(tmp_path / "recipe", "old.toml")]), out)

    pack(adapter, base, SAID, out)
    pack(adapter, base, SAID, other)

    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in other.iterdir()
    }
    assert {path.name for path in tmp_path.iterdir()} == {"base", "job", "recipe", "out", "other"}


def test_a_path_of_the_machine_it_was_trained_on_is_left_out(base: Path, adapter: Path, tmp_path: Path) -> None:
    settings = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps({**settings, "base_model_name_or_path": "/home/me/base"}))

    pack(adapter, base, SAID, tmp_path / "out")

    kept = json.loads((tmp_path / "out" / CONFIG).read_text())
    assert kept == {**settings, "base_model_name_or_path": None}


def test_a_policy_over_the_size_is_refused_and_the_one_before_kept(base: Path, adapter: Path, tmp_path: Path) -> None:
    pack(adapter, base, SAID, tmp_path / "out")
    before = (tmp_path / "out" / CARD).read_bytes()
    large = write_adapter(tmp_path / "large", base, rank=64)

    with pytest.raises(UnusableAdapter, match=r"takes 0\.1 MB in bfloat16, 0\.1 MB may .* smaller model\.lora_rank"):
        pack(large, base, SAID, tmp_path / "out", max_bytes=100_000)

    assert (tmp_path / "out" / CARD).read_bytes() == before


@pytest.mark.parametrize("place", ["adapter", "checkpoint"])
def test_an_adapter_of_another_base_is_refused(base: Path, adapter: Path, tmp_path: Path, place: str) -> None:
    if place == "adapter":
        write_card(adapter, base_sha256="f" * 64)
    else:
        (adapter.parent / "checkpoint.json").write_text(json.dumps({"base_sha256": "f" * 64}))

    with pytest.raises(UnusableAdapter, match=r"trained on the base ffffffffffff, .* train it again with model\.base"):
        pack(adapter, base, SAID, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_an_adapter_that_holds_more_than_an_adapter_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    save_file({**load_file(adapter / WEIGHTS), "optimizer.exp_avg": torch.zeros(3)}, adapter / WEIGHTS)

    with pytest.raises(UnusableAdapter, match="only linears of attention and MLP"):
        pack(adapter, base, SAID, tmp_path / "out")


def test_a_folder_with_something_else_in_it_is_left_alone(base: Path, adapter: Path, tmp_path: Path) -> None:
    mine = job_file(tmp_path / "mine")

    with pytest.raises(UnusableAdapter, match=r"holds no POLICY\.json: name a new folder"):
        pack(adapter, base, SAID, mine.parent)

    assert [path.name for path in mine.parent.iterdir()] == ["sft.toml"]


def test_job_files_and_hashes_that_are_none_are_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    one, other = job_file(tmp_path / "a"), job_file(tmp_path / "b")

    for said, match in (
        (Provenance(NAME, configs=[tmp_path / "gone.toml"]), "is no file"),
        (Provenance(NAME, configs=[one, other]), "job files are named differently"),
        (Provenance(NAME, configs=[adapter / CONFIG]), r"end in \.toml"),
        (Provenance(NAME, data_sha256=["sha256:abc"]), "is no SHA-256"),
        (Provenance("smollm2"), "is no name for a policy"),
    ):
        with pytest.raises(UnusableAdapter, match=match):
            pack(adapter, base, said, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--prompt-profile", "short"], "--prompt-profile 'short': expected full or compact"),
        (["--results", "none.json"], "--results none.json: No such file"),
        (["--name", "Mine"], "'Mine' is no name for a policy"),
    ],
)
def test_the_command_refuses_in_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    adapter = write_adapter(tmp_path / "adapter", home / "models" / "smollm2")

    with pytest.raises(SystemExit) as ended:
        main(["policies", "ship", str(adapter), "--out", str(tmp_path / "out"), "--home", str(home), *options])

    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose bundled model is a tiny one."""
    with_record(tiny_model(tmp_path / "home" / "models" / "smollm2", family="llama"))
    return tmp_path / "home"


def test_the_command_packs_and_says_what(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter = write_adapter(tmp_path / "adapter", home / "models" / "smollm2")
    measured = tmp_path / "results.json"
    measured.write_text('{"item_f1": 0.5}')
    out = tmp_path / "mine-1"
    options = ["--config", str(job_file(tmp_path / "recipe")), "--data-sha256", "b" * 64, "--results", str(measured)]

    with pytest.raises(SystemExit) as ended:
        main(["policies", "ship", str(adapter), "--out", str(out), "--home", str(home), *options])

    assert ended.value.code == 0
    card = read_card(out)
    assert (card.name, card.prompt_profile, card.data_sha256, card.results) == (
        "mine-1",
        "compact",
        ("b" * 64,),
        {"item_f1": 0.5},
    )
    assert capsys.readouterr().out.startswith(f"{out}: mine-1, 0.0 MB, adapter {card.adapter_sha256[:12]}")
