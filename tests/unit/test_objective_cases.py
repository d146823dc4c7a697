"""`wideseek objective`: what it evaluates, and what it says of input that is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from services.trainer.objective.cases import evaluate_case, read_case
from wideseek.errors import InvalidRequest

Case = dict[str, Any]


def turn(old: list[float], new: list[float], **more: Any) -> Case:
    return {"old_logprobs": old, "new_logprobs": new, **more}


def agent(*turns: Case, role: str = "lead", **more: Any) -> Case:
    return {"role": role, "turns": list(turns), **more}


def case(*rollouts: Case, **more: Any) -> Case:
    return {"id": "c", "groups": [{"rollouts": list(rollouts)}], **more}


def plain(**more: Any) -> Case:
    """Two rollouts with rewards 1 and 0; all ratios are 1."""
    return case(
        {"reward": 1, "agents": [agent(turn([-1, -2], [-1, -2])), agent(turn([-1], [-1]), role="subagent")]},
        {"reward": 0, "agents": [agent(turn([-3], [-3]))]},
        **({"std": False} | more),
    )


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["objective", *arguments])
    return int(ended.value.code or 0)


def written(folder: Path, *lines: Any) -> Path:
    file = folder / "cases.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), "utf-8")
    return file


def test_a_case_by_hand() -> None:
    """B = 2, A = 1/2 and -1/2; weights 1/(2·2·2), 1/(2·2·1), 1/(2·1·1); the gradient is -w A at ratio 1."""
    found = evaluate_case(read_case(json.dumps(plain())))

    assert found.advantages == ((0.5, -0.5),)
    assert found.token_weights == (0.125, 0.25, 0.5)
    assert found.grad_wrt_new_logprobs == (-0.0625, -0.0625, -0.125, 0.25)
    assert (found.objective, found.loss, found.trained_tokens) == (0.0, 0.0, 4)
    assert (found.clip_fraction, found.dual_clip_fraction) == (0, 0)


def test_what_is_not_trained_on_has_neither_weight_nor_gradient() -> None:
    given = case(
        {
            "reward": 1,
            "agents": [
                agent(turn([-1, -1], [-1, -1], loss_mask=[0, 1]), turn([-1], [-1], trained=False)),
                agent(turn([-1], [-1]), role="subagent", trained=False),
                agent(turn([-1], [-1], loss_mask=[0]), role="subagent"),
            ],
        },
        {"reward": 0, "agents": [agent(turn([-1], [-1], loss_mask=[True]))]},
        std=False,
    )

    found = evaluate_case(read_case(json.dumps(given)))

    assert found.token_weights == (0.5, 0, 0, 0.5)
    assert found.grad_wrt_new_logprobs == (0, -0.25, 0, 0, 0, 0.25)
    assert found.trained_tokens == 2


@pytest.mark.parametrize(
    "agents", [[], [agent()], [agent(turn([], []))], [agent(turn([-1], [-1], loss_mask=[0]))]], ids=str
)
def test_a_rollout_without_trained_tokens_counts_in_its_group_and_in_b(agents: list[Case]) -> None:
    given = case({"reward": 1, "agents": [agent(turn([-1], [-1]))]}, {"reward": 0, "agents": agents}, std=False)

    found = evaluate_case(read_case(json.dumps(given)))

    assert found.advantages == ((0.5, -0.5),)
    assert found.token_weights[0] == 0.5
    assert found.loss == -0.25


def test_a_case_without_any_trained_token_comes_to_nothing() -> None:
    found = evaluate_case(read_case(json.dumps(case({"reward": 1, "agents": []}))))

    assert (found.loss, found.objective, found.clip_fraction, found.trained_tokens) == (0, 0, 0, 0)
    assert "-0.0" not in found.model_dump_json()


def test_groups_need_not_be_of_one_size() -> None:
    lone = {"rollouts": [{"reward": 5, "agents": [agent(turn([-1], [-1]))]}]}
    given = plain()
    given["groups"].append(lone)

    found = evaluate_case(read_case(json.dumps(given)))

    assert found.advantages == ((0.5, -0.5), (0.0,))
    assert found.token_weights[-1] == 1 / 3


@pytest.mark.parametrize(
    ("changed", "loss"),
    [
        ({}, -1.28 / 4),
        ({"clip_high": 0.5}, -1.5 / 4),
        ({"clip_high": 0.1}, -1.1 / 4),
        ({"log_ratio_clamp": 0.01}, None),
    ],
)
def test_each_option_changes_the_loss(changed: Case, loss: float | None) -> None:
    moved = {"reward": 1, "agents": [agent(turn([-1.0], [-0.5945348918918356]))]}  # ratio 1.5
    given = case(moved, {"reward": 0, "agents": []}, std=False, **changed)

    found = evaluate_case(read_case(json.dumps(given)))

    assert found.loss == pytest.approx(-(2.718281828459045**0.01) / 4 if loss is None else loss)


def test_a_dual_clip_of_null_is_none() -> None:
    moved = {"reward": 0, "agents": [agent(turn([-4.0], [-1.0]))]}
    given = case({"reward": 1, "agents": []}, moved, std=False)

    free, held = (evaluate_case(read_case(json.dumps(given | {"dual_clip": one}))) for one in (None, 2))

    assert free.loss == pytest.approx(2.718281828459045**3 / 4)
    assert (held.loss, held.dual_clip_fraction, held.clip_fraction) == (0.5, 1, 0)


def test_numbers_are_written_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = plain() | {"std": True}

    code = run("--case", str(written(tmp_path, given)))

    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert code == 0
    assert found == json.loads(evaluate_case(read_case(json.dumps(given))).model_dump_json())
    assert found["advantages"][0][0] == 0.5 / (0.5**0.5 + 1e-6)


def test_results_go_to_a_file_one_line_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = written(tmp_path, plain(), "", plain() | {"id": "d"}), tmp_path / "new" / "out.jsonl"

    code = run("--case", str(file), "--out", str(out))

    assert code == 0
    assert [json.loads(line)["id"] for line in out.read_text("utf-8").splitlines()] == ["c", "d"]
    assert capsys.readouterr().out == ""


def edited(change: Callable[[Case], object]) -> Case:
    given = plain()
    change(given)
    return given


def first_rollout(given: Case) -> Case:
    rollout: Case = given["groups"][0]["rollouts"][0]
    return rollout


def first_turn(given: Case) -> Case:
    turn: Case = first_rollout(given)["agents"][0]["turns"][0]
    return turn


HUGE = [{"reward": reward, "agents": []} for reward in (1.7e308, 1.6e308)]
_TURN = r"groups\[0\]\.rollouts\[0\]\.agents\[0\]\.turns\[0\]"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (edited(lambda c: c.pop("id")), "^id: field required"),
        (edited(lambda c: c.pop("groups")), "^groups: field required"),
        (edited(lambda c: c.update(groups=[])), "^groups: "),
        (edited(lambda c: c["groups"].append({"rollouts": []})), r"^groups\[1\]\.rollouts: "),
        (edited(lambda c: c["groups"][0]["rollouts"][1].pop("reward")), r"^groups\[0\]\.rollouts\[1\]\.reward: "),
        (edited(lambda c: c["groups"][0]["rollouts"][1].update(reward="1")), r"reward: input should be a valid number"),
        (edited(lambda c: c["groups"][0]["rollouts"][1].update(reward=True)), r"reward: input should be a valid num"),
        (edited(lambda c: c["groups"][0]["rollouts"][1].update(reward=float("nan"))), r"reward: .*finite"),
        (edited(lambda c: c["groups"].append({"rollouts": HUGE})), "^groups: rewards are too large"),
        (edited(lambda c: c["groups"][0]["rollouts"][0]["agents"][0].update(role="boss")), r"agents\[0\]\.role: "),
        (edited(lambda c: c["groups"][0]["rollouts"][0]["agents"][0].update(trained=1)), r"agents\[0\]\.trained: "),
        (edited(lambda c: first_turn(c)["new_logprobs"].pop()), f"^{_TURN}: new_logprobs has 1 entries, old_logprobs"),
        (edited(lambda c: first_turn(c).update(loss_mask=[1])), f"^{_TURN}: loss_mask has 1 entries"),
        (edited(lambda c: first_turn(c).update(loss_mask=[1, 2])), rf"^{_TURN}\.loss_mask\[1\]: .*0 or 1"),
        (edited(lambda c: first_turn(c).update(loss_mask=[1, 0.5])), rf"^{_TURN}\.loss_mask\[1\]: .*0 or 1"),
        (edited(lambda c: first_turn(c).update(old_logprobs=[-1, None])), rf"^{_TURN}\.old_logprobs\[1\]: "),
        (edited(lambda c: first_turn(c).update(weight=2)), rf"^{_TURN}\.weight: no code serves this option"),
        (edited(lambda c: c.update(kl_beta=0.1)), "^kl_beta: no code serves this option; leave it out"),
        (edited(lambda c: c.update(clip_low=1.5)), "^clip_low: input should be less than 1"),
        (edited(lambda c: c.update(clip_high=0)), "^clip_high: input should be greater than 0"),
        (edited(lambda c: c.update(dual_clip=0.5)), "^dual_clip: input should be greater than 1"),
        (edited(lambda c: c.update(log_ratio_clamp=-1)), "^log_ratio_clamp: input should be greater than 0"),
        (edited(lambda c: c.update(std="yes")), "^std: input should be a valid boolean"),
    ],
)
def test_a_wrong_field_is_named(given: Case, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        evaluate_case(read_case(json.dumps(given)))


@pytest.mark.parametrize("line", ["{", "[1]", "3", "null", '{"id": 1' + "0" * 5_000 + "}", "[" * 100_000])
def test_a_line_that_is_no_case_is_refused_in_words(line: str) -> None:
    with pytest.raises(InvalidRequest):
        read_case(line)


def test_results_that_overflow_are_refused() -> None:
    given = edited(lambda c: c.update(log_ratio_clamp=1e6))
    first_turn(given).update(new_logprobs=[800, -2], old_logprobs=[-1, -2])
    given["groups"][0]["rollouts"][0]["reward"] = -1
    given["dual_clip"] = None

    with pytest.raises(InvalidRequest, match="not finite"):
        evaluate_case(read_case(json.dumps(given)))


def test_a_bad_line_ends_in_one_line_and_leaves_the_results_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = written(tmp_path, plain(), "", plain() | {"kl": "k3"}), tmp_path / "out.jsonl"
    out.write_text("before", "utf-8")

    code = run("--case", str(file), "--out", str(out))

    shown = capsys.readouterr()
    assert code == 2
    assert shown.err == f"wideseek: {file}:3: kl: no code serves this option; leave it out\n"
    assert (shown.out, out.read_text("utf-8")) == ("", "before")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["cases.jsonl", "out.jsonl"]


def test_nothing_is_written_to_standard_output_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run("--case", str(written(tmp_path, plain(), "{")))

    shown = capsys.readouterr()
    assert code == 2
    assert shown.out == ""
    assert ":2: not JSON: " in shown.err


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "holds no case"), (b"\n \n", "holds no case"), (b'{"id":\n"\xff"}', ":2: not UTF-8")]
)
def test_a_file_without_cases_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(content)

    code = run("--case", str(file))

    assert code == 2
    assert said in capsys.readouterr().err


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = tmp_path / "absent.jsonl"

    codes = run("--case", str(absent)), run("--case", str(written(tmp_path, plain())), "--out", str(tmp_path))

    first, second = capsys.readouterr().err.splitlines()
    assert codes == (2, 2)
    assert f"--case {absent}: No such file" in first
    assert f"--out {tmp_path}: " in second
