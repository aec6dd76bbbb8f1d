"""Who a store belongs to: one manifest repository, which writes that down beside the blobs before it relies on them.

A clone with an origin of its own is another repository, even if it has all records of the first.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from pointsman.errors import Problem
from pointsman.repo.present import identity, identity_ending
from pointsman.repo.repository import Repository
from pointsman.store.base import Store

OWNERS = ".pointsman/owners/"


def own(store: Store, repo: Repository) -> None:
    """Write down that a repository stores its blobs here. Durable on return."""
    store.create(f"{OWNERS}{identity(repo)}.json", json.dumps({"v": 1, "owner": identity(repo)}).encode() + b"\n")


def own_unless_known(store: Store, repo: Repository) -> None:
    """The same, if the repository does not stand there yet. Usually this is one short listing."""
    ending = f"{identity_ending(repo)}.json"
    if not any(key.endswith(ending) for key in store.keys(OWNERS, 1)):
        own(store, repo)


def require_sole_owner(store: Store, repos: Collection[Repository]) -> None:
    """Problem if a repository that is none of these stores its blobs here, too."""
    known = {f"{identity(repo)}.json" for repo in repos}
    for key in store.keys(OWNERS, 1):
        if key.removeprefix(OWNERS) not in known:
            raise Problem(
                f"another repository keeps its blobs in this store: {store.url}/{key} stands there. Name it with "
                "pointsman gc --also REPO, so that what it records counts, too; if it is gone for good, delete "
                "that file"
            )
