"""Jobs as Kubernetes objects: a Job for the conductor, and for several nodes a TrainJob for the learner.

A Job has one pod: the conductor, which starts the learner beside it (torchrun, one process an accelerator).
A TrainJob (Kubeflow Trainer 2.2, `trainer.kubeflow.org/v1alpha1`) runs the learner on every node from the runtime
`torch-distributed`; the conductor then only waits for checkpoints. All pods mount the volume of the home.
"""

from typing import Any

from services.trainer.folder import JobRecord
from services.trainer.settings import TrainerSettings

HOME = "/var/lib/wideseek"
CONFIG_MAP = "wideseek-trainer"
"""Where pods find the addresses of the cluster (`k8s/base/kustomization.yaml`)."""
RUNTIME = "torch-distributed"
"""Kubeflow's runtime that starts torchrun on every node."""
GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
_LABEL = "wideseek.io/training-job"
_MANAGER = "wideseek.io/trainer"
"""Owner of our entry among a TrainJob's patches (Kubeflow Trainer 2.2 and newer)."""


def object_name(record: JobRecord) -> str:
    """A job's id as a name that Kubernetes takes."""
    return record.job_id.replace("_", "-")


def job_folder(record: JobRecord) -> str:
    """Where a job's folder lies in a pod."""
    return f"{HOME}/jobs/{record.job_id}"


def job_manifest(record: JobRecord, settings: TrainerSettings) -> dict[str, Any]:
    """The Job that conducts a training job; killed, it is started again and goes on from its checkpoint."""
    external = record.config.hardware.launcher == "trainjob"
    command = ["python", "-m", "services.trainer.conduct.main", job_folder(record)]
    pod = _pod(record, settings, [*command, "--learner", "external"] if external else command, gpus=not external)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(record, settings),
        "spec": {
            "backoffLimit": 20,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": 7 * 86_400,
            "template": {"metadata": {"labels": _labels(record)}, "spec": pod},
        },
    }


def trainjob_manifest(record: JobRecord, settings: TrainerSettings) -> dict[str, Any]:
    """The TrainJob whose nodes learn together."""
    hardware = record.config.hardware
    resources = _resources(record, gpus=True)
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainJob",
        "metadata": _metadata(record, settings),
        "spec": {
            "runtimeRef": {"name": RUNTIME, "apiGroup": GROUP, "kind": "ClusterTrainingRuntime"},
            "trainer": {
                "image": settings.image,
                "command": ["torchrun", "-m", "services.trainer.learn.main", job_folder(record)],
                "numNodes": hardware.nodes,
                "numProcPerNode": hardware.processes,
                "resourcesPerNode": resources,
                "env": [{"name": "WIDESEEK_HOME", "value": HOME}],
            },
            "runtimePatches": [{"manager": _MANAGER, "trainingRuntimeSpec": _on_every_node(settings)}],
        },
    }


def _on_every_node(settings: TrainerSettings) -> dict[str, Any]:
    """The shared volume in the runtime's pods, whose job and container are both called `node`."""
    mounted = {"name": "node", "volumeMounts": [{"name": "state", "mountPath": HOME}]}
    pod = {"volumes": [_volume(settings)], "containers": [mounted]}
    node = {"name": "node", "template": {"spec": {"template": {"spec": pod}}}}
    return {"template": {"spec": {"replicatedJobs": [node]}}}


def _metadata(record: JobRecord, settings: TrainerSettings) -> dict[str, Any]:
    return {"name": object_name(record), "namespace": settings.namespace, "labels": _labels(record)}


def _labels(record: JobRecord) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "training-job",
        "app.kubernetes.io/part-of": "wideseek",
        _LABEL: object_name(record),
    }


def _volume(settings: TrainerSettings) -> dict[str, Any]:
    return {"name": "state", "persistentVolumeClaim": {"claimName": settings.volume_claim}}


def _resources(record: JobRecord, *, gpus: bool) -> dict[str, Any]:
    limits: dict[str, Any] = {"memory": "16Gi"}
    if gpus and record.config.hardware.device != "cpu":
        limits |= {"nvidia.com/gpu": str(record.config.hardware.processes), "memory": "128Gi"}
    return {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": limits}


def _pod(record: JobRecord, settings: TrainerSettings, command: list[str], *, gpus: bool) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "conductor",
                "image": settings.image,
                "command": command,
                "envFrom": [
                    {"configMapRef": {"name": CONFIG_MAP}},
                    {"secretRef": {"name": "wideseek-admin", "optional": True}},
                ],
                "env": [{"name": "WIDESEEK_HOME", "value": HOME}],
                "resources": _resources(record, gpus=gpus),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "state", "mountPath": HOME}, {"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [_volume(settings), {"name": "tmp", "emptyDir": {}}],
    }
