"""The floor for gc: a plain listing of a store, with size and time of each object, and one `git ls-tree` of what is
recorded. Nothing of pointsman is in it: `python listing.py URL ENDPOINT REPOSITORY`, ENDPOINT "" for a directory.
"""

from __future__ import annotations

import os
import subprocess
import sys


def _main(url: str, endpoint: str, repository: str) -> None:
    rest = url.partition("://")[2]
    count = _in_bucket(*rest.split("/", 1), endpoint) if endpoint else _in_directory(rest)
    command = ["git", "-C", repository, "ls-tree", "-r", "-z", "--name-only", "main", "registry/"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(count)


def _in_directory(directory: str) -> int:
    count = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                count += _in_directory(entry.path)
            else:
                status = entry.stat(follow_symlinks=False)
                count += status.st_size >= 0 and status.st_mtime > 0
    return count


def _in_bucket(bucket: str, prefix: str, endpoint: str) -> int:
    import obstore
    from obstore.store import S3Store

    store = S3Store(bucket, endpoint=endpoint, client_options={"allow_http": True})
    pages = obstore.list(store, prefix, chunk_size=1000)
    return sum(meta["size"] >= 0 and meta["last_modified"].timestamp() > 0 for page in pages for meta in page)


_main(*sys.argv[1:])
