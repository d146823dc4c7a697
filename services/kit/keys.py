"""Every Redis key in one place; `docs/redis.md` lists them with type, owner and lifetime."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """Names under `ws:{env}:`. Celery's own keys carry the same prefix (`services.kit.queue`)."""

    env: str

    @property
    def prefix(self) -> str:
        """The prefix of every key of this deployment."""
        return f"ws:{self.env}:"

    @property
    def runs(self) -> str:
        """Stream of run ids to be claimed by orchestrator replicas."""
        return f"{self.prefix}runs"

    def log(self, run_id: str) -> str:
        """Stream: the append-only log of a run."""
        return f"{self.prefix}run:{run_id}:log"

    def fences(self, run_id: str) -> str:
        """Hash: fencing tokens by owner (`lead`, `sub:<id>`) and `done:<owner>` marks."""
        return f"{self.prefix}run:{run_id}:fences"

    def budget(self, run_id: str) -> str:
        """Hash: what is left of the run's purse."""
        return f"{self.prefix}run:{run_id}:budget"

    def cancel(self, run_id: str) -> str:
        """String: when cancellation was asked for."""
        return f"{self.prefix}run:{run_id}:cancel"

    def idempotency(self, digest: str) -> str:
        """String: the run that an `Idempotency-Key` (its SHA-256) made, with the request's fingerprint."""
        return f"{self.prefix}idempotency:{digest}"

    @property
    def cancellations(self) -> str:
        """Pub/sub channel: ids of runs being cancelled."""
        return f"{self.prefix}cancellations"

    @property
    def workers(self) -> str:
        """Hash: the last heartbeat of each worker process, JSON by worker id."""
        return f"{self.prefix}workers"

    @property
    def orchestrators(self) -> str:
        """Hash: the last heartbeat of each orchestrator replica, JSON by replica id."""
        return f"{self.prefix}orchestrators"

    def rollouts(self, job_id: str) -> str:
        """Stream: index of a job's rollouts, rebuilt from the objects when it is lost."""
        return f"{self.prefix}rl:{job_id}:rollouts"

    def policy(self, name: str) -> str:
        """Hash: the served versions of a policy, current and canary, and the canary's share; a mirror of files."""
        return f"{self.prefix}rl:policy:{name}"

    @property
    def policy_names(self) -> str:
        """Sorted set: names of the policies, by the Unix second of their first publication."""
        return f"{self.prefix}rl:policies"

    def pins(self, model: str) -> str:
        """Sorted set: runs that hold on to a policy version (`policy@v3`), by the Unix second they must have ended."""
        return f"{self.prefix}rl:pins:{model}"
