"""The pool and its loop, without Celery's consumer: how a coroutine ends decides what Celery is told."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded, TimeLimitExceeded

from services.worker.app import create_celery
from services.worker.loop import AgentLoop, Job, UserCancelled, current_job
from services.worker.pool import TaskPool
from tests.servers import wait_until


@pytest.fixture
def loop() -> Iterator[AgentLoop]:
    loop = AgentLoop()
    yield loop
    loop.stop()


class Outcome:
    """Runs one coroutine as a slot does, on a thread, and keeps what came of it."""

    def __init__(self, loop: AgentLoop, coroutine: Any, job: Job) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(loop, coroutine, job))
        self._thread.start()

    def _run(self, loop: AgentLoop, coroutine: Any, job: Job) -> None:
        current_job.set(job)
        try:
            loop.run(coroutine, job.task_id)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the outcome
            self.error = error

    def wait(self) -> BaseException | None:
        self._thread.join(5)
        assert not self._thread.is_alive()
        return self.error


async def _forever(on_cancel: Callable[[], object] = lambda: None) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        on_cancel()


async def _stubborn(release: asyncio.Event) -> None:
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            continue


async def _raise(error: Exception) -> None:
    raise error


async def _nothing() -> None:
    return


def _running(loop: AgentLoop) -> None:
    wait_until(lambda: loop.in_flight == 1, seconds=5, what="the coroutine to run")


def test_a_coroutine_that_returns_is_done(loop: AgentLoop) -> None:
    assert Outcome(loop, _nothing(), Job(1, "r/s/1")).wait() is None
    assert loop.in_flight == 0


def test_a_stop_puts_the_message_back_after_the_cleanup(loop: AgentLoop) -> None:
    cleaned: list[str] = []
    job = Job(1, "r/s/1")
    outcome = Outcome(loop, _forever(lambda: cleaned.append("up")), job)
    _running(loop)

    loop.cancel_job(job, "stopping")
    error = outcome.wait()

    assert isinstance(error, Reject)
    assert error.requeue
    assert cleaned == ["up"]


def test_a_recorded_user_cancel_acknowledges(loop: AgentLoop) -> None:
    outcome = Outcome(loop, _forever(), Job(1, "r/s/1"))
    _running(loop)

    assert loop.cancel("r/other/1") == 0
    assert loop.cancel("r/s/1") == 1

    assert isinstance(outcome.wait(), Ignore)


def test_cancelling_a_run_reaches_its_subtasks_only(loop: AgentLoop) -> None:
    jobs = [Job(1, "run-1/a/1"), Job(2, "run-1/b/2"), Job(3, "run-10/c/3")]
    outcomes = [Outcome(loop, _forever(), job) for job in jobs]
    wait_until(lambda: loop.in_flight == 3, seconds=5, what="all to run")

    assert loop.cancel_run("run-1") == 2
    ended = [outcome.wait() for outcome in outcomes[:2]]

    assert all(isinstance(error, Ignore) for error in ended)
    assert loop.in_flight == 1
    loop.cancel_job(jobs[2], "stopping")
    assert isinstance(outcomes[2].wait(), Reject)


def test_a_stop_after_a_user_cancel_does_not_bring_the_message_back(loop: AgentLoop) -> None:
    job = Job(1, "r/s/1")
    job.cancelled = "user"
    loop.cancel_job(job, "stopping")

    error = Outcome(loop, _forever(), job).wait()

    assert isinstance(error, Ignore)


def test_a_job_stopped_before_it_started_never_runs(loop: AgentLoop) -> None:
    ran: list[str] = []
    job = Job(1, "r/s/1")
    loop.cancel_job(job, "stopping")

    error = Outcome(loop, _forever(lambda: ran.append("it")), job).wait()

    assert isinstance(error, Reject)
    assert ran == []


def test_an_unexpected_error_puts_the_message_back(loop: AgentLoop) -> None:
    error = Outcome(loop, _raise(RuntimeError("boom")), Job(1, "r/s/1")).wait()

    assert isinstance(error, Reject)
    assert error.requeue
    assert str(error.__cause__) == "boom"


def test_a_subagent_that_saw_the_cancel_itself_is_acknowledged(loop: AgentLoop) -> None:
    assert isinstance(Outcome(loop, _raise(UserCancelled()), Job(1, "r/s/1")).wait(), Ignore)


def test_the_soft_limit_cancels_and_cleans_up(loop: AgentLoop) -> None:
    cleaned: list[str] = []
    job = Job(1, "r/s/1", soft_timeout_s=0.05)

    error = Outcome(loop, _forever(lambda: cleaned.append("up")), job).wait()

    assert isinstance(error, SoftTimeLimitExceeded)
    assert cleaned == ["up"]


def test_a_timeout_of_the_subagents_own_is_not_the_soft_limit(loop: AgentLoop) -> None:
    error = Outcome(loop, _raise(TimeoutError("the model")), Job(1, "r/s/1", soft_timeout_s=5)).wait()

    assert isinstance(error, Reject)


def test_the_hard_limit_frees_the_slot_of_a_coroutine_that_will_not_end(loop: AgentLoop) -> None:
    release = asyncio.Event()
    job = Job(1, "r/s/1", soft_timeout_s=0.05, timeout_s=0.1)

    error = Outcome(loop, _stubborn(release), job).wait()

    assert isinstance(error, TimeLimitExceeded)
    loop.ensure().call_soon_threadsafe(release.set)
    wait_until(lambda: loop.in_flight == 0, seconds=5, what="the coroutine to end")


def test_the_pool_counts_slots_passes_limits_and_cancels_by_job(loop: AgentLoop) -> None:
    accepted: list[int] = []
    results: list[object] = []
    pool = TaskPool(limit=2, app=SimpleNamespace(agent_loop=loop))

    def target() -> str:
        job = current_job.get()
        assert job is not None
        try:
            loop.run(_forever(), job.task_id)
        except Reject:
            return f"{job.task_id} rejected, limits {job.soft_timeout_s} and {job.timeout_s}"
        return "unreachable"

    pool.on_apply(target, (), {}, results.append, lambda pid, _: accepted.append(pid), "r/s/1", 60, 90)
    wait_until(lambda: accepted and loop.in_flight == 1, seconds=5, what="the job")
    taken = pool.in_flight
    pool.terminate_job(accepted[0])
    pool.on_stop()

    assert taken == 1
    assert results == ["r/s/1 rejected, limits 60 and 90"]
    assert pool.in_flight == 0


def test_a_stopped_pool_runs_nothing(loop: AgentLoop) -> None:
    ran: list[object] = []
    pool = TaskPool(limit=1, app=None)
    pool.on_stop()

    pool.on_apply(lambda: ran.append("it"), callback=ran.append, correlation_id="r/s/1")

    assert (ran, pool.in_flight) == ([], 0)


@pytest.mark.parametrize("visibility_timeout_s", [60, 75])
def test_times_that_would_deliver_twice_are_refused(visibility_timeout_s: float) -> None:
    with pytest.raises(ValueError, match="visibility timeout must exceed"):
        create_celery("redis://localhost", env="test", slots=4, visibility_timeout_s=visibility_timeout_s)


def test_the_worker_has_the_settings_its_guarantees_rest_on() -> None:
    app = create_celery("redis://localhost", env="test", slots=128)

    options = app.conf.broker_transport_options
    assert options["max_connections"] >= 128 + 50
    assert options["global_keyprefix"] == "ws:test:"
    assert options["visibility_timeout"] == 90
    assert app.conf.task_acks_late
    assert app.conf.worker_disable_prefetch
    assert app.conf.result_backend is None
    assert app.conf.accept_content == ["json"]
