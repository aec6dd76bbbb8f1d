"""Serving as recsys-service reads it: the pointer of one tenant and surface, then each artifact that it names.

Run as a program it reads again and again, up to a thousand times a second, until its stdin ends; then once more. It
says each pointer that differs from the one before (`reads`, the SHA-256), and each thing that is wrong, as JSON lines.
"""

from __future__ import annotations

import hashlib
import json
import re
import select
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

LIMIT = 10_000_000  # bytes of an artifact that recsys-service loads
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")

Fetch = Callable[[str], bytes]


class Wrong(Exception):
    """recsys-service would not serve this."""


def from_bucket(endpoint: str) -> Fetch:
    """A fetch of s3:// and file:// URIs; credentials are in the environment."""
    clients: dict[str, S3Store] = {}

    def fetch(uri: str) -> bytes:
        scheme, _, rest = uri.partition("://")
        if scheme == "file":
            return Path(rest).read_bytes()
        bucket, _, key = rest.partition("/")
        if bucket not in clients:
            options: Any = {"allow_http": True, "connect_timeout": timedelta(seconds=5)}
            retry: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
            clients[bucket] = S3Store(bucket, endpoint=endpoint, client_options=options, retry_config=retry)
        return bytes(obstore.get(clients[bucket], key).bytes())

    return fetch


def read(fetch: Fetch, template: str, tenant: str, surface: str) -> tuple[bytes, dict[str, Any]]:
    """The pointer's bytes, and the artifacts by type; Wrong if recsys-service could not serve them."""
    pointer = _fetched(fetch, template.replace("{tenant}", tenant).replace("{surface}", surface))
    manifest = _document(pointer, "the pointer")
    if repr(manifest.get("v")) != "1" or (manifest.get("tenant"), manifest.get("surface")) != (tenant, surface):
        raise Wrong(f"the pointer is of something else: {pointer[:200]!r}")
    if not RFC_3339.fullmatch(str(manifest.get("updated_at"))):
        raise Wrong(f"updated_at is no RFC 3339 time: {manifest.get('updated_at')!r}")
    artifacts = {}
    if not isinstance(manifest.get("current"), dict):
        raise Wrong(f"the pointer has no current: {pointer[:200]!r}")
    for slot, uri in manifest["current"].items():
        blob = _fetched(fetch, uri)
        if len(blob) > LIMIT:
            raise Wrong(f"{uri} has {len(blob)} bytes")
        artifact = _document(blob, uri)
        if [artifact.get(name) for name in ("artifact_type", "tenant", "surface")] != [slot, tenant, surface]:
            raise Wrong(f"{uri} is of something else")
        if hashlib.sha256(blob).hexdigest() not in uri:
            raise Wrong(f"{uri} is not what its name says")
        artifacts[slot] = artifact
    return pointer, artifacts


def _fetched(fetch: Fetch, uri: str) -> bytes:
    try:
        return fetch(uri)
    except OSError as error:
        raise Wrong(f"{uri}: {type(error).__name__}") from error


def _document(data: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise Wrong(f"{name} is no JSON: {data[:200]!r}") from error
    if not isinstance(document, dict):
        raise Wrong(f"{name} is no object: {data[:200]!r}")
    return document


def main(endpoint: str, template: str, tenant: str, surface: str) -> None:
    fetch, last, reads, ended = from_bucket(endpoint), "", 0, False
    while True:
        reads += 1
        try:
            found, _ = read(fetch, template, tenant, surface)
            told = {"sha256": hashlib.sha256(found).hexdigest()}
        except Wrong as error:
            told = {"wrong": str(error)}
        line = json.dumps(told)
        if line != last:
            last = line
            print(line, flush=True)  # noqa: T201
        if ended:
            break
        ended = bool(select.select([sys.stdin], [], [], 0.001)[0])
    print(json.dumps({"reads": reads}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
