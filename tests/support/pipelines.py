"""A registry as recsys-pipelines leaves it, file by file: what adopt takes over.

Its layout and forms were read in its source, github.com/aatuh/recsys, below recsys-pipelines/internal: keys in
app/usecase/publish_artifacts.go, URIs in adapters/objectstore, manifests and records in adapters/artifactregistry/fs
and domain/artifacts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shop import STAGING

ZERO_TIME = "0001-01-01T00:00:00Z"  # what its publish job writes for BuiltAt


class Pipelines:
    """Publishes staged artifacts: blob, record, then the pointer, the last one published of each type being current.

    `put` writes a file below one place; `blobs` is the URL that the URIs have for `objectstore/` below it.
    """

    def __init__(self, put: Callable[[str, bytes], None], blobs: str) -> None:
        self.put = put
        self.blobs = blobs
        self.current: dict[tuple[str, str], dict[str, str]] = {}
        self.clock = 0

    def publish(self, *files: Path) -> None:
        """Artifact files, their bytes as they are."""
        for file in files:
            data = file.read_bytes()
            said = json.loads(data)
            tenant, surface, kind = said["tenant"], said["surface"], said["artifact_type"]
            version = said["build"]["version"]
            key = f"{tenant}/{surface}/{kind}/{version}.json"
            self.put(f"objectstore/{key}", data)
            self.record(said)
            self.current.setdefault((tenant, surface), {})[kind] = f"{self.blobs}/{key}"
            self.swap(tenant, surface)

    def record(self, said: dict[str, Any], instead: Mapping[str, Any] = {}) -> None:
        """The record of an artifact; `instead` are members that it has instead of the true ones."""
        version = said["build"]["version"]
        key = f"{said['tenant']}/{said['surface']}/{said['artifact_type']}/{version}.json"
        record = {
            "Key": {
                "Tenant": said["tenant"],
                "Surface": said["surface"],
                "Segment": said.get("segment", ""),
                "Type": said["artifact_type"],
            },
            "Window": {"Start": said["window"]["start"], "End": said["window"]["end"]},
            "Version": version,
            "URI": f"{self.blobs}/{key}",
            "BuiltAt": ZERO_TIME,
        }
        self.put(f"registry/records/{key}", json.dumps({**record, **instead}, indent=2).encode())

    def swap(self, tenant: str, surface: str, instead: Mapping[str, Any] = {}) -> None:
        """The pointer of a target, with what is current, or with `instead` of it."""
        self.clock += 1
        manifest = {
            "v": 1,
            "tenant": tenant,
            "surface": surface,
            "current": dict(sorted(self.current.get((tenant, surface), {}).items())),
            "updated_at": f"2026-03-04T06:00:{self.clock % 60:02}Z",
        }
        data = json.dumps({**manifest, **instead}, indent=2).encode()
        self.put(f"registry/current/{tenant}/{surface}/manifest.json", data)


def below(root: Path) -> Callable[[str, bytes], None]:
    """Writes files below a directory."""

    def put(key: str, data: bytes) -> None:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return put


def staged(target: str, day: int) -> Iterator[Path]:
    """The artifacts that real pipelines staged for one day of a target."""
    for kind in sorted((STAGING / target / "default").iterdir()):
        window = kind / f"2026-03-0{day}_2026-03-0{day + 1}"
        if window.is_dir():
            yield window / f"{(window / 'current.version').read_text().strip()}.json"


def recommendations(read: Callable[[str], bytes], pointer: bytes) -> dict[str, Any]:
    """What recsys-service loads for one pointer, type by type: the documents, but for what `build` says."""
    found = {}
    for kind, uri in json.loads(pointer)["current"].items():
        found[kind] = json.loads(read(uri))
        del found[kind]["build"]
    return found
