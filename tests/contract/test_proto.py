"""proto/ and the pydantic classes are two spellings of one contract."""

import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.arbitrary import values
from tests.contract import proto_lock
from wideseek import contracts, events, rollout, tables, trajectory
from wideseek import messages as chat
from wideseek.values import Frozen

ROOT = Path(__file__).resolve().parents[2]
MODULES: tuple[ModuleType, ...] = (chat, trajectory, tables, contracts, events, rollout)
MESSAGES = {message.name: message for message in proto_lock.messages()}


def _twins() -> dict[str, type[Frozen]]:
    found = [kind for module in MODULES for _, kind in inspect.getmembers(module, inspect.isclass)]
    return {
        kind.__name__: kind
        for kind in found
        if issubclass(kind, Frozen) and kind is not Frozen and not kind.__name__.startswith("_")
    }


TWINS = _twins()


def test_every_message_has_a_twin_and_every_twin_a_message() -> None:
    assert sorted(MESSAGES) == sorted(TWINS)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_twins_have_the_same_fields_in_the_same_order(name: str) -> None:
    in_proto = [field.name for field in MESSAGES[name].fields]

    assert in_proto == list(TWINS[name].model_fields)


@pytest.mark.parametrize("name", sorted(MESSAGES))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_json_of_one_side_is_read_by_the_other(name: str, data: st.DataObject) -> None:
    value = data.draw(values(TWINS[name]))
    message = GetMessageClass(MESSAGES[name])()

    json_format.Parse(value.model_dump_json(), message)
    back = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )

    assert TWINS[name].model_validate_json(back) == value


def test_generated_code_is_what_the_compiler_makes(tmp_path: Path) -> None:
    sources = sorted(str(path) for path in (ROOT / "proto" / "wideseek" / "v1").glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}"]

    subprocess.run([*command, f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", *sources], check=True)

    made = {path.name: path.read_text("utf-8") for path in (tmp_path / "wideseek" / "v1").iterdir()}
    kept = {path.name: path.read_text("utf-8") for path in (ROOT / "wideseek" / "v1").glob("*_pb2.*")}
    assert made == kept


def test_no_locked_field_has_gone_or_changed() -> None:
    lost = set(proto_lock.locked()) - set(proto_lock.lines())

    assert not lost


def test_the_lock_lists_every_field() -> None:
    missing = set(proto_lock.lines()) - set(proto_lock.locked())

    assert not missing, "run `make proto`"


def test_the_lock_spells_lists_maps_and_optional_fields() -> None:
    lines = proto_lock.lines()

    assert "wideseek.v1.Turn.results = 2 repeated ToolResult" in lines
    assert "wideseek.v1.Run.usage = 11 map<string, Usage>" in lines
    assert "wideseek.v1.Sampling.temperature = 1 optional double" in lines


def test_numbers_are_packed() -> None:
    turn: Descriptor = MESSAGES["TurnRecord"]

    assert turn.fields_by_name["prompt_token_ids"].is_packed
    assert turn.fields_by_name["sampled_logprobs"].is_packed
