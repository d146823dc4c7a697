"""What a job takes of GPUs, rollouts included: hours by learner and engine, from stated assumptions.

    learner GPU hours = operations / (operations a second of a GPU) / 3600
    engine GPU hours  = R * ((U - S) / prefill + S / decode) / utilisation / 3600
    hours             = their sum over the GPUs of each where they take turns (max_staleness 0), else the longer one

R rollouts of all steps, U unique and S sampled tokens of one: an engine that keeps prefixes reads each of the other
U - S tokens once. Decoding and reading are charged one after the other, which engines overlap in part. Not counted:
held-out evaluation, retrieval, a judge, publishing, and what restarts cost.
"""

from services.trainer.config import JobConfig
from services.trainer.jobs.assumptions import Assumptions
from services.trainer.jobs.cost import Estimate
from wideseek.values import Frozen


class Fleet(Frozen):
    """GPU hours of a job."""

    learner_gpus: int
    learner_gpu_hours: float
    engine_gpus: int
    engine_gpu_hours: float
    gpu_hours: float
    """Computed on, by both; GPUs that wait for the other half are not in it."""
    reserved_gpu_hours: float
    """Of all GPUs for as long as the job takes."""
    hours: float
    """By the clock."""
    order: str
    """Whether collecting and learning take turns or overlap."""


def fleet(job: JobConfig, found: Estimate, assumed: Assumptions) -> Fleet:
    """GPU hours of a job whose learner's operations are known."""
    learner_gpus = job.hardware.processes * job.hardware.nodes
    learner = (found.operations or 0.0) / assumed.learner_flops.value / 3_600
    engine_gpus = round(assumed.engine_gpus.value) if job.mode == "grpo" else 0
    engine = _engine_seconds(assumed) * found.rollouts / 3_600 if engine_gpus else 0.0
    parts = (learner / learner_gpus, engine / engine_gpus if engine_gpus else 0.0)
    in_turn = job.rollouts.max_staleness == 0 or not engine_gpus
    hours = sum(parts) if in_turn else max(parts)
    return Fleet(
        learner_gpus=learner_gpus,
        learner_gpu_hours=learner,
        engine_gpus=engine_gpus,
        engine_gpu_hours=engine,
        gpu_hours=learner + engine,
        reserved_gpu_hours=hours * (learner_gpus + engine_gpus),
        hours=hours,
        order=_order(engine_gpus, in_turn),
    )


def _engine_seconds(assumed: Assumptions) -> float:
    """GPU seconds of one rollout."""
    sampled = assumed.sampled_tokens.value
    read = max(0.0, assumed.unique_tokens.value - sampled)
    busy = read / assumed.prefill_tokens_per_second.value + sampled / assumed.decode_tokens_per_second.value
    return busy / assumed.utilisation.value


def _order(engine_gpus: int, in_turn: bool) -> str:
    if not engine_gpus:
        return "no rollouts are drawn"
    return "collecting and learning take turns" if in_turn else "collecting and learning overlap"
