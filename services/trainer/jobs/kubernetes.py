"""The Kubernetes launcher, on the official client."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from services.kit.logs import get_logger
from services.trainer.folder import JobFolder, JobRecord
from services.trainer.jobs.manifests import GROUP, PLURAL, VERSION, job_manifest, object_name, trainjob_manifest
from services.trainer.settings import TrainerSettings
from wideseek.errors import Conflict, TrainerUnavailable

_log = get_logger(__name__)
_FORBIDDEN, _MISSING, _EXISTS = 403, 404, 409


class KubernetesLauncher:
    """Jobs as Kubernetes objects; they outlive this service, and the cluster starts them again when a node dies."""

    def __init__(self, settings: TrainerSettings, api: client.ApiClient) -> None:
        self._settings = settings
        self._batch = client.BatchV1Api(api)
        self._custom = client.CustomObjectsApi(api)

    async def start(self, record: JobRecord, folder: JobFolder) -> None:  # noqa: ARG002  # the port's signature
        """Make the Job, and the TrainJob before it where several nodes learn.

        Raises `TrainerUnavailable` when the API server is down and `Conflict` when it refuses.
        """
        await asyncio.to_thread(self._make, record)
        _log.info("job_started", job_id=record.job_id, name=object_name(record))

    async def stop(self, record: JobRecord, folder: JobFolder) -> None:  # noqa: ARG002  # the port's signature
        """Delete the objects of the job with their pods; gone already is as good."""
        await asyncio.to_thread(self._delete, record)

    async def close(self) -> None:
        """Nothing ends with the service."""

    def _make(self, record: JobRecord) -> None:
        # What an earlier attempt left behind holds the name; its pods have ended, or resume would have been refused.
        self._delete(record)
        namespace = self._settings.namespace
        if record.config.hardware.launcher == "trainjob":
            body = trainjob_manifest(record, self._settings)
            _asked(lambda: self._custom.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body))
        _asked(lambda: self._batch.create_namespaced_job(namespace, job_manifest(record, self._settings)))

    def _delete(self, record: JobRecord) -> None:
        name, namespace = object_name(record), self._settings.namespace
        gone = {"propagation_policy": "Foreground", "grace_period_seconds": 60}
        _asked(lambda: self._batch.delete_namespaced_job(name, namespace, **gone), missing_ok=True)
        if record.config.hardware.launcher == "trainjob":
            _asked(
                lambda: self._custom.delete_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, **gone),
                missing_ok=True,
            )


def in_cluster(settings: TrainerSettings) -> KubernetesLauncher:
    """The launcher of a service that runs in a pod, or with a kubeconfig. Raises `TrainerUnavailable`."""
    try:
        config.load_config()
    except ConfigException as error:
        raise TrainerUnavailable(f"launcher kubernetes: no access to a cluster: {error}") from error
    return KubernetesLauncher(settings, client.ApiClient())


def _asked(ask: Callable[[], Any], *, missing_ok: bool = False) -> None:
    with _api_errors(missing_ok=missing_ok):
        ask()


@contextmanager
def _api_errors(*, missing_ok: bool) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status == _MISSING and missing_ok:
            return
        if error.status == _EXISTS:
            raise Conflict("the objects of this job are still being deleted; try again in a minute") from error
        if error.status == _FORBIDDEN:
            raise Conflict(f"the trainer's service account may not do this: {error.reason} {error.body}") from error
        raise TrainerUnavailable(f"the Kubernetes API answered {error.status}: {error.reason}") from error
    except HTTPError as error:
        raise TrainerUnavailable(f"the Kubernetes API cannot be reached: {error}") from error
