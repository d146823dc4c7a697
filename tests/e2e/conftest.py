"""One cluster for all stories that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import Cluster, cluster, start_services


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Redis, retrieval, the expert engine, an orchestrator and a worker."""
    with cluster(tmp_path_factory.mktemp("cluster")) as parts:
        start_services(parts)
        yield parts
