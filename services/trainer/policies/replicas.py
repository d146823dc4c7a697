"""All replicas of the model engine: who they are, and loading and unloading on every one of them."""

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from services.kit.logs import get_logger
from services.trainer.learn.base import base_sha256, weight_files
from services.trainer.policies.records import PolicyRecord
from wideseek.clients.policies import EngineModel, EngineReplica
from wideseek.concurrency import run_all
from wideseek.errors import Conflict, ContractViolation, InvalidRequest, ModelUnavailable, WideseekError

log = get_logger(__name__)

DNS = "dns+"
FOR_TRAINING = "jobs start from the base alone and swap adapters; `wideseek up --model smollm2 --policy none` serves it"
T = TypeVar("T")


class Fleet:
    """The replicas behind a list of addresses. Use as an async context manager, or close it.

    An address `dns+http://name:port` stands for all addresses of a name, looked up at every call: a headless Service of
    Kubernetes, whose replicas come and go.
    """

    def __init__(self, addresses: Sequence[str], *, api_key: str | None = None) -> None:
        if not addresses:
            raise InvalidRequest("no model engine is named: set TRAINER_REPLICAS or MODEL_URL")
        self._addresses = tuple(addresses)
        self._api_key = api_key
        self._open: dict[str, EngineReplica] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        for replica in self._open.values():
            await replica.close()
        self._open.clear()

    async def replicas(self) -> list[EngineReplica]:
        """Every replica now. Raises `ModelUnavailable` when a name has no address."""
        urls = [url for address in self._addresses for url in await _resolved(address)]
        for url in urls:
            if url not in self._open:
                self._open[url] = EngineReplica(url, api_key=self._api_key)
        for gone in set(self._open) - set(urls):
            await self._open.pop(gone).close()
        return [self._open[url] for url in dict.fromkeys(urls)]

    async def base(self) -> EngineModel:
        """The base model that all replicas serve. Raises `Conflict` when they serve different ones."""
        replicas = await self.replicas()
        bases = await run_all(replica.base() for replica in replicas)
        if len({base.id for base in bases}) > 1:
            said = ", ".join(f"{one.url} {base.id}" for one, base in zip(replicas, bases, strict=True))
            raise Conflict(f"the replicas serve different base models ({said}): start them with one MODEL_SERVED_NAME")
        return bases[0]

    async def require_base(self, sha256: str) -> EngineModel:
        """The base model, refused when it surely is another one than a policy was trained on.

        Raises `Conflict` saying what to change. Where an engine's folder cannot be read from here nothing is said: the
        parity probe then finds out.
        """
        base = await self.base()
        for replica in await self.replicas():
            root = (await replica.base()).root
            served = await asyncio.to_thread(_served_sha256, root)
            if served is not None and served != sha256:
                if (merged := await asyncio.to_thread(merged_policy, root)) is not None:
                    raise Conflict(f"{replica.url} serves {merged.policy}, merged into its base: {FOR_TRAINING}")
                raise Conflict(
                    f"{replica.url} serves the base {root} with SHA-256 {served[:12]}, the policy was trained on "
                    f"{sha256[:12]}: set model.base to that folder and train again, or start the engine with "
                    "MODEL_PATH at the base that was trained on"
                )
        return base

    async def load(self, record: PolicyRecord, folder: Path) -> dict[str, float]:
        """Serve a version on every replica; seconds by replica. All confirm, or the first failure is raised."""
        return dict(await run_all(_timed(one, load_on(one, record, folder)) for one in await self.replicas()))

    async def unload(self, model: str) -> None:
        """Stop serving an adapter everywhere. A replica that does not answer is passed over: it forgets by itself."""
        await run_all(_tried(replica, model) for replica in await self.replicas())

    async def each(self, ask: Callable[[EngineReplica], Awaitable[T]]) -> list[tuple[EngineReplica, T]]:
        """The answers of all replicas, side by side."""

        async def asked(replica: EngineReplica) -> tuple[EngineReplica, T]:
            return replica, await ask(replica)

        return await run_all(asked(replica) for replica in await self.replicas())


async def load_on(replica: EngineReplica, record: PolicyRecord, folder: Path) -> None:
    """Serve a version on one replica: an adapter under its own name, whole weights in place of the base's."""
    place = str(folder)
    await (replica.reload_weights(place) if record.adaptation == "full" else replica.load(record.model, place))


async def _timed(replica: EngineReplica, work: Awaitable[None]) -> tuple[str, float]:
    started = asyncio.get_running_loop().time()
    await work
    return replica.label, asyncio.get_running_loop().time() - started


async def _tried(replica: EngineReplica, model: str) -> None:
    try:
        await replica.unload(model)
    except (ModelUnavailable, Conflict, ContractViolation) as error:
        _note(replica, model, error)


def _note(replica: EngineReplica, model: str, error: WideseekError) -> None:
    log.warning("policy_not_unloaded", replica=replica.label, model=model, error=str(error))


async def _resolved(address: str) -> list[str]:
    if not address.startswith(DNS):
        return [address.rstrip("/")]
    parts = urlsplit(address.removeprefix(DNS))
    if parts.hostname is None or parts.port is None:
        raise InvalidRequest(f"{address}: write dns+http://name:port")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ModelUnavailable(f"{parts.hostname} has no address: {error}") from error
    hosts = sorted({str(entry[4][0]) for entry in found})
    return [f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port}" for host in hosts]


class Merged(BaseModel):
    """`MODEL.json` of weights that a policy was merged into."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    policy: str
    sha256: str
    """Hash of the merged weights."""


def merged_policy(root: str) -> Merged | None:
    """The policy that was merged into the weights of an engine's folder; None for a base, or out of sight from here."""
    try:
        return Merged.model_validate_json((Path(root) / "MODEL.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _served_sha256(root: str) -> str | None:
    """Hash of the weights in an engine's folder, or None where it cannot be read from here."""
    folder = Path(root)
    if not root or not folder.is_dir() or not (files := weight_files(folder)):
        return None
    return _hashed(folder, tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files))


@functools.lru_cache(maxsize=16)
def _hashed(folder: Path, _: tuple[tuple[str, int, int], ...]) -> str:
    return base_sha256(folder)
