"""A policy merged into the bundled weights and served by real vLLM, under its name and without swapping."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from services.model import bundled
from services.model.merging import base_sha256
from tests.adapter_parts import write_adapter, write_card
from tests.e2e.processes import ROOT, Cluster, cluster
from tests.servers import on_ci

pytestmark = pytest.mark.vllm

NAME = "trained-1"
PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """vLLM on the bundled model with a random adapter merged into it, computing in float32."""
    python = Path(os.environ.get("MODEL_PYTHON") or ROOT / ".venv-model/bin/python")
    if not python.exists():
        missing = f"{python} is missing: run `make setup-model`"
        pytest.fail(missing) if on_ci() else pytest.skip(missing)
    with cluster(tmp_path_factory.mktemp("policy")) as parts:
        base = bundled.materialise(parts.folder / "home")
        policy = write_adapter(parts.folder / "adapter", base, rank=16, alpha=16)
        write_card(policy, name=NAME, base_sha256=base_sha256(base))
        settings = {"MODEL_ENGINE": "vllm", "MODEL_POLICY": str(policy), "MODEL_DTYPE": "float32"}
        settings |= {"MODEL_MAX_MODEL_LEN": "512", "MODEL_KV_CACHE_GIB": "1", "MODEL_EAGER": "true"}
        parts.start("model", "services.model.main", prefix="MODEL", env=settings)
        parts.wait_ready("model", seconds=1_200)
        yield parts


def test_it_is_listed_under_its_name_with_its_merged_weights(served: Cluster) -> None:
    [model] = served.request("GET", "/v1/models", to="model").json()["data"]

    record = json.loads((Path(model["root"]) / "MODEL.json").read_text())
    assert (model["id"], record["policy"]) == (NAME, NAME)
    assert Path(model["root"]) == (served.folder / "home" / "models" / NAME).resolve()


def test_no_adapter_can_be_loaded_beside_it(served: Cluster) -> None:
    body = {"lora_name": "policy@v1", "lora_path": str(served.folder / "adapter")}

    with httpx.Client(base_url=served.url("model"), trust_env=False) as client:
        answer = client.post("/v1/load_lora_adapter", json=body)

    assert answer.status_code == 404


def likeliest(model: Any, ids: Any) -> tuple[int, float]:
    """The next token and its log-probability, as transformers computes it."""
    with torch.no_grad():
        found = model(**ids).logits[0, -1].log_softmax(-1).max(-1)
    return int(found.indices), float(found.values)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers by an old name
def test_it_computes_what_peft_makes_of_base_and_adapter(served: Cluster) -> None:
    base = served.folder / "home" / "models" / bundled.MODEL_NAME
    ids = AutoTokenizer.from_pretrained(base)(PROMPT, return_tensors="pt")
    plain: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    _, of_base = likeliest(plain, ids)
    merged: Any = PeftModel.from_pretrained(plain, str(served.folder / "adapter")).merge_and_unload()
    token, expected = likeliest(merged.to(torch.bfloat16).to(torch.float32), ids)

    body = {"model": NAME, "prompt": PROMPT, "max_tokens": 1, "temperature": 0, "logprobs": 0, "return_token_ids": True}
    with httpx.Client(base_url=served.url("model"), timeout=300, trust_env=False) as client:
        [choice] = client.post("/v1/completions", json=body).json()["choices"]

    assert choice["token_ids"] == [token]
    assert choice["logprobs"]["token_logprobs"] == pytest.approx([expected], abs=1e-3)
    assert abs(expected - of_base) > 0.05
