"""Settings of the model service, read once."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HttpSettings


class ModelSettings(HttpSettings):
    """One field per knob; the docstring under it is its documentation."""

    model_config = SettingsConfigDict(env_prefix="MODEL_")

    port: int = Field(default=8082, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    engine: Literal["expert", "vllm"] = "expert"
    """`expert`: the deterministic engine that plays by rule. `vllm`: vLLM's own server on the bundled SmolLM2."""

    max_model_len: int | None = Field(default=None, ge=512, le=1_048_576)
    """Tokens of prompt and completion together; unset, 32,768 for the expert and 8,192 for vLLM."""

    expert_tokens_per_second: float | None = Field(default=None, gt=0, le=1_000_000)
    """Speed at which the expert says each completion, as an engine decodes one, however many it has side by side;
    unset, at once. For trying width and load on the times of an engine."""

    path: str | None = None
    """Weights that vLLM serves instead of the bundled ones: a folder or a name it can fetch."""

    policy: str | None = Field(default=None, min_length=1)
    """Folder of a trained adapter that is merged into the bundled weights, or `none`; unset, the policy that the
    checkout ships in `models/`, where it is there."""

    lora: bool | None = None
    """Whether adapters may be loaded while vLLM serves, which takes some of its speed on a CPU; unset, only where no
    policy is merged."""

    served_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._/-]{1,100}$")
    """Name under which vLLM serves what it was started with; unset, that of the policy, else `smollm2`."""

    dtype: Literal["fastest", "auto", "bfloat16", "float16", "float32"] = "fastest"
    """Number format of vLLM's computation. `fastest`: bfloat16 where the hardware multiplies it, else float32. Set
    float32 where log-probabilities must equal a trainer's; `auto` is what the weights state."""

    eager: bool | None = None
    """Whether vLLM computes the model as it is written instead of compiling it: the first start on a machine takes a
    third of the time, completions take longer. On a CPU that takes adapters prompts are read several times as fast so,
    for tokens of one adapter can be multiplied together; unset, only there."""

    python: Path = Path(".venv-model/bin/python")
    """Interpreter of the environment that holds vLLM (`make setup-model`)."""

    max_loras: int = Field(default=4, ge=1, le=64)
    """Adapters that one batch of vLLM can mix."""

    max_lora_rank: int = Field(default=16, ge=1, le=512)
    """Largest rank of an adapter that vLLM accepts."""

    max_num_seqs: int = Field(default=32, ge=1, le=4_096)
    """Sequences that vLLM decodes together."""

    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Share of an accelerator's memory that vLLM takes; without one, the key-value cache is `kv_cache_gib`."""

    kv_cache_gib: int = Field(default=2, ge=1, le=1_024)
    """Key-value cache of vLLM on a CPU, in GiB."""
