"""Small training jobs for tests: a base of random weights, tasks on disk, a launcher that keeps a list."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder, JobRecord
from services.trainer.jobs.book import JobBook
from services.trainer.jobs.checks import Surroundings
from services.trainer.jobs.desk import JobDesk
from services.trainer.learn.base import base_sha256
from wideseek.errors import TrainerUnavailable

TASK = {
    "instance_id": "w1",
    "query": "Which colours has the flag of each country?",
    "evaluation": {
        "required": ["country", "colour"],
        "unique_columns": ["country"],
        "eval_pipeline": {
            "country": {"preprocess": ["norm_str"], "metric": ["exact_match"]},
            "colour": {"preprocess": ["norm_str"], "metric": ["exact_match"]},
        },
    },
    "answer": "| Country | Colour |\n|---|---|\n| Atlantis | blue |",
}


def write_tasks(path: Path, names: Sequence[str] = ("w1",)) -> Path:
    """A file of wide tasks with these ids."""
    path.write_text("".join(json.dumps({**TASK, "instance_id": name}) + "\n" for name in names))
    return path


def write_base(folder: Path, shapes: dict[str, tuple[int, ...]] | None = None) -> Path:
    """A folder that holds a model's files with zeros for weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["TinyForCausalLM"]}))
    (folder / "tokenizer.json").write_text("{}")
    shapes = shapes or {"model.embed_tokens.weight": (100, 8), "layers.0.self_attn.q_proj.weight": (8, 8)}
    header, place = {}, 0
    for name, shape in shapes.items():
        size = 4
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(place))
    return folder


def job(tmp_path: Path, **values: Any) -> JobConfig:
    """A job over one task and a tiny base, with these values on top."""
    tasks = tmp_path / "train.jsonl"
    if not tasks.exists():
        write_tasks(tasks)
    base = tmp_path / "base"
    if not base.exists():
        write_base(base)
    return JobConfig.model_validate({"model": {"base": str(base)}, "data": {"wide": (tasks,)}, **values})


@dataclass
class ListedLauncher:
    """A launcher that starts nothing and remembers what it was asked."""

    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    outage: str = ""

    async def start(self, record: JobRecord, folder: JobFolder) -> None:
        if self.outage:
            raise TrainerUnavailable(self.outage)
        self.started.append(record.job_id)

    async def stop(self, record: JobRecord, folder: JobFolder) -> None:
        self.stopped.append(record.job_id)

    async def close(self) -> None:
        pass


def surroundings(home: Path, **changes: Any) -> Surroundings:
    """A healthy cluster that serves one policy over one corpus."""

    async def corpora() -> Sequence[str]:
        return ["factbook"]

    async def models() -> Sequence[str]:
        return ["smollm2"]

    given = {
        "corpora": corpora,
        "models": models,
        "current": lambda _: None,
        "base_of": lambda _: None,
        "base_sha256": base_sha256,
    }
    return Surroundings(home=home, **{**given, **changes})


def desk(tmp_path: Path, launcher: ListedLauncher | None = None, **changes: Any) -> JobDesk:
    """A desk over a home in `tmp_path`."""
    book = JobBook(tmp_path / "jobs", str(tmp_path / "rollouts"))
    return JobDesk(book=book, launcher=launcher or ListedLauncher(), around=surroundings(tmp_path, **changes))
