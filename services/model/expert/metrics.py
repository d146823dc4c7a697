"""What the expert tells Prometheus: vLLM's names where a dashboard or scaler reads them, and our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The expert's instruments, in a registry of their own."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        names = ["model_name"]
        running = Gauge("vllm:num_requests_running", "Requests being answered", names, registry=self.registry)
        waiting = Gauge("vllm:num_requests_waiting", "Requests waiting for a slot", names, registry=self.registry)
        prompt = Counter("vllm:prompt_tokens", "Prompt tokens read", names, registry=self.registry)
        generation = Counter("vllm:generation_tokens", "Tokens written", names, registry=self.registry)
        completions = Counter("wideseek_expert_completions", "Completions by role", ["role"], registry=self.registry)
        self._running = running.labels(model)
        waiting.labels(model).set(0)
        self._prompt = prompt.labels(model)
        self._generation = generation.labels(model)
        self._completions = completions

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is answered."""
        with self._running.track_inprogress():
            yield

    def answered(self, role: str, num_prompt: int, num_completion: int) -> None:
        """Count what one completion read and wrote."""
        self._completions.labels(role).inc()
        self._prompt.inc(num_prompt)
        self._generation.inc(num_completion)
