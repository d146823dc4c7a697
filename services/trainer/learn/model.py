"""The policy that is trained: a base from a folder, with a LoRA adapter or with all its weights.

Nothing is downloaded. Weights that are trained are float32; in bfloat16 a frozen base is kept in it, and forward and
backward compute in it (`SampledLogprobs`). A new adapter has B = 0, so the policy starts as the base.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils.import_utils import is_flash_attn_2_available

from services.trainer.config import ModelConfig
from wideseek.errors import InvalidRequest

ADAPTER = "default"
"""What PEFT calls the only adapter of a model."""
VARLEN = frozenset({"flash_attention_2", "flash_attention_3"})
"""Attention that is told where packed rows start, without a mask."""


def load_policy(
    base: Path,
    config: ModelConfig,
    *,
    seed: int,
    device: torch.device,
    activation_checkpointing: bool = False,
    attention: str | None = None,
) -> PreTrainedModel | PeftModel:
    """The model to train, on its device; `seed` decides the new adapter's A.

    `attention` names transformers' implementation; None takes flash attention where it is installed and the
    precision allows it, else torch's own.

    Raises `InvalidRequest` for a folder that is no causal model, logits that are not a linear map of hidden states,
    targets that the model does not have, or an adapter that does not fit.
    """
    model = _base(base, config)
    _check_head(model)
    # Only now: kernels of an accelerator do not compute here, where weights are read.
    model.set_attn_implementation(attention or attention_for(device, config))
    if config.adaptation == "lora":
        model.requires_grad_(requires_grad=False)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # PEFT asks transformers by a name that is on its way out.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
            torch.manual_seed(seed)
            policy: PreTrainedModel | PeftModel = _with_adapter(model, config)
    else:
        policy = model
    if activation_checkpointing:
        cast(Any, model).activation_checkpointing_enable({"use_reentrant": False})
    # Checkpointing works in training mode only; without dropout the modes compute the same.
    policy.train(activation_checkpointing)
    return cast("PreTrainedModel | PeftModel", cast(nn.Module, policy).to(device))


def attention_for(device: torch.device, config: ModelConfig) -> str:
    """The attention a policy is loaded with on a device."""
    flash = device.type == "cuda" and config.precision == "bfloat16" and is_flash_attn_2_available()
    return "flash_attention_2" if flash else "sdpa"


def causal_of(model: nn.Module) -> PreTrainedModel:
    """The causal language model itself, adapters in place."""
    return cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)


def attention_of(model: nn.Module) -> str:
    """The attention a loaded policy computes with."""
    return str(causal_of(model).config._attn_implementation)


def quadratic_cost(model: nn.Module) -> float:
    """What a token of context adds to the cost of a token, in costs of a token without any: about 2 d l / 2 P.

    Dense layers take 2 P operations a token, causal attention over S tokens 2 S d in each of l layers (d: width of
    all heads together).
    """
    causal = causal_of(model)
    config = causal.config.get_text_config()
    heads = config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    parameters = sum(p.numel() for name, p in causal.named_parameters() if "embed_tokens" not in name)
    return float(config.num_hidden_layers * width / max(parameters, 1))


@contextmanager
def reference(model: nn.Module) -> Iterator[None]:
    """Compute as the base does: every adapter's scale is 0 inside.

    PEFT's own `disable_adapter` switches gradients off and on as well, which sharded parameters do not bear.
    """
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        layer.set_scale(ADAPTER, 0.0)
    try:
        yield
    finally:
        for layer in layers:
            layer.set_scale(ADAPTER, 1.0)


def _base(base: Path, config: ModelConfig) -> PreTrainedModel:
    frozen = config.adaptation == "lora"
    dtype = torch.bfloat16 if frozen and config.precision == "bfloat16" else torch.float32
    try:
        settings = AutoConfig.from_pretrained(base, local_files_only=True)
        for name in ("attention_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "hidden_dropout"):
            if getattr(settings, name, 0):
                setattr(settings, name, 0.0)
        model = AutoModelForCausalLM.from_pretrained(
            base, config=settings, dtype=dtype, local_files_only=True, attn_implementation="sdpa"
        )
    except (OSError, ValueError, KeyError) as error:
        raise InvalidRequest(
            f"model.base: {base} is no causal language model that transformers loads: {error}", field="/model/base"
        ) from error
    model.config.use_cache = False
    return cast(PreTrainedModel, model)


@torch.no_grad()
def _check_head(model: PreTrainedModel) -> None:
    """Refuse logits that are not the head's own: log-probabilities are computed as `head(backbone(tokens))`."""
    causal: Any = model
    tokens = torch.arange(1, 9)[None] % model.config.get_text_config().vocab_size
    whole = causal(input_ids=tokens, use_cache=False).logits.float()
    hidden = causal.base_model(input_ids=tokens, use_cache=False).last_hidden_state
    parts = causal.get_output_embeddings()(hidden).float()
    # A cap or a scale moves logits by far more than rounding does.
    if (whole - parts).abs().max() > 1e-2 * whole.abs().max():
        raise InvalidRequest(
            f"model.base: {type(model).__name__} changes the logits of its head, so its log-probabilities would be "
            "wrong; choose a model whose logits are a linear map of its hidden states",
            field="/model/base",
        )


def _with_adapter(model: PreTrainedModel, config: ModelConfig) -> PeftModel:
    if config.init_adapter is None:
        wanted = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,  # type: ignore[arg-type]  # PEFT's annotation says int, it takes any number
            target_modules=list(config.lora_targets),
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
        )
        try:
            policy = cast(PeftModel, get_peft_model(model, wanted))
        except ValueError as error:
            raise InvalidRequest(f"model.lora_targets: {error}", field="/model/lora_targets") from error
    else:
        policy = _resumed(model, config, config.init_adapter)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return policy


def _resumed(model: PreTrainedModel, config: ModelConfig, folder: Path) -> PeftModel:
    try:
        given = LoraConfig.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(
            f"model.init_adapter: {folder} is no LoRA adapter in PEFT's format: {error}", field="/model/init_adapter"
        ) from error
    wanted = {"r": config.lora_rank, "lora_alpha": config.lora_alpha, "target_modules": set(config.lora_targets)}
    for name, value in wanted.items():
        if (found := getattr(given, name)) != value:
            key = {"r": "lora_rank", "lora_alpha": "lora_alpha", "target_modules": "lora_targets"}[name]
            raise InvalidRequest(
                f"model.init_adapter: {folder} has {name} {_plain(found)}, the job {_plain(value)}; "
                f"set model.{key} to the adapter's",
                field="/model/init_adapter",
            )
    given.lora_dropout = 0.0
    try:
        policy = PeftModel.from_pretrained(model, str(folder), config=given, is_trainable=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidRequest(
            f"model.init_adapter: {folder} does not fit the base: {error}", field="/model/init_adapter"
        ) from error
    return policy


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set) else value
