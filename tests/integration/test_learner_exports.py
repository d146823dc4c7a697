"""What engines are given: adapters that PEFT loads again, merged models, whole models with their head untied."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from services.trainer.config import ModelConfig
from services.trainer.learn.adapters import ADAPTER_CONFIG, ADAPTER_WEIGHTS, export_policy
from services.trainer.learn.merge import merge_adapter
from services.trainer.learn.model import load_policy
from services.trainer.learn.ranks import Ranks
from tests.learn_parts import CPU, FULL, LORA, off, shake
from tests.learner_torch_parts import base_folder
from wideseek.errors import InvalidRequest

TOKENS = torch.tensor([[5, 9, 13, 7, 22, 41, 3]])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base") / "tiny")


def logprobs(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=TOKENS).logits.log_softmax(-1)
        return found


def loaded(folder: Path) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    assert isinstance(model, PreTrainedModel)
    return model


def adapter(base: Path, target: Path, config: ModelConfig = LORA, *, shaken: bool = True) -> torch.nn.Module:
    """Export the adapter of a policy, and the policy."""
    policy = load_policy(base, config, seed=3, device=CPU)
    if shaken:
        shake(policy)
    export_policy(policy, config, base, target, Ranks())
    return policy


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers by an old name
def test_an_adapter_loads_again_and_gives_the_same_log_probabilities(tmp_path: Path, base: Path) -> None:
    policy = adapter(base, tmp_path / "adapter")

    again = PeftModel.from_pretrained(loaded(base), str(tmp_path / "adapter"))

    assert torch.equal(logprobs(again), logprobs(policy))
    assert not torch.allclose(logprobs(again), logprobs(loaded(base)), atol=1e-3)


def test_a_new_adapter_is_the_base(tmp_path: Path, base: Path) -> None:
    policy = adapter(base, tmp_path / "adapter", shaken=False)

    assert torch.equal(logprobs(policy), logprobs(loaded(base)))


def test_the_files_depend_on_the_weights_only_and_name_no_base(tmp_path: Path, base: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(base, elsewhere)

    adapter(base, tmp_path / "one")
    adapter(elsewhere, tmp_path / "two")

    for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    settings = json.loads((tmp_path / "one" / ADAPTER_CONFIG).read_text())
    assert settings["base_model_name_or_path"] is None
    assert (settings["r"], settings["lora_alpha"], settings["peft_type"]) == (4, 8, "LORA")
    assert settings["target_modules"] == sorted(LORA.lora_targets)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_weights_are_written_in_the_precision_of_the_job(
    tmp_path: Path, base: Path, precision: str, dtype: torch.dtype
) -> None:
    config = LORA.model_copy(update={"precision": precision})

    adapter(base, tmp_path / "adapter", config)

    tensors = load_file(tmp_path / "adapter" / ADAPTER_WEIGHTS)
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}
    assert {name.rpartition(".layers.")[0] for name in tensors} == {"base_model.model.model"}
    assert len(tensors) == 2 * 7 * 2


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_the_merged_model_computes_what_the_adapter_does(tmp_path: Path, family: str) -> None:
    base = base_folder(tmp_path / "base", family=family, tied=family == "qwen3")
    policy = adapter(base, tmp_path / "adapter")

    merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")

    assert off(logprobs(loaded(tmp_path / "merged").double()), logprobs(policy.double())) <= 1e-6
    assert (tmp_path / "merged" / "tokenizer.json").exists()


def test_merging_into_another_base_is_refused_and_leaves_nothing(tmp_path: Path, base: Path) -> None:
    adapter(base, tmp_path / "adapter")
    other = base_folder(tmp_path / "other", family="llama")
    (other / "model.safetensors").rename(other / "kept")
    tensors = {name.replace("q_proj", "query"): value for name, value in load_file(other / "kept").items()}
    save_file(tensors, other / "model.safetensors")

    with pytest.raises(InvalidRequest, match="does not have: another base's"):
        merge_adapter(other, tmp_path / "adapter", tmp_path / "merged")

    assert not (tmp_path / "merged").exists()


def test_an_adapter_of_another_kind_is_not_merged(tmp_path: Path, base: Path) -> None:
    adapter(base, tmp_path / "adapter")
    path = tmp_path / "adapter" / ADAPTER_CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), "use_dora": True}))

    with pytest.raises(InvalidRequest, match="has use_dora set"):
        merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")


@pytest.mark.parametrize("tied", [True, False])
def test_a_whole_model_is_written_untied_with_its_tokenizer(tmp_path: Path, tied: bool) -> None:
    base = base_folder(tmp_path / "base", tied=tied)
    policy = load_policy(base, FULL, seed=3, device=CPU)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.01)

    export_policy(policy, FULL, base, tmp_path / "whole", Ranks())

    again = loaded(tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "config.json").read_text())["tie_word_embeddings"] is False
    assert "lm_head.weight" in load_file(tmp_path / "whole" / "model.safetensors")
    assert torch.equal(logprobs(again), logprobs(policy))
    assert (tmp_path / "whole" / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
