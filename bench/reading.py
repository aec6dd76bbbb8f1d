"""Read and hash many blobs, nothing else: `python reading.py URL ENDPOINT LIST THREADS`; LIST has one key a line."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def _main(url: str, endpoint: str, listed: str, threads: str) -> None:
    keys = Path(listed).read_text().split()
    scheme, _, rest = url.partition("://")
    if scheme == "file":

        def read(key: str) -> str:
            with open(f"{rest}/{key}", "rb", buffering=0) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    else:
        import obstore
        from obstore.store import S3Store

        store = S3Store(rest, endpoint=endpoint, client_options={"allow_http": True})

        def read(key: str) -> str:
            return hashlib.sha256(obstore.get(store, key).bytes()).hexdigest()

    with ThreadPoolExecutor(int(threads)) as pool:
        for key, sha256 in zip(keys, pool.map(read, keys), strict=True):
            assert key.endswith(f"/{sha256}.json"), key


if __name__ == "__main__":
    _main(*sys.argv[1:])
