"""The wire contract, one line a field; `python -m tests.contract.proto_lock` adds the new ones to `proto/v1.lock`.

A line that disappears or changes breaks records and peers that are already out there, so nothing
here removes one: delete it by hand, in a commit that says why.
"""

import sys
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from wideseek.v1 import agent_pb2, retrieval_pb2, rollout_pb2, run_pb2

LOCK = Path(__file__).resolve().parents[2] / "proto" / "v1.lock"
FILES: tuple[FileDescriptor, ...] = (
    agent_pb2.DESCRIPTOR,
    retrieval_pb2.DESCRIPTOR,
    run_pb2.DESCRIPTOR,
    rollout_pb2.DESCRIPTOR,
)
_SCALARS = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def messages() -> list[Descriptor]:
    """Every message of the contract, in the order of the files."""
    return [message for file in FILES for message in file.message_types_by_name.values()]


def lines() -> list[str]:
    """The compiled contract: `wideseek.v1.Turn.results = 2 repeated ToolResult`."""
    return [f"{field.full_name} = {field.number} {_shape(field)}" for message in messages() for field in message.fields]


def _shape(field: FieldDescriptor) -> str:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return f"map<{_kind(kind.fields_by_name['key'])}, {_kind(kind.fields_by_name['value'])}>"
    if field.is_repeated:
        return f"repeated {_kind(field)}"
    return f"optional {_kind(field)}" if field.has_presence and kind is None else _kind(field)


def _kind(field: FieldDescriptor) -> str:
    if field.message_type is None:
        return _SCALARS[field.type]
    name: str = field.message_type.full_name
    return name.removeprefix("wideseek.v1.")


def locked() -> list[str]:
    """The lines of the lock file."""
    return LOCK.read_text("utf-8").splitlines() if LOCK.exists() else []


if __name__ == "__main__":
    kept = locked()
    current = lines()
    lost = sorted(set(kept) - set(current))
    LOCK.write_text("\n".join([*current, *lost]) + "\n", "utf-8")
    if lost:
        sys.exit("breaking: these fields are locked and gone\n" + "\n".join(lost))
