"""Policies merged into their base without torch, held against what PEFT merges."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from services.model import bundled
from services.model.merging import GENERATION, merge, merged
from services.model.shipped import CONFIG, WEIGHTS, UnusableAdapter
from tests.adapter_parts import with_record, write_adapter, write_card
from tests.learn_parts import tiny_model

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama in bfloat16, as the bundled model is kept."""
    folder = tiny_model(tmp_path_factory.mktemp("base") / "tiny", family="llama")
    halves = {name: value.to(torch.bfloat16) for name, value in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tokenizer.json").write_text("{}")
    return with_record(folder)


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "adapter", base)


def merged_by_peft(base: Path, adapter: Path) -> Tensors:
    """What PEFT makes of base and adapter in float32, rounded to bfloat16 at the end."""
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    model = PeftModel.from_pretrained(plain, str(adapter), autocast_adapter_dtype=True).merge_and_unload()
    return {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}


def steps_apart(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """How many bfloat16 numbers lie between two tensors, element by element."""
    return (one.view(torch.int16).int() - other.view(torch.int16).int()).abs()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers by an old name
@pytest.mark.parametrize("half", [True, False])
def test_the_merged_weights_are_those_of_peft_bit_by_bit(tmp_path: Path, base: Path, half: bool) -> None:
    policy = write_adapter(tmp_path / "adapter", base, round_numbers=True, half=half)

    folder, name = merge(base, policy, tmp_path / "models")

    ours, theirs = load_file(folder / "model.safetensors"), merged_by_peft(base, policy)
    assert name == "adapter"
    assert {value.dtype for value in ours.values()} == {torch.bfloat16}
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert ours.keys() == load_file(base / "model.safetensors").keys()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_the_bundled_model_with_a_policy_is_what_peft_merges(tmp_path: Path) -> None:
    bundled_base = bundled.materialise(tmp_path)
    policy = write_adapter(tmp_path / "adapter", bundled_base, rank=16, alpha=32)

    folder, _ = merged(tmp_path, policy)

    ours, theirs = load_file(folder / "model.safetensors"), merged_by_peft(bundled_base, policy)
    before = load_file(bundled_base / "model.safetensors")
    adapted = [name for name in ours if name.endswith("_proj.weight")]
    assert len(adapted) == 7 * 30
    assert all(torch.equal(ours[name], before[name]) for name in ours if name not in adapted)
    assert not any(torch.equal(ours[name], before[name]) for name in adapted)
    apart = torch.cat([steps_apart(ours[name], theirs[name]).flatten() for name in adapted])
    # Sums of float32 taken in another order now and then fall on the other side of a tie.
    assert apart.max() <= 1
    assert apart.float().mean() < 1e-3


def test_a_merged_folder_has_what_an_engine_loads_and_says_what_it_is(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    write_card(adapter, name="trained")

    folder, name = merge(base, adapter, tmp_path / "models")

    record = json.loads((folder / "MODEL.json").read_text())
    assert (name, record["policy"]) == ("trained", "trained")
    assert record["base_sha256"] == json.loads((base / "MODEL.json").read_text())["sha256"]
    assert record["adapter_sha256"] == bundled.file_sha256(adapter / WEIGHTS)
    assert record["sha256"] == bundled.file_sha256(folder / "model.safetensors") != record["base_sha256"]
    assert {path.name for path in folder.iterdir()} == {path.name for path in base.iterdir()}
    assert (tmp_path / "models" / "trained").resolve() == folder


def test_a_policy_says_what_it_is_sampled_with(base: Path, adapter: Path, tmp_path: Path) -> None:
    (base / GENERATION).write_text('{"eos_token_id": 2}')
    plain, _ = merge(base, adapter, tmp_path / "models")
    write_card(adapter, name="adapter", temperature=0.2)

    folder, _ = merge(base, adapter, tmp_path / "models")

    assert json.loads((folder / GENERATION).read_text()) == {"eos_token_id": 2, "temperature": 0.2}
    assert json.loads((plain / GENERATION).read_text()) == {"eos_token_id": 2}
    assert folder != plain


def test_merging_again_finds_it_made_and_another_adapter_gets_a_folder_of_its_own(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    other = write_adapter(tmp_path / "newer" / "adapter", base, seed=6)
    first, _ = merge(base, adapter, models)
    made = (first / "model.safetensors").stat().st_mtime_ns

    again, _ = merge(base, adapter, models)
    second, _ = merge(base, other, models)

    assert again == first != second
    assert (first / "model.safetensors").stat().st_mtime_ns == made
    assert (models / "adapter").resolve() == second
    assert {path.name for path in models.iterdir()} == {"adapter", first.name, second.name}


def test_a_policy_of_another_base_is_refused_with_what_to_do(base: Path, adapter: Path, tmp_path: Path) -> None:
    write_card(adapter, base_sha256="0" * 64)

    with pytest.raises(UnusableAdapter, match=r"trained on the base 000000000000, .*MODEL_POLICY=none"):
        merge(base, adapter, tmp_path / "models")

    assert not (tmp_path / "models").exists()


def test_an_adapter_that_does_not_fit_the_base_leaves_nothing(base: Path, adapter: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    shutil.copytree(base, wide)
    name = "model.layers.1.mlp.up_proj.weight"
    tensors = load_file(base / "model.safetensors")
    save_file({**tensors, name: torch.zeros(64, 32, dtype=torch.bfloat16)}, wide / "model.safetensors")

    with pytest.raises(UnusableAdapter, match=r"adapts model\.layers\.1\.mlp\.up_proj .*has as 64 by 32"):
        merge(with_record(wide), adapter, tmp_path / "models")

    assert not any((tmp_path / "models").iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_dora": True}, "has use_dora set"),
        ({"use_rslora": True}, "has use_rslora set"),
        ({"modules_to_save": ["lm_head"]}, "has modules_to_save set"),
        ({"r": 8}, "is not of rank 8"),
        ({"lora_alpha": None}, "lora_alpha: Input should be a valid number"),
    ],
)
def test_adapters_of_another_kind_are_refused(
    base: Path, adapter: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    settings = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps({**settings, **change}))

    with pytest.raises(UnusableAdapter, match=said):
        merge(base, adapter, tmp_path / "models")


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ("base_model.model.lm_head.lora_A.weight", "adapts .*lm_head.*; only linears"),
        ("optimizer.exp_avg", "only linears of attention and MLP"),
    ],
)
def test_tensors_that_are_no_adapter_s_are_refused(
    base: Path, adapter: Path, tmp_path: Path, tensor: str, said: str
) -> None:
    save_file({**load_file(adapter / WEIGHTS), tensor: torch.zeros(4, 32)}, adapter / WEIGHTS)

    with pytest.raises(UnusableAdapter, match=said):
        merge(base, adapter, tmp_path / "models")


def test_a_policy_is_not_written_over_a_model_that_has_its_name(base: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "adapter").mkdir(parents=True)

    with pytest.raises(UnusableAdapter, match="give the policy another name"):
        merge(base, adapter, tmp_path / "models")
