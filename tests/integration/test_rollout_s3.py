"""The store on S3, served by moto, which refuses a PUT with `If-None-Match: *` onto an existing key as S3 does."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from services.cli.main import main
from services.kit.rollouts.objects import open_objects
from services.kit.rollouts.retention import prune
from services.kit.rollouts.store import RolloutCorrupt, RolloutMissing, RolloutStore
from tests.rollout_parts import STARTED, reward_of, rollout_of
from tests.servers import free_port
from wideseek.errors import ContractViolation, StoreUnavailable

ACCESS = {"key": "testing", "secret": "testing"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> str:
    """A bucket of this test's own."""
    name = f"b{abs(hash(request.node.nodeid))}"
    client(endpoint).create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(endpoint: str, bucket: str) -> RolloutStore:
    return opened(endpoint, bucket)


def client(endpoint: str) -> "boto3.client":
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )


def options(endpoint: str) -> dict[str, object]:
    return {**ACCESS, "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"}}


def opened(endpoint: str, bucket: str) -> RolloutStore:
    return RolloutStore.open(f"s3://{bucket}/deep/rollouts", options=options(endpoint))


def test_rollouts_and_rewards_come_back_as_they_were(store: RolloutStore) -> None:
    rollout = rollout_of("run_1")

    entry, reward = store.put(rollout, "j"), store.put_reward(reward_of(rollout), "j")

    assert store.get(entry.uri, entry.sha256) == rollout
    assert store.get_reward(reward.uri, reward.sha256) == reward_of(rollout)
    assert list(store.scan("j", verify=True)) == [entry]
    assert store.jobs() == ["j"]
    assert store.find(rollout.rollout_id) == entry
    assert store.put(rollout, "j") == entry
    assert store.put_reward(reward_of(rollout), "j") == reward


def test_objects_lie_under_the_address_by_the_paths_of_a_folder(
    store: RolloutStore, endpoint: str, bucket: str
) -> None:
    entry = store.put(rollout_of("run_1"), "j")

    listed = client(endpoint).list_objects_v2(Bucket=bucket)["Contents"]

    assert [one["Key"] for one in listed] == [
        f"deep/rollouts/j/entries/{entry.rollout_id}.json",
        f"deep/rollouts/{entry.uri}",
    ]


def test_an_existing_object_is_never_overwritten(endpoint: str, bucket: str) -> None:
    objects = open_objects(f"s3://{bucket}/x", options(endpoint))

    assert objects.create("a/b", b"first")
    assert not objects.create("a/b", b"second")

    assert objects.read("a/b") == b"first"
    assert objects.read("a/c") is None


def test_of_many_writers_of_one_object_exactly_one_creates_it(endpoint: str, bucket: str) -> None:
    objects = open_objects(f"s3://{bucket}/x", options(endpoint))
    together = threading.Barrier(4)

    def probe(side: str) -> None:
        if side == "before":
            together.wait(20)

    def write(number: int) -> bool:
        return objects.create("a", b"%d" % number, probe)

    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(write, range(4)))

    assert sum(created) == 1
    assert objects.read("a") == b"%d" % created.index(True)


def test_other_content_under_the_same_id_is_refused(store: RolloutStore) -> None:
    entry = store.put(rollout_of("run_1"), "j")

    with pytest.raises(ContractViolation, match="other content"):
        store.put(rollout_of("run_1", query="Which one?"), "j")

    assert list(store.scan("j")) == [entry]


def test_what_another_client_wrote_is_seen_at_once(store: RolloutStore, endpoint: str, bucket: str) -> None:
    assert list(store.scan("j")) == []

    entry = opened(endpoint, bucket).put(rollout_of("run_1"), "j")

    assert list(store.scan("j")) == [entry]


def test_a_truncated_object_is_quarantined(store: RolloutStore, endpoint: str, bucket: str) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    whole = client(endpoint).get_object(Bucket=bucket, Key=f"deep/rollouts/{entry.uri}")["Body"].read()
    client(endpoint).put_object(Bucket=bucket, Key=f"deep/rollouts/{entry.uri}", Body=whole[:50])

    with pytest.raises(RolloutCorrupt):
        store.get(entry.uri, entry.sha256)

    assert len(store.quarantined("j")) == 1
    assert list(store.scan("j")) == []
    with pytest.raises(RolloutMissing):
        store.get(entry.uri)


def test_pruning_deletes_object_entry_and_reward(store: RolloutStore, endpoint: str, bucket: str) -> None:
    rollout = rollout_of("run_1")
    store.put(rollout, "j")
    store.put_reward(reward_of(rollout), "j")

    pruned = prune(store, "j", covered={rollout.rollout_id}, now=STARTED + 30 * 86_400)

    assert len(pruned.deleted) == 1
    assert client(endpoint).list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_bucket_that_is_gone_is_an_outage_not_an_empty_store(store: RolloutStore, endpoint: str, bucket: str) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    for one in client(endpoint).list_objects_v2(Bucket=bucket)["Contents"]:
        client(endpoint).delete_object(Bucket=bucket, Key=one["Key"])
    client(endpoint).delete_bucket(Bucket=bucket)

    for attempt in (
        lambda: store.put(rollout_of("run_2"), "j"),
        lambda: store.get(entry.uri),
        lambda: list(store.scan("j")),
        store.jobs,
    ):
        with pytest.raises(StoreUnavailable):
            attempt()


def test_an_endpoint_that_nothing_listens_on_is_an_outage(bucket: str) -> None:
    gone = {**options(f"http://127.0.0.1:{free_port()}"), "config_kwargs": {"retries": {"max_attempts": 0}}}
    objects = open_objects(f"s3://{bucket}/x", gone)

    with pytest.raises(StoreUnavailable):
        objects.read("a")
    with pytest.raises(StoreUnavailable):
        objects.create("a", b"x")
    with pytest.raises(StoreUnavailable):
        list(objects.files("a"))


def test_the_command_line_reads_s3_through_the_usual_variables(
    store: RolloutStore,
    endpoint: str,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = store.put(rollout_of("run_1"), "j")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS["secret"])

    with pytest.raises(SystemExit) as ended:
        main(["rollouts", "list", "--format", "json", "--store", f"s3://{bucket}/deep/rollouts/"])

    assert ended.value.code == 0
    assert entry.rollout_id in capsys.readouterr().out
