"""Loading a policy: from a folder, with an adapter that changes nothing yet, or not at all."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import GraniteConfig, GraniteForCausalLM

from services.trainer.config import ModelConfig
from services.trainer.learn.batch import collate
from services.trainer.learn.layout import MicroBatch, TrainRow
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import attention_of, load_policy, quadratic_cost, reference
from tests.learn_parts import CPU, FULL, LORA, gradient, off, policy, shake, some_rows, tiny_model, updater
from wideseek.errors import InvalidRequest


def _logprobs(scored: SampledLogprobs, rows: list[TrainRow]) -> torch.Tensor:
    micro_batch = MicroBatch(tuple(range(len(rows))), 0, 0.0)
    batch = collate(rows, micro_batch, packed=False, device=CPU)
    with torch.no_grad():
        found: torch.Tensor = scored(batch.input_ids, None, batch.sources, batch.targets)
    return found


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_a_new_adapter_leaves_the_base_as_it_is(tmp_path: Path, family: str) -> None:
    folder, rows = tiny_model(tmp_path, family=family), some_rows()

    base = _logprobs(policy(folder, FULL), rows)
    fresh = _logprobs(policy(folder, shaken=False), rows)

    assert (fresh - base).abs().max() <= 1e-12


def test_the_reference_is_the_base_bit_by_bit_whatever_the_adapter_has_learned(tmp_path: Path) -> None:
    folder, rows = tiny_model(tmp_path), some_rows()
    base, adapted = policy(folder, FULL, double=False), policy(folder, double=False)
    before = _logprobs(adapted, rows)

    with reference(adapted):
        inside = _logprobs(adapted, rows)

    assert torch.equal(inside, _logprobs(base, rows))
    assert torch.equal(_logprobs(adapted, rows), before)
    assert (before - inside).abs().max() > 1e-3
    assert all(p.requires_grad for name, p in adapted.named_parameters() if "lora_" in name)


def test_a_merged_adapter_is_the_unmerged_one(tmp_path: Path) -> None:
    scored, rows = policy(tiny_model(tmp_path)), some_rows()
    unmerged = _logprobs(scored, rows)
    adapted = scored.model
    assert isinstance(adapted, PeftModel)

    merged = _logprobs(SampledLogprobs(adapted.merge_and_unload(), chunk=5), rows)

    assert (merged - unmerged).abs().max() <= 1e-6


def test_the_seed_decides_the_adapter_and_leaves_other_randomness_alone(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    adapters = [load_policy(folder, LORA, seed=seed, device=CPU).state_dict() for seed in (1, 1, 2)]

    first = next(name for name in adapters[0] if "lora_A" in name)
    assert torch.equal(adapters[0][first], adapters[1][first])
    assert not torch.equal(adapters[0][first], adapters[2][first])
    assert torch.equal(torch.rand(3), expected)


def test_in_bfloat16_the_base_is_kept_in_it_and_the_adapter_in_float32(tmp_path: Path) -> None:
    model = load_policy(tiny_model(tmp_path), LORA.model_copy(update={"precision": "bfloat16"}), seed=1, device=CPU)

    kinds = {("lora" if "lora_" in name else "base"): p.dtype for name, p in model.named_parameters()}

    assert kinds == {"lora": torch.float32, "base": torch.bfloat16}
    assert {("lora_" in name) == p.requires_grad for name, p in model.named_parameters()} == {True}


@pytest.mark.parametrize("config", [LORA, FULL], ids=["lora", "full"])
def test_bfloat16_is_close_to_float32(tmp_path: Path, config: ModelConfig) -> None:
    folder, rows = tiny_model(tmp_path), some_rows(count=12)
    exact = policy(folder, config, double=False)
    rough = policy(folder, config.model_copy(update={"precision": "bfloat16"}), double=False)

    difference = (_logprobs(rough, rows) - _logprobs(exact, rows)).abs().mean()
    angle = torch.nn.functional.cosine_similarity(
        gradient(updater(rough, loss=None), rows), gradient(updater(exact, loss=None), rows), dim=0
    )

    assert 0 < difference < 0.05
    assert angle > 0.99


def test_activation_checkpointing_changes_no_gradient(tmp_path: Path) -> None:
    folder, rows = tiny_model(tmp_path), some_rows()
    plain = policy(folder)
    saving = load_policy(folder, LORA, seed=3, device=CPU, activation_checkpointing=True)
    shake(saving)

    found = gradient(updater(SampledLogprobs(saving.double(), chunk=5)), rows)

    assert saving.training
    assert off(found, gradient(updater(plain), rows)) < 1e-6


def test_an_adapter_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    folder, rows = tiny_model(tmp_path / "base"), some_rows()
    left = policy(folder, double=False)
    assert isinstance(left.model, PeftModel)
    left.model.save_pretrained(str(tmp_path / "adapter"))

    taken_up = policy(
        folder, LORA.model_copy(update={"init_adapter": tmp_path / "adapter"}), double=False, shaken=False
    )

    assert torch.equal(_logprobs(taken_up, rows), _logprobs(left, rows))
    assert {n for n, p in taken_up.named_parameters() if p.requires_grad} == {
        n for n, p in left.named_parameters() if p.requires_grad
    }


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"lora_targets": ("nowhere",)}, r"model\.lora_targets: .*nowhere"),
        ({"init_adapter": Path("/nonexistent")}, r"model\.init_adapter: /nonexistent is no LoRA adapter"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(tmp_path: Path, config: dict[str, object], complaint: str) -> None:
    folder = tiny_model(tmp_path)

    with pytest.raises(InvalidRequest, match=complaint):
        load_policy(folder, LORA.model_copy(update=config), seed=0, device=CPU)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [({"lora_rank": 8}, "has r 4, the job 8; set model.lora_rank"), ({"lora_alpha": 3.0}, "has lora_alpha 8")],
)
def test_an_adapter_of_another_shape_is_refused(tmp_path: Path, config: dict[str, object], complaint: str) -> None:
    folder = tiny_model(tmp_path / "base")
    load_policy(folder, LORA, seed=0, device=CPU).save_pretrained(str(tmp_path / "adapter"))

    with pytest.raises(InvalidRequest, match=complaint):
        load_policy(
            folder, LORA.model_copy(update={"init_adapter": tmp_path / "adapter", **config}), seed=0, device=CPU
        )


def test_a_folder_without_a_model_is_refused_and_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"model\.base: .* is no causal language model"):
        load_policy(tmp_path, LORA, seed=0, device=CPU)
    with pytest.raises(InvalidRequest, match=r"model\.base: gpt2 is no causal language model"):
        load_policy(Path("gpt2"), LORA, seed=0, device=CPU)


def test_a_model_that_scales_its_logits_is_refused(tmp_path: Path) -> None:
    config = GraniteConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        logits_scaling=8.0,
        pad_token_id=0,
    )
    GraniteForCausalLM(config).save_pretrained(tmp_path)

    with pytest.raises(InvalidRequest, match="GraniteForCausalLM changes the logits of its head"):
        load_policy(tmp_path, LORA, seed=0, device=CPU)


def test_attention_costs_by_the_square_what_the_shape_says(tmp_path: Path) -> None:
    model = load_policy(tiny_model(tmp_path, family="llama"), FULL, seed=0, device=CPU)

    layer = 32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 48 + 2 * 32
    assert quadratic_cost(model) == pytest.approx(2 * 32 / (2 * layer + 32))
    assert attention_of(model) == "sdpa"
