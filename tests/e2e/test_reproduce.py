"""A recipe with a real cluster: tasks made, asked, reported; the second time nothing is left to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.processes import ROOT
from tests.servers import free_port

RECIPE = """
name = "tiny"

[[stages]]
name = "data"
outputs = ["{work}/tasks.jsonl"]
commands = ["wideseek data generate --suite factbook-wide --split dev --count 2 --seed 1 --out {work}/tasks.jsonl"]

[[stages]]
name = "evaluate"
inputs = ["{work}/tasks.jsonl", "{recipe}/results/arms.toml"]
outputs = ["{recipe}/README.md"]
up = "--model expert"
commands = [
    "wideseek eval --tasks {work}/tasks.jsonl --out {recipe}/results/expert --trials 2 --seed 1",
    "wideseek eval --tasks {work}/tasks.jsonl --out {recipe}/results/width --sweep width=1,4 --max-turns 60",
    { run = "wideseek policies report --results {recipe}/results --out {recipe}", up = "--model expert" },
]
"""
ARMS = """
[arms.expert]
title = "Expert"
group = "headline"
mode = "multi_agent"
[arms."width/width=1"]
title = "Width 1"
group = "width"
width = 1
[arms."width/width=4"]
title = "Width 4"
group = "width"
width = 4
"""
PORTS = ("ORCHESTRATOR", "RETRIEVAL", "MODEL", "TRAINER", "WORKER", "REDIS")


def reproduce(folder: Path) -> "subprocess.CompletedProcess[str]":
    ports = {f"{name}_PORT": str(free_port()) for name in PORTS}
    env = {**os.environ, **ports, "WIDESEEK_HOME": str(folder / "state")}
    words = [sys.executable, "-m", "services.cli.main", "reproduce", str(folder / "recipe.toml")]
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=400, check=False)


def test_a_recipe_makes_its_data_asks_a_cluster_and_reports(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "arms.toml").write_text(ARMS)
    (tmp_path / "recipe.toml").write_text(RECIPE)

    first, second = reproduce(tmp_path), reproduce(tmp_path)

    home = tmp_path / "state" / "reproduce" / "tiny" / "home"
    assert first.returncode == second.returncode == 0, first.stderr[-4_000:] + second.stderr
    assert not (home / "cluster.json").exists()
    assert second.stderr.count("done\n") == 2
    assert "wideseek" not in second.stderr
    text = (tmp_path / "README.md").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| Expert | 2 x 2 |"))
    assert row.count("1.000 [1.000, 1.000]") == 4
    summary = json.loads((tmp_path / "results" / "expert" / "summary.json").read_text())
    assert summary["tasks"] == 2
    assert (tmp_path / "plots" / "width.svg").is_file()
