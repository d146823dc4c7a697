"""The doors of policies: over HTTP, and from the command line through one."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Header

from services.cli.main import main
from services.kit.admin import AdminKey
from services.kit.problems import install_problems
from services.trainer.policies.manage import Manager
from services.trainer.policies.records import Evaluated
from services.trainer.policies.routes import router
from tests.policy_engine import listening
from tests.policy_parts import NAME, Deployment, deployment
from tests.servers import free_port

KEY = "let-me-in"


def doors(manager: Manager) -> FastAPI:
    """The routes as the trainer serves them, behind the key."""
    app = FastAPI()
    install_problems(app)
    key = AdminKey(KEY, "0.0.0.0")

    def admitted(authorization: Annotated[str | None, Header()] = None) -> None:
        key.check(authorization)

    app.include_router(router(lambda: manager, dependencies=[Depends(admitted)]))
    return app


@pytest.fixture
async def one(tmp_path: Path, redis_url: str) -> AsyncIterator[Deployment]:
    """A replica that serves two versions of a policy."""
    async with deployment(tmp_path, redis_url, replicas=1) as running:
        for version in (1, 2):
            await running.publish(version, (version, 0.5))
        yield running


@pytest.fixture
async def http(one: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(doors(await one.manager()))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://trainer", headers=headers) as client:
        yield client


async def test_policies_are_listed_and_described(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/admin/policies")).json()
    shown = (await http.get(f"/v1/admin/policies/{NAME}")).json()

    assert [one["name"] for one in listed["policies"]] == [NAME]
    assert listed["policies"][0]["current"] == 2
    assert [one["model"] for one in shown["versions"]] == ["wide@v2", "wide@v1", "smollm2"]


async def test_a_version_is_promoted_tried_and_rolled_back(http: httpx.AsyncClient, one: Deployment) -> None:
    base = f"/v1/admin/policies/{NAME}"

    promoted = await http.post(f"{base}/promote", json={"version": 1})
    tried = await http.post(f"{base}/canary", json={"version": 2, "share": 0.5})
    back = await http.post(f"{base}/rollback")
    further = await http.post(f"{base}/rollback")

    assert [answer.status_code for answer in (promoted, tried, back, further)] == [200] * 4
    assert promoted.json()["current"] == 1
    assert (tried.json()["canary"], tried.json()["canary_share"]) == (2, 0.5)
    assert (back.json()["canary"], back.json()["current"], back.json()["frozen"]) == (None, 1, True)
    assert further.json()["current"] == 2
    assert await one.serving() == "wide@v2"


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "says"),
    [
        ("narrow/promote", {"version": 1}, 404, "policy-not-found", "there are: wide"),
        ("wide/promote", {"version": 7}, 404, "policy-not-found", "wide@v1, wide@v2"),
        ("wide/canary", {"version": 2, "share": 0.1}, 409, "conflict", "serves all runs already"),
        ("wide/canary", {"version": 1, "share": 1.5}, 422, "invalid-request", "share"),
        ("wide/promote", {"version": -1}, 422, "invalid-request", "version"),
        ("wide/promote", {}, 422, "invalid-request", "version"),
        ("Wide/rollback", None, 422, "invalid-request", "name"),
    ],
)
async def test_what_cannot_be_done_is_a_problem_that_says_why(
    http: httpx.AsyncClient, path: str, body: dict[str, object] | None, status: int, code: str, says: str
) -> None:
    answer = await http.post(f"/v1/admin/policies/{path}", json=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert says in json.dumps(answer.json())


async def test_without_the_key_nothing_is_answered(http: httpx.AsyncClient) -> None:
    http.headers.pop("Authorization")

    assert (await http.get("/v1/admin/policies")).status_code == 401


async def test_the_document_has_examples_and_errors_for_every_door(one: Deployment) -> None:
    document = doors(await one.manager()).openapi()

    assert len(document["paths"]) == 5
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            assert "example" in operation["responses"]["200"]["content"]["application/json"]
            assert {"401", "403", "404", "409", "503"} <= set(operation["responses"])


Said = tuple[int, str, str]
Command = Callable[..., Awaitable[Said]]


@pytest.fixture
async def command(one: Deployment, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Command]:
    """`wideseek policies …` through a live door; exit code, standard output, standard error."""
    async with listening(doors(await one.manager())) as url:

        def run(*arguments: str, key: str = KEY) -> Said:
            with pytest.raises(SystemExit) as ended:
                main(["policies", *arguments, "--url", url, "--admin-key", key])
            said = capsys.readouterr()
            return int(ended.value.code or 0), said.out, said.err

        yield lambda *arguments, **options: asyncio.to_thread(run, *arguments, **options)


async def test_the_command_shows_policies_to_people_and_programs(command: Command, one: Deployment) -> None:
    one.registry.add_evaluation(NAME, 2, Evaluated(metric="item_f1", mean=0.5, low=0.4, high=0.6, tasks=9))

    _, listed, _ = await command("list")
    _, shown, _ = await command("show", NAME)
    _, written, _ = await command("show", NAME, "--format", "json")

    assert NAME in listed
    assert "v2" in listed
    assert "current" in shown
    assert "item_f1" in shown
    assert json.loads(written)["versions"][0]["model"] == "wide@v2"


async def test_the_command_promotes_tries_and_rolls_back(command: Command, one: Deployment) -> None:
    code, out, _ = await command("promote", "wide@v1", "--format", "json")
    assert (code, json.loads(out)["current"]) == (0, 1)

    code, out, _ = await command("canary", "wide@v2", "--share", "0.3")
    assert code == 0
    assert "v2 is tried on 30% of new runs" in out

    code, out, _ = await command("rollback", NAME)
    assert code == 0
    assert "until a version is promoted by hand" in out
    assert one.states.newest(NAME).canary is None


@pytest.mark.parametrize(
    ("arguments", "key", "code", "says"),
    [
        (("promote", "wide@v9"), KEY, 2, "versions of wide: wide@v1, wide@v2"),
        (("promote", "wide"), KEY, 2, "write policy@v3"),
        (("show", "narrow"), KEY, 2, "there are: wide"),
        (("list",), "wrong", 2, "not this deployment's"),
        (("list", "--format", "xml"), KEY, 2, "expected text or json"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(
    command: Command, arguments: tuple[str, ...], key: str, code: int, says: str
) -> None:
    exit_code, out, error = await command(*arguments, key=key)

    assert (exit_code, out) == (code, "")
    assert says in error
    assert error.count("\n") == 1


async def test_nobody_at_the_address_is_said_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main, ["policies", "list", "--url", f"http://127.0.0.1:{free_port()}"])

    assert ended.value.code == 1
    assert "or give --url" in capsys.readouterr().err
