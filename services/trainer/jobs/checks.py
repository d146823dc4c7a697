"""Whether a job can be started here and now: what its configuration names is looked at before anything is.

All that is wrong is said at once, one line a key. What is right is listed too: the dry run shows it.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.kit.tasks import read_tasks
from services.trainer.config import JobConfig
from services.trainer.policies.replicas import FOR_TRAINING, merged_policy
from wideseek.errors import InvalidRequest, UpstreamError


async def _out_of_sight() -> str:
    return ""


@dataclass(frozen=True)
class Surroundings:
    """What a job will meet. The callables raise an `UpstreamError` when nobody answers."""

    home: Path
    corpora: Callable[[], Awaitable[Sequence[str]]]
    """Names of the corpora that are served."""
    models: Callable[[], Awaitable[Sequence[str]]]
    """Names that every replica of the engine serves."""
    current: Callable[[str], Path | None]
    """Folder of a policy's current version; None when that is the base, or there is no such policy."""
    base_of: Callable[[str], tuple[int, str] | None]
    """Newest version of a policy and the hash of its base; None when no such policy was published."""
    base_sha256: Callable[[Path], str]
    """Hash of a base's weights."""
    engine_root: Callable[[], Awaitable[str]] = _out_of_sight
    """Folder of the weights that the engine was started with; empty where it states none."""
    launchers: tuple[str, ...] = ("local",)
    """Values of `hardware.launcher` that this trainer can serve."""


@dataclass
class Findings:
    """What the checks found."""

    dry_run: bool = False
    """Whether what cannot be looked at from here is a remark, not a reason to refuse."""
    offline: bool = False
    """Whether the job is for other machines: nobody is asked, and files that are not here are a remark too."""
    right: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def out_of_sight(self, key: str, why: str) -> None:
        """Something that a start needs and a dry run can do without."""
        if self.dry_run:
            self.right[key] = f"not checked: {why}"
        else:
            self.wrong.append(f"{key}: {why}")


async def check(
    job: JobConfig, around: Surroundings, *, dry_run: bool = False, offline: bool = False
) -> dict[str, str]:
    """What was looked at and found right. Raises `InvalidRequest` with everything that must change.

    A dry run may be made where no cluster runs and no weights lie: what it cannot see it says. An `offline` one is of
    a job for other machines: it asks nobody, and a task file that is not here is a remark; one that is here is read.
    """
    findings = Findings(dry_run=dry_run or offline, offline=offline)
    _check_files(job, findings)
    _check_base(job, around, findings)
    if offline:
        _say_unasked(job, findings)
    else:
        await _check_cluster(job, around, findings)
    if findings.wrong:
        raise InvalidRequest("; ".join(findings.wrong), field="/config")
    return findings.right


def _say_unasked(job: JobConfig, findings: Findings) -> None:
    hardware, away = job.hardware, "offline, nobody is asked"
    where = f"{hardware.launcher}, {hardware.nodes} x {hardware.processes} {hardware.device}"
    findings.out_of_sight("hardware", f"{where}; offline, no accelerator is looked for")
    if job.mode == "grpo":
        findings.out_of_sight("data.corpora", f"{', '.join(job.data.corpora) or 'the default'}; {away}")
        findings.out_of_sight("engine", away)


async def _check_cluster(job: JobConfig, around: Surroundings, findings: Findings) -> None:
    if job.hardware.launcher not in around.launchers:
        findings.wrong.append(
            f"hardware.launcher: {job.hardware.launcher} is not served by this trainer (TRAINER_LAUNCHER); "
            f"choose {' or '.join(around.launchers)}"
        )
    if job.mode == "grpo":
        await _check_corpora(job, around, findings)
        await _check_engine(job, around, findings)


def _check_files(job: JobConfig, findings: Findings) -> None:
    named = {"data.wide": job.data.wide, "data.questions": job.data.questions, "evaluation.tasks": job.evaluation.tasks}
    seen: dict[str, str] = {}
    for key, paths in named.items():
        for path in paths:
            if findings.offline and not path.exists():
                findings.out_of_sight(f"{key}: {path.name}", f"{path.resolve()} is not here")
                continue
            try:
                tasks = read_tasks(path)
            except InvalidRequest as error:
                findings.wrong.append(f"{key}: {error}")
                continue
            findings.right[f"{key}: {path.name}"] = f"{len(tasks)} tasks"
            _check_overlap(key, [task.instance_id for task in tasks], seen, findings)
    for item in job.data.demonstrations:
        if item.startswith("job:") or Path(item).is_file():
            continue
        if findings.offline:
            findings.out_of_sight(f"data.demonstrations: {Path(item).name}", f"{Path(item).resolve()} is not here")
        else:
            findings.wrong.append(f"data.demonstrations: {item}: no such file; name a file of rollouts or job:<id>")
    if job.model.init_adapter:
        _check_adapter(job, job.model.init_adapter, findings)


