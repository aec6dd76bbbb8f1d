"""Every store does what every store must: a directory, and a bucket on an S3 server."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from seaweed import BUCKET, Server
from store_suite import Opens, StoreSuite

from pointsman.state.store_url import Access
from pointsman.store.open import open_store


def directory(request: pytest.FixtureRequest) -> Opens:
    place: Path = request.getfixturevalue("tmp_path")
    return lambda: open_store(f"file://{place}/a store")


def bucket(request: pytest.FixtureRequest) -> Opens:
    server: Server = request.getfixturevalue("s3")
    url = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    return lambda: open_store(url, Access(server.endpoint, "", True))


@pytest.fixture(params=[directory, bucket], ids=lambda kind: kind.__name__)
def opens(request: pytest.FixtureRequest) -> Opens:
    opens: Opens = request.param(request)
    return opens


class TestStores(StoreSuite):
    """Each store is a line in the fixture."""
