"""The whole loop on real vLLM: rollouts through the cluster, one update, a policy published, probed and served."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from safetensors.numpy import load_file, save_file

from services.kit.keys import Keys
from services.kit.policies import Policies
from services.kit.redis import connect
from services.kit.rollouts.store import RolloutStore
from services.trainer.conduct.publishing import StepScorer
from services.trainer.folder import ENDED, JobFolder
from services.trainer.learn.base import base_sha256
from services.trainer.learn.client import Learner
from services.trainer.ledger.manifest import Manifest
from services.trainer.metrics.read import read_metrics
from services.trainer.policies.publish import PolicyRefused, Publisher
from services.trainer.policies.records import Candidate
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.states import States
from tests.e2e.processes import ROOT, Cluster, cluster, start_services
from tests.servers import on_ci, wait_until

pytestmark = pytest.mark.vllm

KEY = {"Authorization": "Bearer open-sesame"}
JOBS = "/v1/admin/training-jobs"
CONTEXT = 2_048
TASK = {
    "instance_id": "capitals-{number}",
    "query": "For Mali, Chad and Niger: Country, Capital (name of the capital city).",
    "evaluation": {
        "required": ["country", "capital"],
        "unique_columns": ["country"],
        "eval_pipeline": {
            "country": {"preprocess": ["norm_str"], "metric": ["exact_match"]},
            "capital": {"preprocess": ["norm_str"], "metric": ["exact_match"]},
        },
    },
    "answer": "| Country | Capital |\n|---|---|\n| Mali | Bamako |\n| Chad | N'Djamena |\n| Niger | Niamey |",
}


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Real vLLM in float32; agents go through the script, which leaves the sampling to vLLM."""
    python = Path(os.environ.get("MODEL_PYTHON") or ROOT / ".venv-model/bin/python")
    if not python.exists():
        missing = f"{python} is missing: run `make setup-model`"
        pytest.fail(missing) if on_ci() else pytest.skip(missing)
    with cluster(tmp_path_factory.mktemp("school")) as parts:
        parts.env["WIDESEEK_ADMIN_KEY"] = "open-sesame"
        settings = {
            "MODEL_ENGINE": "vllm",
            "MODEL_POLICY": "none",
            "MODEL_DTYPE": "float32",
            "MODEL_MAX_MODEL_LEN": str(CONTEXT),
            "MODEL_KV_CACHE_GIB": "1",
        }
        parts.start("model", "services.model.main", prefix="MODEL", env=settings)
        parts.wait_ready("model", seconds=1_200)
        engine = parts.url("model")
        steered = {"STEERED_UPSTREAM": engine, "STEERED_ALWAYS": "1"}
        parts.start("model-steered", "tests.e2e.steered_engine", prefix="STEERED", env=steered)
        parts.wait_ready("model-steered")
        parts.env["MODEL_URL"] = parts.url("model-steered")
        # Each of the two must know the other's address before it starts.
        _introduce(parts)
        start_services(parts, model=False)
        parts.start("trainer", "services.trainer.main", prefix="TRAINER", env={"TRAINER_REPLICAS": engine})
        parts.wait_ready("trainer")
        yield parts


def _introduce(parts: Cluster) -> None:
    from tests.servers import free_port  # noqa: PLC0415

    for name in ("orchestrator", "trainer"):
        parts.ports[name] = free_port()
        parts.env[f"{name.upper()}_URL"] = parts.url(name)


@dataclass
class Client:
    """Somebody who asks for completions, one after another, and counts what goes wrong."""

    url: str
    served: int = 0
    failed: list[str] = field(default_factory=list)

    def ask(self, stop: threading.Event) -> None:
        body = {"model": "smollm2", "prompt": "The capital of France is", "max_tokens": 24, "stream": True}
        with httpx.Client(base_url=self.url, timeout=120, trust_env=False) as client:
            while not stop.is_set():
                try:
                    with client.stream("POST", "/v1/completions", json=body) as response:
                        lines = list(response.iter_lines())
                    if response.status_code != 200 or "data: [DONE]" not in lines:
                        self.failed.append(f"{response.status_code}: {lines[-3:]}")
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                self.served += 1
                stop.wait(2)


@contextmanager
def streaming(url: str) -> Iterator[Client]:
    """A client at work the whole time."""
    client, stop = Client(url), threading.Event()
    thread = threading.Thread(target=client.ask, args=(stop,))
    thread.start()
    try:
        yield client
    finally:
        stop.set()
        thread.join()


def _job(parts: Cluster) -> dict[str, Any]:
    tasks = parts.folder / "tasks.jsonl"
    lines = (json.dumps({**TASK, "instance_id": f"capitals-{number}"}) for number in range(4))
    tasks.write_text("".join(line + "\n" for line in lines))
    return {
        "steps": 1,
        "model": {"lora_rank": 8, "lora_targets": ["q_proj", "v_proj"], "precision": "float32"},
        "data": {"wide": [str(tasks)]},
        "rollouts": {
            "group_size": 4,
            "groups_per_step": 2,
            "max_staleness": 0,
            "limits": {"max_turns": 3, "max_width": 2, "max_seconds": 240},
        },
        "optim": {"lr": 1e-3},
        "publish": {"probe_prompts": 8},
        # A row is at most the context; two at once would not fit beside the engine on a small machine.
        "batching": {"tokens": 2_048},
        "hardware": {"device": "cpu"},
    }


