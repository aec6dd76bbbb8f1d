"""Get: one artifact version out of the store, proven by its hash, for a reviewer who wants to see it."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from msgspec import Struct

from pointsman.errors import Problem, Unreachable
from pointsman.files import unwritten, write_new
from pointsman.gate.payloads import Missing
from pointsman.history.versions import find_version
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import short
from pointsman.values import ArtifactType, Count, TargetName, Version
from pointsman.workspace import Workspace


class Fetched(Struct, frozen=True):
    """One artifact version; `file` is "" where its bytes went to stdout."""

    version: Version
    target: TargetName
    type: ArtifactType
    uri: str
    size: Count
    file: str


def get(workspace: Workspace, text: str, file: str | None) -> tuple[Outcome[Fetched], bytes]:
    """The blob of a recorded version, and its document; written to `file` if one is named, in one piece.

    Unreachable if the blob cannot be had, Problem for a version that nobody recorded.
    """
    repo, gate = workspace.repo, workspace.gate
    head = Snapshot(repo, repo.refresh())
    found = find_version(head, text)
    record = gate.documents.record(head, found.target, found.slot, found.version)
    if record is None:
        raise Problem(f"the record of {short(found.version)} cannot be read: pointsman check says why")
    gate.blobs.contents.drop_erased([record])
    data = gate.blobs.contents.payload(gate.settings(head), record)
    if isinstance(data, Missing):
        retired = head.entry(found.target.tombstone_path(found.slot, found.version)) is not None
        why = f"{data.why}; it was retired, so its bytes may be gone" if retired else data.why
        raise Unreachable(f"{found.target} {found.slot} {short(found.version)} is not available: {why}")
    if file is not None:
        _write(Path(file), data)
    fetched = Fetched(found.version, str(found.target), found.slot, record.uri, len(data), file or "")
    return Outcome(fetched), data


def _write(path: Path, data: bytes) -> None:
    """A regular file is replaced in one piece, through a symlink, too. A pipe or a device is written into."""
    temporary: Path | None = None
    try:
        # /dev/fd/3 names what is open already: a new file in its place would reach nobody.
        is_open = os.path.dirname(os.path.abspath(path)) in ("/dev", "/dev/fd") or str(path).startswith("/proc/")
        if is_open or (path.exists() and not path.is_file()):
            with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY), "wb", buffering=0) as there:
                left = memoryview(data)
                while left:
                    left = left[there.write(left) :]
            return
        path = Path(os.path.realpath(path))
        if path.is_symlink():  # it leads back to itself
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write_new(temporary, data)
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritten(OSError(error.errno, error.strerror), path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
