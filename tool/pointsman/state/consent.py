"""What is approved: the lines of one change, in a form that everybody can compute again with `sort` and `sha256sum`.

They are all lines of exact grammar in its messages, and lines of the same kind for what no message says: a manifest
that goes or that no message vouches for, and the settings and the file of signers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pointsman.state.names import Target

NAMESPACE = "pointsman-approval"
_NONE = "none"


def restored(target: Target, manifest: bytes, last: str | None) -> tuple[str, str]:
    """The lines of a manifest that no message vouches for. `last`: the commit that last changed it."""
    digest = hashlib.sha256(manifest).hexdigest()
    return f"Manifest: {target} sha256:{digest}", f"Supersedes: {target} {last or _NONE}"


def removed(target: Target, last: str | None) -> tuple[str, str]:
    """The lines of a manifest that is deleted."""
    return f"Removes: {target.manifest_path}", f"Supersedes: {target} {last or _NONE}"


def changed(path: str, before: bytes | None, after: bytes | None) -> str:
    """The line of settings or of a file of signers that change."""
    return f"Changes: {path} {_digest(before)} {_digest(after)}"


def _digest(data: bytes | None) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}" if data is not None else _NONE


def payload_of(lines: Iterable[str]) -> bytes:
    """The bytes that are signed: each line once, in the order of their bytes, each with a line end."""
    return b"".join(sorted({f"{line}\n".encode(errors="surrogateescape") for line in lines}))


def subject_of(lines: Iterable[str]) -> str:
    """The SHA-256 that names a change."""
    return hashlib.sha256(payload_of(lines)).hexdigest()
