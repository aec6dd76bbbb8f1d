"""A shop whose blobs and serving pointers stand in a bucket of the tests' S3 server."""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import obstore
from seaweed import BUCKET, Server
from shop import Shop, git

POINTER = "registry/current/grocer/home/manifest.json"
FENCE = "registry/current/.pointsman/sync.json"


@dataclass(frozen=True, slots=True)
class State:
    """What a shop was at one time: a copy of its origin, and every object."""

    origin: Path
    objects: Mapping[str, bytes]


class BucketShop(Shop):
    """A shop below a prefix of its own, reached at `endpoint` (a proxy's, say) or at the server itself."""

    def __init__(self, root: Path, server: Server, endpoint: str = "", settings: str = "") -> None:
        self.prefix = f"shop-{uuid.uuid4().hex}"
        self.client = server.client(self.prefix)
        reach = f'endpoint = "{endpoint or server.endpoint}"\nallow_http = true\n'
        super().__init__(root, reach + settings, f"s3://{BUCKET}/{self.prefix}")

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/{self.prefix}"

    @property
    def serving(self) -> bytes | None:
        return self.objects().get(POINTER)

    def objects(self) -> dict[str, bytes]:
        """Every object of the shop, read without the code under test."""
        listed = [meta["path"] for page in obstore.list(self.client) for meta in page]
        return {key: bytes(obstore.get(self.client, key).bytes()) for key in listed}

    def put(self, key: str, data: bytes) -> None:
        obstore.put(self.client, key, data)

    def take(self, key: str) -> None:
        obstore.delete(self.client, key)

    def keep(self, name: str) -> State:
        """The shop as it is now."""
        copy = self.root / name
        shutil.copytree(self.origin, copy)
        return State(copy, self.objects())

    def put_back(self, state: State) -> None:
        """The shop as it was then; the desk is nobody's concern."""
        shutil.rmtree(self.origin)
        shutil.copytree(state.origin, self.origin)
        now = self.objects()
        for key in now.keys() - state.objects.keys():
            self.take(key)
        for key, data in state.objects.items():
            if now.get(key) != data:
                self.put(key, data)

    def sound(self) -> None:
        """What holds at any instant: a blob is what its name says, and all that main records and points to is there."""
        objects = self.objects()
        for key, data in objects.items():
            if not key.startswith(("registry/", ".pointsman/")):
                assert hashlib.sha256(data).hexdigest() == key.rpartition("/")[2].removesuffix(".json"), key
        listed = git(self.origin, "ls-tree", "-r", "--name-only", "main").splitlines()
        for path in listed:
            if re.fullmatch(r"registry/[^/]+/[^/]+/[^/]+/[0-9a-f]{64}\.json", path):
                key = path.removeprefix("registry/")  # asked for by name: a listing may lag behind
                data = bytes(obstore.get(self.client, key).bytes())
                assert hashlib.sha256(data).hexdigest() == key.rpartition("/")[2].removesuffix(".json"), key
