"""The jobs of a home as Prometheus metrics, read from their files when they are scraped."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.trainer.folder import JobFolder
from services.trainer.jobs.book import JobBook, is_active, shown_status
from services.trainer.metrics.read import read_metrics
from wideseek.errors import ContractViolation

_LABELS = ("job", "policy")


class TrainingCollector(Collector):
    """Numbers of the jobs at work: their newest step, and what was dropped so far."""

    def __init__(self, book: JobBook) -> None:
        self._book = book

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metric families of one scrape."""
        folders = self._book.all()
        jobs = GaugeMetricFamily("wideseek_training_jobs", "Training jobs by status.", labels=("status",))
        for status, count in sorted(Counter(shown_status(folder) for folder in folders).items()):
            jobs.add_metric((status,), count)
        yield jobs
        yield from _of_active([folder for folder in folders if is_active(folder)])


def register(book: JobBook, registry: CollectorRegistry) -> None:
    """Have the jobs of a book scraped with a registry."""
    registry.register(TrainingCollector(book))


def _of_active(folders: list[JobFolder]) -> Iterator[GaugeMetricFamily]:
    step = GaugeMetricFamily("wideseek_training_step", "Last committed step of a job at work.", labels=_LABELS)
    version = GaugeMetricFamily("wideseek_training_policy_version", "Last published version.", labels=_LABELS)
    scalar = GaugeMetricFamily(
        "wideseek_training_scalar", "What the newest step measured, by name.", labels=(*_LABELS, "name")
    )
    dropped = GaugeMetricFamily(
        "wideseek_training_rollouts_dropped", "Rollouts dropped so far, by reason.", labels=(*_LABELS, "reason")
    )
    for folder in folders:
        record, state = folder.record(), folder.state()
        labels = (record.job_id, record.config.policy)
        step.add_metric(labels, state.step)
        version.add_metric(labels, state.policy_version)
        drops: Counter[str] = Counter()
        try:
            steps = read_metrics(folder.metrics_file)
        except ContractViolation:
            steps = []  # the job's own page says what is wrong; a scrape must not fail over it
        for one in steps:
            drops.update(one.drops)
        for name, value in sorted(steps[-1].scalars.items()) if steps else ():
            scalar.add_metric((*labels, name), value)
        for reason, count in sorted(drops.items()):
            dropped.add_metric((*labels, reason), count)
    yield from (step, version, scalar, dropped)