def _check_adapter(job: JobConfig, folder: Path, findings: Findings) -> None:
    if findings.offline and not folder.exists():
        findings.out_of_sight("model.init_adapter", f"{folder} is not here")
        return
    if not (folder / "adapter_config.json").is_file():
        findings.wrong.append(f"model.init_adapter: {folder} holds no adapter_config.json")
        return
    rank = json.loads((folder / "adapter_config.json").read_text("utf-8")).get("r")
    if rank != job.model.lora_rank:
        findings.wrong.append(
            f"model.lora_rank: {folder.name}, which the job starts from, has rank {rank}; set it, or "
            'model.start = "base"'
        )
        return
    findings.right["model.init_adapter"] = folder.name


def _check_overlap(key: str, names: Sequence[str], seen: dict[str, str], findings: Findings) -> None:
    """A task that is trained on must not be evaluated with."""
    for name in names:
        other = seen.setdefault(name, key)
        if (key == "evaluation.tasks") != (other == "evaluation.tasks"):
            findings.wrong.append(f"evaluation.tasks: {name} is trained on too ({other}); remove it from one of them")
            return


def base_folder(job: JobConfig, home: Path) -> Path:
    """Folder of the base's files; the bundled one is made when it is first needed."""
    return home / "models" / job.model.base if job.model.base == "smollm2" else Path(job.model.base)


def _check_base(job: JobConfig, around: Surroundings, findings: Findings) -> None:
    folder = base_folder(job, around.home)
    bundled = job.model.base == "smollm2"
    if not bundled and not ((folder / "config.json").is_file() and any(folder.glob("*.safetensors"))):
        why = f"{job.model.base} is neither smollm2 nor a folder with config.json and safetensors"
        findings.out_of_sight("model.base", why)
        return
    if bundled and not any(folder.glob("*.safetensors")):
        findings.right["model.base"] = "smollm2, made from its package when the job starts"
        return
    sha256 = around.base_sha256(folder)
    published = around.base_of(job.policy)
    if published is not None and published[1] and published[1] != sha256:
        findings.wrong.append(
            f"model.base: {job.policy}@v{published[0]} was trained on another base (sha256 {published[1][:12]}, "
            f"this one {sha256[:12]}); name that base, or another policy"
        )
        return
    findings.right["model.base"] = f"{_architecture(folder)}, sha256 {sha256[:12]}"


def _architecture(folder: Path) -> str:
    names = json.loads((folder / "config.json").read_text("utf-8")).get("architectures") or ["a model"]
    return str(names[0])


async def _check_corpora(job: JobConfig, around: Surroundings, findings: Findings) -> None:
    try:
        served = await around.corpora()
    except UpstreamError as outage:
        findings.out_of_sight("data.corpora", f"{outage.service} cannot be asked ({outage}); start it first")
        return
    missing = [name for name in job.data.corpora if name not in served]
    if missing or not served:
        asked, there = ", ".join(missing) or "any", ", ".join(served) or "none"
        findings.wrong.append(f"data.corpora: {asked} not served; served: {there}")
        return
    findings.right["data.corpora"] = ", ".join(job.data.corpora) or f"the default of {', '.join(served)}"


async def _check_engine(job: JobConfig, around: Surroundings, findings: Findings) -> None:
    try:
        served, root = await around.models(), await around.engine_root()
    except UpstreamError as outage:
        findings.out_of_sight("engine", f"{outage.service} cannot be asked ({outage}); start it first")
        return
    if "expert" in served:
        findings.wrong.append(
            "engine: the expert engine is served, whose rollouts are demonstrations; serve a policy "
            "(`wideseek up --model smollm2 --policy none`) or learn from them with mode: sft"
        )
        return
    merged = None if _is_base(root, job, around.home) else merged_policy(root)
    if merged is not None:
        findings.wrong.append(f"engine: {merged.policy} is served, merged into its base; {FOR_TRAINING}")
        return
    findings.right["engine"] = ", ".join(served)


def _is_base(root: str, job: JobConfig, home: Path) -> bool:
    return Path(root).resolve() == base_folder(job, home).resolve()
