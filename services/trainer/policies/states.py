"""Which version is current: a history of files, each made by linking, so that of two changes at once one is made first.

```
<home>/policies/<name>.history/<revision>.json     `State`, the highest revision counts
```

A change reads the newest state, makes the next, and links it under the next number. Where that number is taken, the
change is thought through again on the state that came first: compare and set, without a lock that a dead process could
hold. Redis holds a mirror of the newest state.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.kit.durable import sync_folder
from services.kit.policies import BASE, Policies, PolicyView, ServedVersion
from services.trainer.policies.records import Author, State
from services.trainer.policies.registry import Mark, Registry, no_mark
from wideseek.errors import PolicyNotFound, StoreUnavailable

_MOST_TRAIL = 50
Change = Callable[[State], dict[str, Any] | None]
"""The fields that become others, given the newest state; None: nothing is to be changed."""


def newest_state(registry: Registry, name: str) -> State | None:
    """The newest state of a policy, from its files alone."""
    newest = max((registry.folder / f"{name}.history").glob("*.json"), default=None)
    return None if newest is None else State.model_validate_json(newest.read_bytes())


class States:
    """The states of all policies of a deployment, in files and mirrored to Redis."""

    def __init__(self, registry: Registry, policies: Policies, *, mark: Mark = no_mark) -> None:
        self._registry = registry
        self.policies = policies
        self._mark = mark

    def names(self) -> list[str]:
        """Policies that have a state."""
        return sorted(path.name.removesuffix(".history") for path in self._registry.folder.glob("*.history"))

    def find(self, name: str) -> State | None:
        """The newest state of a policy."""
        return newest_state(self._registry, name)

    def newest(self, name: str) -> State:
        """The newest state. Raises `PolicyNotFound`."""
        state = self.find(name)
        if state is None:
            raise PolicyNotFound(f"no policy {name!r}; there are: {', '.join(self.names()) or 'none'}")
        return state

    def history(self, name: str) -> list[State]:
        """All states of a policy, the oldest first."""
        return [State.model_validate_json(path.read_bytes()) for path in sorted(self._folder(name).glob("*.json"))]

    async def open(self, name: str, *, base_model: str, base_sha256: str) -> State:
        """The newest state; the first one where the policy is new."""
        now = time.time()
        first = State(
            name=name,
            revision=1,
            at=now,
            by="job",
            action="begin",
            base_model=base_model,
            base_sha256=base_sha256,
            published_at=now,
        )
        if self.find(name) is None:
            self._put(first)
        return await self._mirrored(self.newest(name))

    async def change(self, name: str, by: Author, action: str, change: Change) -> State:
        """Make a change, thought through anew while others are made first. The state that then holds.

        Raises whatever `change` raises, `PolicyNotFound`, and `QueueUnavailable` when the mirror cannot be written;
        the change is made all the same, and mirrored by the next call.
        """
        while True:
            state = self.newest(name)
            fields = change(state)
            if fields is None:
                return await self._mirrored(state)
            changed = _next(state, fields, by, action)
            self._mark("current.before_flip")
            if self._put(changed):
                self._mark("current.after_flip")
                return await self._mirrored(changed)

    async def restore(self) -> int:
        """Write every policy to Redis again, which may have lost them; how many there are."""
        names = self.names()
        for name in names:
            await self._mirrored(self.newest(name))
        return len(names)

    async def _mirrored(self, state: State) -> State:
        await self.policies.mirror(self.view(state))
        return state

    def view(self, state: State) -> PolicyView:
        """A state as runs are resolved against it."""
        base = ServedVersion(name=state.name, version=BASE, model=state.base_model, base_sha256=state.base_sha256)
        return PolicyView(
            name=state.name,
            revision=state.revision,
            current=state.current,
            canary=state.canary,
            canary_share=state.canary_share,
            published_at=state.published_at,
            served=(base, *(self._served(state, version) for version in state.served)),
        )

    def _served(self, state: State, version: int) -> ServedVersion:
        record = self._registry.record(state.name, version)
        return ServedVersion(
            name=state.name,
            version=version,
            model=record.model if record.adaptation == "lora" else state.base_model,
            adapter_sha256=record.adapter_sha256,
            base_sha256=record.base_sha256,
            tokenizer_sha256=record.tokenizer_sha256,
            template_sha256=record.template_sha256,
        )

    def _folder(self, name: str) -> Path:
        return self._registry.folder / f"{name}.history"

    def _put(self, state: State) -> bool:
        """Link a state under its revision; False when that revision exists."""
        folder = self._folder(state.name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, staged = tempfile.mkstemp(prefix=".state-", dir=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    os.fchmod(file.fileno(), 0o644)
                    file.write(state.model_dump_json(indent=1).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.link(staged, folder / f"{state.revision:09d}.json")
            finally:
                Path(staged).unlink(missing_ok=True)
            sync_folder(folder)
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreUnavailable(f"cannot write {folder}: {error}") from error
        return True


def _next(state: State, fields: dict[str, Any], by: Author, action: str) -> State:
    revision = state.revision + 1
    hand = {"hand_revision": revision} if by == "hand" else {}
    made = {"revision": revision, "at": time.time(), "by": by, "action": action}
    return State.model_validate(state.model_dump() | fields | made | hand)


def pushed(state: State, version: int) -> dict[str, Any]:
    """The fields by which a version becomes current, and the one before can be gone back to."""
    if version == state.current:
        return {}
    return {"current": version, "trail": (*state.trail, state.current)[-_MOST_TRAIL:]}