def _finished(parts: Cluster, place: str, *, seconds: float) -> dict[str, Any]:
    """The job once it has ended."""
    folder = JobFolder(parts.folder / "home" / "jobs" / place.rsplit("/", 1)[-1])

    def ended() -> bool:
        return folder.state().status in ENDED

    def what() -> str:
        return "".join(path.read_text()[-1_500:] for path in sorted(folder.logs.glob("*.log")))

    try:
        wait_until(ended, seconds=seconds, what="the job's end")
    except AssertionError as error:
        raise AssertionError(f"{error}: {what()}") from error
    job: dict[str, Any] = parts.request("GET", place, headers=KEY).json()
    assert job["status"] == "completed", f"{job['error']}: {what()}"
    return job


def test_eight_rollouts_make_a_policy_that_is_probed_and_served_while_a_client_streams(school: Cluster) -> None:
    with streaming(school.url("model-steered")) as client:
        made = school.request("POST", JOBS, json={"config": _job(school)}, headers=KEY)
        assert made.status_code == 202, made.text
        job = _finished(school, made.headers["location"], seconds=1_200)
        asked = school.post({"query": TASK["query"], "columns": ["Country", "Capital"], "limits": {"max_turns": 3}})
        answered = school.finished(asked["id"], seconds=200)

    folder = JobFolder(school.folder / "home" / "jobs" / job["id"])
    manifest = Manifest.model_validate_json(folder.manifest_file(1).read_bytes())
    [step] = [step for step in read_metrics(folder.metrics_file) if step.scalars]
    assert len(manifest.entries) == 8
    assert any(share.advantage for entry in manifest.entries for share in entry.agents), "all rewards were equal"
    assert (job["step"], job["policy_version"]) == (1, 1)
    # The engine's log-probabilities of the rollouts are the learner's: the ratio is one, end to end.
    assert step.scalars["ratio/mean"] == pytest.approx(1, abs=1e-4)
    assert step.scalars["ratio/max"] == pytest.approx(1, abs=1e-2)
    assert step.scalars["forks/per_1000_turns"] == 0
    means = [value for name, value in step.scalars.items() if name.startswith("parity/mean/")]
    assert means
    assert max(means) <= 1e-4
    assert step.scalars["loss/grad_norm"] > 0
    assert answered["model"] == "policy@v1"
    assert client.served > 3
    assert client.failed == []


def test_what_was_stored_is_exact_and_holds_no_reward(school: Cluster) -> None:
    home = school.folder / "home"
    [job] = (home / "jobs").glob("tj_*")
    store = RolloutStore.open(str(home / "rollouts"))

    stored = list(store.scan(job.name))

    assert len(stored) >= 8
    for entry in stored:
        rollout = store.get(entry.uri, entry.sha256)
        turns = [turn for agent in rollout.agents for turn in agent.turns]
        assert {agent.role.value for agent in rollout.agents} == {"lead", "subagent"}
        assert all(len(turn.sampled_logprobs) == len(turn.sampled_token_ids) > 0 for turn in turns)
        assert (rollout.policy_version_min, rollout.policy_version_max) == (0, 0)


async def test_a_corrupted_adapter_is_refused_and_the_old_policy_stays(school: Cluster, tmp_path: Path) -> None:
    home = school.folder / "home"
    [entry] = (home / "jobs").glob("tj_*")
    folder = JobFolder(entry)
    config = folder.record().config
    corrupted = tmp_path / "adapter"
    shutil.copytree(folder.adapter(1), corrupted)
    weights = load_file(corrupted / "adapter_model.safetensors")
    save_file({name: -value[::-1].copy() for name, value in weights.items()}, corrupted / "adapter_model.safetensors")
    registry = Registry(home / "policies")

    async with (
        connect(school.redis_url) as redis,
        Fleet([school.url("model")]) as fleet,
        Learner(folder, config) as learner,
    ):
        policies = Policies(redis, Keys("dev"))
        publisher = Publisher(registry, States(registry, policies), fleet)
        candidate = Candidate(
            name="policy",
            version=2,
            parent_version=1,
            adapter=corrupted,
            job_id=folder.record().job_id,
            step=1,
            base_sha256=base_sha256(home / "models" / "smollm2"),
        )
        with pytest.raises(PolicyRefused):
            await publisher.publish(candidate, StepScorer(learner, 1), config.publish, precision="float32")
        current = await policies.resolve("policy", "ws_any")

    listed = await asyncio.to_thread(school.request, "GET", "/v1/models", to="model")
    served = {item["id"] for item in listed.json()["data"]}
    shown = await asyncio.to_thread(school.request, "GET", "/v1/admin/policies/policy", headers=KEY)
    assert current == "policy@v1"
    assert served == {"smollm2", "policy@v1"}
    assert shown.json()["current"] == 1
