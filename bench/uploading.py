"""Put every file of a directory into a bucket: `python uploading.py URL ENDPOINT DIRECTORY`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import obstore
from obstore.store import S3Store

_AT_ONCE = 32


async def _main(url: str, endpoint: str, directory: str) -> None:
    bucket, _, prefix = url.partition("://")[2].partition("/")
    client = S3Store(bucket, prefix=prefix, endpoint=endpoint, client_options={"allow_http": True})
    free = asyncio.Semaphore(_AT_ONCE)

    async def put(path: Path) -> None:
        async with free:
            await obstore.put_async(client, str(path.relative_to(directory)), path.read_bytes())

    for each in sorted(Path(directory).glob("*/*/*")):
        await asyncio.gather(*map(put, each.iterdir()))


asyncio.run(_main(*sys.argv[1:]))
