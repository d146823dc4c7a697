"""What a worker counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class WorkerMetrics:
    """Metrics of one worker process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = Gauge(
            "wideseek_subagents_in_flight", "Subagents this process works on now", registry=self.registry
        )
        self.slots = Gauge("wideseek_subagent_slots", "Subagents this process can work on", registry=self.registry)
        self.attempts = Counter(
            "wideseek_subagent_attempts_total", "Deliveries of subtasks taken up", registry=self.registry
        )
        self.redeliveries = Counter(
            "wideseek_redeliveries_total", "Deliveries beyond a subtask's first", registry=self.registry
        )
        self.ends = Counter(
            "wideseek_subagents_total", "Deliveries by how they ended", ["outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "wideseek_subagent_seconds",
            "Seconds from a subagent's start to its end",
            buckets=(0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600),
            registry=self.registry,
        )
        self.violations = Counter(
            "wideseek_token_exactness_violations_total",
            "Prompts the engine read otherwise than they were sent",
            registry=self.registry,
        )
        self.lag = Gauge(
            "wideseek_event_loop_lag_seconds", "How late the agents' loop wakes up", registry=self.registry
        )
