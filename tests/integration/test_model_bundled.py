"""The bundled weights, made for real from the installed package."""

import json
from pathlib import Path

import pytest

from services.model import bundled
from services.model.expert.tokens import Tokens
from tests.expert_parts import tokenizer_file


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled.materialise(tmp_path_factory.mktemp("home"))


def test_the_weights_are_bfloat16_safetensors_with_a_recorded_hash(weights: Path) -> None:
    data = (weights / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}

    assert {tensor["dtype"] for tensor in tensors.values()} == {"BF16"}
    assert tensors["model.layers.0.self_attn.q_proj.weight"]["shape"] == [576, 576]
    assert max(tensor["data_offsets"][1] for tensor in tensors.values()) == len(data) - 8 - length
    assert bundled.base_model_sha256(weights.parents[1]) == json.loads((weights / "MODEL.json").read_text())["sha256"]


def test_making_them_again_finds_them_made(weights: Path) -> None:
    before = (weights / "MODEL.json").stat().st_mtime_ns

    again = bundled.materialise(weights.parents[1])

    assert again == weights
    assert (weights / "MODEL.json").stat().st_mtime_ns == before
    assert [path.name for path in weights.parent.iterdir()] == ["smollm2"]


def test_the_tokenizer_alone_equals_the_one_beside_the_weights(weights: Path) -> None:
    assert tokenizer_file().read_bytes() == (weights / "tokenizer.json").read_bytes()
    assert bundled.tokenizer_file(weights.parents[1]) == weights / "tokenizer.json"


def test_text_survives_the_tokenizer_and_digits_stand_alone() -> None:
    tokens = Tokens(tokenizer_file())
    text = "Naïve 2025 – 马里 <|im_end|>\n"

    ids = tokens.encode(text)

    assert tokens.decode(ids) == text
    assert len(tokens.encode("2025")) == 4
    assert tokens.end_of_turn in ids


def test_transformers_loads_the_weights_and_they_speak(weights: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights)
    model = transformers.AutoModelForCausalLM.from_pretrained(weights)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France? Answer in one short sentence."}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )

    with torch.no_grad():
        sampled = model.generate(**prompt, max_new_tokens=12, do_sample=False)

    assert "Paris" in tokenizer.decode(sampled[0])
