"""Open a store by its URL."""

from __future__ import annotations

from pathlib import Path

from pointsman.state.store_url import Access, split_url
from pointsman.store.base import Store
from pointsman.store.directory import FileStore


def open_store(url: str, access: Access = Access()) -> Store:  # noqa: B008 - frozen
    """The store at a URL. `access` says how to reach a bucket. Nothing is created or contacted yet."""
    scheme, rest = split_url(url)
    if scheme == "file":
        return FileStore(Path(rest), url)
    from pointsman.store.bucket import Bucket

    return Bucket(url, access)
