"""`wideseek rollouts` by its own door: a store on disk, tables and files out, one line of error, an exit code."""

import asyncio
import io
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from services.cli.main import main
from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.rollouts.index import Indexed, RolloutIndex
from services.kit.rollouts.store import RolloutStore
from services.trainer.folder import COMMITTED, JobFolder, write_model
from services.trainer.ledger.manifest import FIRST, Dropped, Entry, Manifest
from tests.rollout_parts import reward_of, rollout_of

FIRST_ID = rollout_of("run_0").rollout_id


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose store holds four rollouts of a job, three of them with rewards, and one of no job."""
    store = RolloutStore.open(str(tmp_path / "rollouts"))
    for number in range(4):
        group, status = f"g{number // 2}", "failed_task" if number == 3 else "ok"
        rollout = rollout_of(f"run_{number}", group_id=group, index=number % 2, task_id=f"t{number}", status=status)
        if number == 0:
            rollout = rollout_of("run_0")
        store.put(rollout, "job-1")
        if number < 3:
            store.put_reward(reward_of(rollout, total=number / 4), "job-1")
    store.put(rollout_of("other", group_id=None, index=None))
    return tmp_path


def call(home: Path, *arguments: str) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["rollouts", *arguments, "--home", str(home)])
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def stored(home: Path) -> RolloutStore:
    return RolloutStore.open(str(home / "rollouts"))


def damage(home: Path, rollout_id: str) -> None:
    entry = stored(home).find(rollout_id)
    assert entry is not None
    path = home / "rollouts" / entry.uri
    path.write_bytes(path.read_bytes()[:-9])


# ---- list ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ((), {"run_0", "run_1", "run_2", "run_3", "other"}),
        (("--job", "job-1"), {"run_0", "run_1", "run_2", "run_3"}),
        (("--job", "unassigned"), {"other"}),
        (("--group", "g1"), {"run_0", "run_2", "run_3"}),
        (("--task", "t2"), {"run_2"}),
        (("--status", "failed_task"), {"run_3"}),
        (("--status", "cancelled"), set()),
        (("--job", "job-1", "--status", "ok", "--task", "t1"), {"run_0", "run_1"}),
    ],
)
def test_rollouts_are_listed_by_what_they_belong_to(home: Path, options: Sequence[str], runs: set[str]) -> None:
    ended = call(home, "list", "--format", "json", *options)

    assert ended.code == 0
    assert {line["run_id"] for line in ended.lines()} == runs


def test_a_line_of_the_list_holds_entry_and_reward(home: Path) -> None:
    (line,) = call(home, "list", "--format", "json", "--task", "t2").lines()

    assert (line["reward"], line["reward_version"]) == (0.5, "v1")
    assert line["tokens_by_agent"] == {"lead": 3, "s1": 3}
    assert line["finished"].startswith("2026-09-21T14:14:20")


def test_the_list_is_a_table_for_people(home: Path) -> None:
    ended = call(home, "list")

    assert FIRST_ID in ended.out
    assert "5 rollouts" in ended.err


# ---- show ---------------------------------------------------------------------------------


def test_a_rollout_is_shown_with_agents_turns_calls_masks_and_rewards(home: Path) -> None:
    ended = call(home, "show", FIRST_ID)

    assert ended.code == 0
    for said in ("Which?", "lead", "s1", "failed_subagent", "no such page", "item_f1", "job-1", "| a |"):
        assert said in ended.out


def test_a_rollout_is_shown_as_json_with_every_token(home: Path) -> None:
    shown = json.loads(call(home, "show", FIRST_ID, "--format", "json").out)

    assert shown["entry"]["rollout_id"] == FIRST_ID
    assert shown["rollout"]["agents"][0]["turns"][0]["sampled_token_ids"] == [5, 6]
    assert shown["rewards"][0]["components"] == {"item_f1": 0.7, "format": 0.05}


def test_control_characters_of_a_model_do_not_reach_the_terminal(tmp_path: Path) -> None:
    entry = RolloutStore.open(str(tmp_path / "rollouts")).put(rollout_of("run_1", query="\x1b[31mred"), "j")

    assert "\x1b[31m" not in call(tmp_path, "show", entry.rollout_id).out


# ---- export -------------------------------------------------------------------------------

REWARDS = {"reward", "reward_version", "reward_valid", "reward_item_f1", "reward_format"}


@pytest.mark.parametrize(("level", "count"), [("rollout", 4), ("agent", 8), ("turn", 12), ("token", 24)])
def test_parquet_and_json_lines_hold_the_same_rows(home: Path, level: str, count: int) -> None:
    for suffix in ("parquet", "jsonl"):
        ended = call(home, "export", "--out", str(home / f"x.{suffix}"), "--level", level, "--job", "job-1")
        assert (ended.code, ended.out) == (0, "")
        assert f"{count} rows of 4 rollouts" in " ".join(ended.err.split())

    table = parquet.read_table(home / "x.parquet")
    lines = [json.loads(line) for line in (home / "x.jsonl").read_text().splitlines()]
    assert table.to_pylist() == lines
    assert len(lines) == count
    assert set(table.column_names) >= REWARDS


def test_rewards_and_masks_stand_in_every_row_of_a_rollout(home: Path) -> None:
    call(home, "export", "--out", str(home / "x.jsonl"), "--level", "agent", "--job", "job-1")

    rows = [json.loads(line) for line in (home / "x.jsonl").read_text().splitlines()]
    lead, below = (row for row in rows if row["rollout_id"] == FIRST_ID)
    assert (lead["reward_item_f1"], below["reward_format"]) == (0.7, 0.05)
    assert (lead["trained_tokens"], below["trainable_tokens"], below["trained_tokens"]) == (3, 3, 0)
    assert (below["parent_agent_id"], below["tool_failures"]) == ("lead", 1)
    (unrewarded,) = (row for row in rows if row["run_id"] == "run_3" and row["role"] == "lead")
    assert unrewarded["reward"] is None


def test_tokens_carry_log_probability_version_and_mask(home: Path) -> None:
    call(home, "export", "--out", str(home / "x.parquet"), "--level", "token", "--job", "job-1")

    rows = [row for row in parquet.read_table(home / "x.parquet").to_pylist() if row["rollout_id"] == FIRST_ID]
    assert [row["token_id"] for row in rows] == [5, 6, 7, 8, 9, 10]
    assert {(row["logprob"], row["version"]) for row in rows} == {(-0.25, 3)}
    assert [row["trained"] for row in rows] == [True] * 3 + [False] * 3
    assert rows[-1]["mask_reason"] == "failed_subagent"


def test_the_highest_version_of_a_reward_is_exported_unless_one_is_named(home: Path) -> None:
    for version, total in (("v9", 9.0), ("v10", 10.0)):
        stored(home).put_reward(reward_of(rollout_of("run_0"), version, total=total), "job-1")
    out = home / "x.jsonl"

    def reward() -> float:
        rows = map(json.loads, out.read_text().splitlines())
        return float(next(row["reward"] for row in rows if row["rollout_id"] == FIRST_ID))

    call(home, "export", "--out", str(out))
    highest = reward()
    call(home, "export", "--out", str(out), "--reward-version", "v9")

    assert (highest, reward()) == (10.0, 9.0)


def test_a_corrupt_rollout_is_left_out_and_said(home: Path) -> None:
    damage(home, FIRST_ID)

    ended = call(home, "export", "--out", str(home / "x.jsonl"))

    assert ended.code == 1
    assert "1 of 5 rollouts were corrupt" in ended.err
    assert len((home / "x.jsonl").read_text().splitlines()) == 4


def test_an_empty_store_exports_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "rollouts").mkdir()

    assert call(tmp_path, "export", "--out", str(tmp_path / "x.parquet")).code == 0

    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 0


# ---- scan and prune -----------------------------------------------------------------------


def indexed(redis_url: str, job_id: str) -> Indexed:
    async def read() -> Indexed:
        redis = connect(redis_url)
        entries = await RolloutIndex(redis, Keys("test")).read(job_id)
        await redis.aclose()
        return entries

    return asyncio.run(read())


def scan(home: Path, redis_url: str) -> list[list[str]]:
    """The rows of the table that a scan prints."""
    ended = call(home, "scan", "--redis", redis_url, "--env", "test")
    assert ended.code == 0, ended.err
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines()]
    return [row for row in rows if row]


def test_a_scan_verifies_indexes_orphans_and_puts_away_what_is_corrupt(home: Path, redis_url: str) -> None:
    damage(home, FIRST_ID)

    first, second = scan(home, redis_url), scan(home, redis_url)

    assert first == [["job-1", "3", "3", "1", "1"], ["unassigned", "1", "1", "0", "0"]]
    assert second == [["job-1", "3", "0", "0", "1"], ["unassigned", "1", "0", "0", "0"]]
    assert len(indexed(redis_url, "job-1")) == 3


def manifest(home: Path, step: int, runs: Sequence[str], dropped: Sequence[str] = (), *, committed: bool) -> None:
    folder = JobFolder(home / "jobs" / "job-1")
    by_run = {entry.run_id: entry for entry in stored(home).scan("job-1")}
    entries = tuple(
        Entry(rollout_id=one.rollout_id, uri=one.uri, sha256=one.sha256, group_id=one.group_id, agents=())
        for one in (by_run[run] for run in runs)
    )
    value = Manifest(
        job_id="job-1",
        step=step,
        prev_sha256=FIRST,
        created_at=0,
        seed=0,
        config_sha256="",
        code_version="",
        policy_version=0,
        planned=4,
        learning_rate=0,
        entries=entries,
        dropped=tuple(Dropped(rollout_id=by_run[run].rollout_id, reason="stale") for run in dropped),
    )
    write_model(folder.manifest_file(step), value)
    if committed:
        folder.checkpoint(step).mkdir(parents=True)
        (folder.checkpoint(step) / COMMITTED).touch()


def test_a_scan_does_not_bring_back_what_manifests_have_resolved(home: Path, redis_url: str) -> None:
    manifest(home, 1, ["run_0"], ["run_1"], committed=True)

    scan(home, redis_url)

    assert {entry.run_id for _, entry in indexed(redis_url, "job-1")} == {"run_2", "run_3"}


def test_pruning_deletes_what_a_committed_step_covers_and_keeps_what_the_next_needs(home: Path) -> None:
    manifest(home, 1, ["run_0"], ["run_1"], committed=True)
    manifest(home, 2, ["run_2"], committed=False)

    listed = call(home, "prune", "--older-than", "0", "--dry-run")
    untouched = len(list(stored(home).scan("job-1")))
    ended = call(home, "prune", "--older-than", "0")

    assert (listed.code, ended.code, untouched) == (0, 0, 4)
    assert len(listed.lines()) == 2
    assert {entry.run_id for entry in stored(home).scan("job-1")} == {"run_2", "run_3"}
    assert len(list(stored(home).scan("unassigned"))) == 1


def test_pruning_leaves_young_rollouts_and_those_of_no_job_unless_they_are_named(home: Path) -> None:
    call(home, "prune", "--older-than", "100000", "--job", "unassigned")
    kept = len(list(stored(home).scan("unassigned")))
    call(home, "prune", "--older-than", "0", "--job", "unassigned")

    assert (kept, len(list(stored(home).scan("unassigned")))) == (1, 0)


def test_a_broken_manifest_stops_pruning(home: Path) -> None:
    manifest(home, 1, ["run_0"], committed=True)
    JobFolder(home / "jobs" / "job-1").manifest_file(1).write_text("{")

    ended = call(home, "prune", "--older-than", "0")

    assert ended.code == 1
    assert "is no manifest; nothing was changed" in ended.err
    assert len(list(stored(home).scan("job-1"))) == 4


# ---- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list", "--status", "good"), 2, "use ok, failed_task, infra_error, cancelled"),
        (("list", "--format", "xml"), 2, "use table or json"),
        (("list", "--job", "job-2"), 2, "it has job-1, unassigned"),
        (("list", "--store", "nosuch://x"), 1, "ROLLOUT_STORE is 'nosuch://x'"),
        (("show", "ro_none"), 1, "no rollout ro_none"),
        (("show", "../../x"), 1, "rollout_id is '../../x'"),
        (("export", "--out", "x.csv"), 2, "must end in .parquet or .jsonl"),
        (("export", "--out", "/nowhere/x.jsonl"), 2, "there is no folder /nowhere"),
        (("export", "--out", "x.jsonl", "--level", "word"), 2, "use rollout, agent, turn, token"),
        (("scan", "--redis", "redis://127.0.0.1:1/0"), 1, "Connect call failed"),
    ],
)
def test_bad_input_and_outages_are_one_line(home: Path, arguments: Sequence[str], code: int, said: str) -> None:
    ended = call(home, *arguments)

    assert ended.code == code
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_home_without_a_store_is_said_and_not_made(tmp_path: Path) -> None:
    ended = call(tmp_path, "list")

    assert ended.code == 1
    assert "no rollout store" in ended.err
    assert list(tmp_path.iterdir()) == []
