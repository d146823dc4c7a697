"""What stands behind `wideseek policies`: the orchestrator's admin door, and how its answers are shown."""

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from services.cli.ask import orchestrator_url
from services.cli.console import CommandError, harmless, results
from services.kit.policies import parse
from services.trainer.policies.manage import PolicyDescription, VersionView
from services.trainer.policies.routes import PREFIX, PolicyList
from wideseek.clients._http import Http
from wideseek.contracts import Problem
from wideseek.errors import TrainerUnavailable, UpstreamError

_ANSWER_S = 900
"""Loading a version again may take a while on a large model."""


@dataclass(frozen=True)
class Door:
    """The admin door of an orchestrator."""

    url: str
    key: str | None

    @classmethod
    def at(cls, url: str | None, key: str | None, home: Path | None) -> Self:
        """The door at an address, else that of the cluster of this home."""
        return cls(url or orchestrator_url((home or Path(".wideseek")).absolute()), key)

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """The answer's bytes. Raises `CommandError`: exit code 2 when refused, 1 when something is down."""
        return asyncio.run(self._ask(method, f"{PREFIX}{path}", body))

    async def _ask(self, method: str, path: str, body: Any) -> bytes:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            async with Http(self.url, TrainerUnavailable, timeout_s=_ANSWER_S, headers=headers) as http:
                response = await http.raw(method, path, json=body)
        except UpstreamError as error:
            advice = "start a cluster with `wideseek up --detach`, or give --url"
            raise CommandError(f"no orchestrator at {self.url} ({error}): {advice}") from error
        if response.is_success:
            return bytes(response.content)
        raise _refused(response.status_code, response.text)


def read_version(text: str) -> tuple[str, int]:
    """Policy and version of `policy@v3`. Raises `CommandError`."""
    found = parse(text)
    if found is None:
        raise CommandError(f"{text!r} names no version: write policy@v3", exit_code=2)
    return found


def show_list(answer: bytes, form: str) -> None:
    """All policies on standard output."""
    policies = _read(PolicyList, answer)
    if _as_json(form):
        sys.stdout.write(policies.model_dump_json(indent=2) + "\n")
        return
    table = Table("policy", "current", "canary", "previous", "changed", "by")
    for one in policies.policies:
        canary = "" if one.canary is None else f"v{one.canary} ({one.canary_share:.0%})"
        previous = "" if one.previous is None else f"v{one.previous}"
        table.add_row(one.name, f"v{one.current}", canary, previous, _when(one.updated_at), one.last_action)
    results().print(table)


def show_policy(answer: bytes, form: str) -> None:
    """One policy with its versions on standard output."""
    policy = _read(PolicyDescription, answer)
    if _as_json(form):
        sys.stdout.write(policy.model_dump_json(indent=2) + "\n")
        return
    table = Table("version", "status", "from", "job", "step", "made", "off by", "held-out", title=policy.name)
    for one in policy.versions:
        parent = "" if one.parent_version is None else f"v{one.parent_version}"
        off = "" if one.mean_difference is None else f"{one.mean_difference:.1e}"
        made = _when(one.created_at) if one.created_at else ""
        row = (f"v{one.version}", one.status, parent, one.job_id, str(one.step), made, off, _held_out(one))
        table.add_row(*(Text(harmless(cell)) for cell in row))
    output = results()
    output.print(table)
    if policy.canary is not None:
        output.print(f"v{policy.canary} is tried on {policy.canary_share:.0%} of new runs")
    if policy.frozen:
        output.print("rolled back: what jobs publish is held until a version is promoted by hand")
    for one in policy.versions:
        for reason in one.refused if one.status == "refused" else ():
            output.print(Text(f"v{one.version} is refused: {harmless(reason)}"), soft_wrap=True)


def _held_out(version: VersionView) -> str:
    newest = {one.metric: one for one in version.evaluations}
    return ", ".join(f"{name} {one.mean:.2f} ({one.low:.2f} to {one.high:.2f})" for name, one in newest.items())


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _as_json(form: str) -> bool:
    if form not in {"text", "json"}:
        raise CommandError(f"--format {form!r}: expected text or json", exit_code=2)
    return form == "json"


def _read(kind: Any, answer: bytes) -> Any:
    try:
        return kind.model_validate_json(answer)
    except ValidationError as error:
        raise CommandError(f"an answer we cannot read: {error.errors()[0]['msg']}") from error


def _refused(status: int, text: str) -> CommandError:
    try:
        problem = Problem.model_validate_json(text)
    except ValidationError:
        return CommandError(f"answered {status}: {text[:300]}")
    return CommandError(problem.detail, exit_code=1 if status >= 500 else 2)
