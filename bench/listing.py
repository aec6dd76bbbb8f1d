"""A plain listing of a store, each object once, and one `git ls-tree` of what is recorded: the floor for gc."""

from __future__ import annotations

import subprocess
import sys

from pointsman.state.store_url import Access
from pointsman.store.open import open_store


def _main(url: str, endpoint: str, repository: str) -> None:
    count = sum(1 for _ in open_store(url, Access(endpoint, "", bool(endpoint))).objects(""))
    command = ["git", "-C", repository, "ls-tree", "-r", "-z", "--name-only", "main", "registry/"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(count)


_main(*sys.argv[1:])
