"""The verdict on an engine: hand-computed cases, and false verdicts counted on simulated engines."""

import random

import pytest

from services.trainer.policies.parity import FACTOR, compare, judge, measure
from services.trainer.policies.report import ReplicaReport

Rows = list[list[float]]
PROMPTS, TOKENS = 24, 16


def test_the_position_and_its_error_as_computed_by_hand() -> None:
    engine, candidate, other = [[-1.0], [-2.0]], [[-1.0], [-2.5]], [[-2.0], [-3.0]]

    found = compare(3, engine, candidate, other)

    # u = (1, 0.5), y = (1, 1): position (1 + 0.5) / 1.25 = 1.2; residuals (-0.2, 0.4), scores (-0.2, 0.2);
    # heteroscedastic 0.08, clustered 2/1 * 0.08; error sqrt(0.16) / 1.25 = 0.32; gap sqrt(1.25 / 2)
    assert found.position == pytest.approx(1.2)
    assert found.error == pytest.approx(0.32)
    assert found.gap == pytest.approx(0.790569)
    assert found.version == 3
    assert found.reading == "indistinguishable"  # 0.7 is less than 4 * 0.32


def test_the_differences_are_reported_in_full() -> None:
    measured = measure("r", [[-1.0, -2.0], [-3.0, -1.0]], [[-1.1, -2.0], [-2.7, -1.0]])

    assert measured.differences == pytest.approx((0.1, 0.0, -0.3, 0.0))
    assert (measured.mean, measured.max, measured.worst_prompt) == pytest.approx((0.1, 0.3, 0.15))
    assert measured.quantiles == pytest.approx({"p50": 0.1, "p90": 0.3, "p99": 0.3})


def test_nothing_sampled_is_no_parity() -> None:
    with pytest.raises(ValueError, match="no token"):
        measure("r", [], [])


def test_versions_that_are_the_same_are_not_told_apart() -> None:
    same = [[-1.0, -2.0], [-0.5, -0.1]]

    assert compare(0, same, same, same).reading == "indistinguishable"


class Simulated:
    """Log-probabilities of one probe: candidate and other by the trainer, and what the engine computes."""

    def __init__(self, seed: int, *, gap: float, noise: float, engine_is: str) -> None:
        source = random.Random(seed)

        def rounding(weight: float) -> float:
            return noise * weight * source.gauss(0, 1) * source.choice((0.3, 0.6, 1.0, 2.2))

        self.engine: Rows = []
        self.candidate: Rows = []
        self.other: Rows = []
        for _ in range(PROMPTS):
            difficulty = source.choice((0.5, 1.0, 1.5))
            true = [-source.expovariate(0.5) for _ in range(TOKENS)]
            moved = [value + gap * source.gauss(0, 1) for value in true]
            shown = {"candidate": true, "other": moved, "foreign": [value + source.gauss(0, 0.3) for value in true]}
            self.candidate.append([value + rounding(difficulty) for value in true])
            self.other.append([value + rounding(difficulty) for value in moved])
            self.engine.append([value + rounding(difficulty) for value in shown[engine_is]])

    def verdict(self, limit: float) -> ReplicaReport:
        measured = measure("r", self.engine, self.candidate)
        others = {1: self.other}
        return judge(measured, self.engine, self.candidate, others, limit=limit, limit_from="simulated")


def calibrated(noise: float) -> float:
    base = Simulated(99_991, gap=0.0, noise=noise, engine_is="candidate")
    return FACTOR * measure("r", base.engine, base.candidate).mean


def refusals(engine_is: str, *, gap: float, noise: float, limit: float, tries: int = 300) -> int:
    probes = (Simulated(seed, gap=gap, noise=noise, engine_is=engine_is) for seed in range(tries))
    return sum(bool(probe.verdict(limit).reasons) for probe in probes)


@pytest.mark.parametrize("gap", [0.0, 0.003, 0.01, 0.03, 0.1, 0.3])
def test_a_candidate_is_never_refused_for_bfloat16_rounding(gap: float) -> None:
    assert refusals("candidate", gap=gap, noise=0.04, limit=calibrated(0.04)) == 0


@pytest.mark.parametrize("gap", [0.15, 0.3])
def test_an_older_version_served_in_its_place_is_always_refused_in_bfloat16(gap: float) -> None:
    assert refusals("other", gap=gap, noise=0.04, limit=calibrated(0.04)) == 300


def test_an_older_version_is_refused_though_it_is_off_by_less_than_the_limit() -> None:
    limit = calibrated(0.04)

    verdicts = [Simulated(seed, gap=0.08, noise=0.04, engine_is="other").verdict(limit) for seed in range(100)]

    assert all(verdict.mean < limit for verdict in verdicts)
    assert sum("is nearer to version 1 than to the candidate" in " ".join(verdict.reasons) for verdict in verdicts) > 75


def test_versions_closer_than_the_noise_are_called_indistinguishable_and_pass() -> None:
    verdicts = [Simulated(seed, gap=0.002, noise=0.04, engine_is="other").verdict(1.0) for seed in range(100)]

    readings = {one.reading for verdict in verdicts for one in verdict.comparisons}

    assert "candidate" not in readings
    assert sum(bool(verdict.reasons) for verdict in verdicts) <= 1


def test_another_base_is_refused_by_the_mean() -> None:
    assert refusals("foreign", gap=0.1, noise=0.04, limit=calibrated(0.04), tries=100) == 100


@pytest.mark.parametrize("gap", [1e-5, 1e-4, 1e-2])
def test_in_float32_even_a_tiny_step_is_told_from_the_version_before(gap: float) -> None:
    assert refusals("candidate", gap=gap, noise=5e-7, limit=1e-4, tries=100) == 0
    assert refusals("other", gap=gap, noise=5e-7, limit=1e-4, tries=100) == 100


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_log_probability_that_is_no_number_is_refused(value: float) -> None:
    probe = Simulated(1, gap=0.1, noise=0.0, engine_is="candidate")
    probe.candidate[0][0] = value

    reasons = probe.verdict(1e-4).reasons

    assert reasons == ("1 of 384 log-probabilities are no numbers: the weights are broken",)
