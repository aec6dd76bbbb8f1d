"""Object storage: blobs and serving pointers, by key under one URL: a directory here, a bucket in `bucket`.

What either promises stands in `stored`: a create-only put whose outcome is known, a replace that is conditional on what
was read, and both durable on return.
"""

from __future__ import annotations

from pathlib import Path

from pointsman.state.store_url import Access, split_url
from pointsman.store.base import Store
from pointsman.store.directory import FileStore


def open_store(url: str, access: Access = Access()) -> Store:  # noqa: B008 - frozen
    """The store at a URL, its buckets reached by `access`. Nothing is created or contacted yet."""
    scheme, rest = split_url(url)
    if scheme == "file":
        return FileStore(Path(rest), url)
    from pointsman.store.bucket import Bucket

    return Bucket(url, access)
