"""What an orchestrator replica counts. No label holds an id."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from wideseek.contracts import Run

_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600)


class Metrics:
    """The replica's metrics, on a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.runs = Counter("wideseek_runs_total", "Runs ended on this replica.", ["status"], registry=registry)
        self.run_seconds = Histogram(
            "wideseek_run_seconds", "From a run's creation to its end.", buckets=_SECONDS, registry=registry
        )
        self.runs_in_flight = Gauge("wideseek_runs_in_flight", "Runs this replica works on.", registry=registry)
        self.run_slots = Gauge("wideseek_run_slots", "Runs this replica can work on.", registry=registry)
        self.runs_taken_over = Counter(
            "wideseek_runs_taken_over_total", "Runs claimed from another replica.", registry=registry
        )
        self.sse_clients = Gauge("wideseek_sse_clients", "Open event streams.", registry=registry)
        self.queue_depth = Gauge("wideseek_subagent_queue_depth", "Subtasks that wait for a slot.", registry=registry)
        self.queue_age = Gauge(
            "wideseek_subagent_queue_age_seconds", "How long the oldest waiting subtask has waited.", registry=registry
        )

    def ended(self, run: Run) -> None:
        """Count a run that has ended."""
        self.runs.labels(status=run.status.value).inc()
        if run.completed_at is not None:
            self.run_seconds.observe(max(0.0, run.completed_at - run.created_at))
