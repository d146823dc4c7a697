"""What only an accelerator can show: varlen kernels, and the same gradient as on a processor."""

from pathlib import Path

import pytest
import torch

from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import load_policy
from tests.learn_parts import CPU, LORA, gradient, off, some_rows, tiny_model, updater

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")]


def test_flash_attention_packs_as_it_pads(tmp_path: Path) -> None:
    pytest.importorskip("flash_attn")
    cuda = torch.device("cuda")
    config = LORA.model_copy(update={"precision": "bfloat16"})
    rows = some_rows(count=24)
    model = load_policy(tiny_model(tmp_path), config, seed=3, device=cuda)
    scored = SampledLogprobs(model, chunk=64, precision="bfloat16")

    packed = updater(scored, loss=None, tokens=256)
    found = gradient(packed, rows)

    assert packed.packed
    assert off(found, gradient(updater(scored, loss=None, layout="sorted", tokens=256), rows)) < 2e-2


def test_a_step_on_an_accelerator_is_the_step_on_a_processor(tmp_path: Path) -> None:
    folder, rows = tiny_model(tmp_path), some_rows()
    here, there = (
        SampledLogprobs(load_policy(folder, LORA, seed=3, device=device), chunk=16)
        for device in (CPU, torch.device("cuda"))
    )

    found, wanted = gradient(updater(there, loss=None), rows), gradient(updater(here, loss=None), rows)

    assert off(found.cpu(), wanted) < 1e-4
