"""Who a store belongs to: one manifest repository, which gc and the first publish write down beside the blobs."""

from __future__ import annotations

import json
from collections.abc import Collection

from pointsman.errors import Problem
from pointsman.repo.present import identity
from pointsman.repo.repository import Repository
from pointsman.store.base import Store

OWNERS = ".pointsman/owners/"


def own(store: Store, repo: Repository) -> None:
    """Write down that a repository stores its blobs here. Durable on return."""
    store.create(f"{OWNERS}{identity(repo)}.json", json.dumps({"v": 1, "owner": identity(repo)}).encode() + b"\n")


def require_sole_owner(store: Store, repos: Collection[Repository]) -> None:
    """Problem if a repository that is none of these stores its blobs here, too."""
    known = {f"{identity(repo)}.json" for repo in repos}
    for key in store.keys(OWNERS, 1):
        if key.removeprefix(OWNERS) not in known:
            raise Problem(
                f"another repository keeps its blobs in this store: {store.url}/{key} stands there. Name it with "
                "--also REPO, so that what it records counts, too; if it is gone for good, delete that file"
            )
