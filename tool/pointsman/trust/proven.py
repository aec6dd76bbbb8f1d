"""Signatures that were verified before. Each costs one ssh-keygen, once.

What is kept says only: this key has made this signature over these bytes. Whether the key counts is asked anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from pointsman.files import open_file, read_file
from pointsman.trust import keygen
from pointsman.trust.ssh_signature import read_signature

KEPT = Path("pointsman") / "signatures"  # in the git directory, where the chain of main is kept, too
_MOST_KEPT = 1 << 23  # bytes; then it is begun anew
_LINE = 65  # bytes of a hash in hexadecimal and its line end


class Proven:
    """Verifies signatures of one repository. `git_dir`: where to keep what was proven."""

    def __init__(self, git_dir: Path) -> None:
        self._path = git_dir / KEPT
        self._known: set[str] | None = None
        self._false: set[str] = set()

    def key(self, payload: bytes, armor: str, namespace: str) -> bytes | None:
        """The key that signed `payload` for a namespace; None if none did. NoKeygen if that cannot be told."""
        found = read_signature(armor)
        if found is None or found.namespace != namespace:
            return None
        digest = hashlib.sha256(hashlib.sha256(payload).digest() + armor.encode()).hexdigest()
        if digest in self._false:
            return None
        if self._known is None:
            self._known = self._read()
        if digest not in self._known:
            if not keygen.verify(payload, armor, found):
                self._false.add(digest)
                return None
            self._known.add(digest)
            self._keep(digest)
        return found.key

    def _read(self) -> set[str]:
        try:
            text = read_file(self._path, _MOST_KEPT).decode("ascii", "replace")
        except OSError:
            return set()
        return {line for line in text.split("\n") if len(line) == _LINE - 1}

    def _keep(self, digest: str) -> None:
        """Add a line. Nothing is said if it cannot be written: then it is verified again."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            fd, status = open_file(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            try:
                if status.st_size >= _MOST_KEPT - _LINE:
                    os.ftruncate(fd, 0)
                os.write(fd, f"{digest}\n".encode())
            finally:
                os.close(fd)
