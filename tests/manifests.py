"""Deployment files as values: compose, rendered kustomize output, and the environment each process would get."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = ("base", "overlays/local", "overlays/gpu", "overlays/qwen3-4b", "overlays/qwen3-4b-full")
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def rendered(folder: str) -> list[dict[str, Any]]:
    """The objects of `k8s/<folder>`, rendered by the kubectl of the environment, else the one on PATH."""
    return list(yaml.safe_load_all(_render(folder)))


@cache
def _render(folder: str) -> str:
    beside = Path(sys.executable).with_name("kubectl")
    kubectl = str(beside) if beside.exists() else shutil.which("kubectl")
    if kubectl is None:
        raise FileNotFoundError("no kubectl: `make setup` installs one")
    command = [kubectl, "kustomize", str(ROOT / "k8s" / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert not done.stderr, done.stderr
    return done.stdout


def of_kind(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    """The objects of these kinds."""
    return [item for item in objects if item["kind"] in kinds]


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The one object of this kind and name."""
    [found] = [item for item in of_kind(objects, kind) if item["metadata"]["name"] == name]
    return found


def workloads(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Everything that makes pods."""
    return of_kind(objects, "Deployment", "StatefulSet", "Job")


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    """The pod's spec."""
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def pod_environment(objects: list[dict[str, Any]], workload: dict[str, Any]) -> dict[str, str]:
    """The variables the first container gets, its config maps resolved."""
    container = pod(workload)["containers"][0]
    environment: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        if "secretRef" in source:  # secrets are made by hand, and each of ours is optional
            assert source["secretRef"]["optional"]
            continue
        environment |= named(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    return environment | {entry["name"]: entry["value"] for entry in container.get("env", ())}


def compose() -> dict[str, Any]:
    """docker-compose.yml with its defaults filled in."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    filled: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda found: found[2], text))
    return filled
