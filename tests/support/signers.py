"""Keys, files of allowed signers and signed files, made with ssh-keygen alone: they owe nothing to the engine."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

APPROVES, ATTESTS = "pointsman-approval", "pointsman-evidence"


@functools.cache
def key_of(name: str) -> Path:
    """The private key of somebody, made when it is first asked for; the public one is beside it."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen (openssh-client)")
    path = _keys() / name
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    return path


@functools.cache
def _keys() -> Path:
    made = tempfile.TemporaryDirectory(prefix="pointsman-keys-")
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # until the process ends


def public(name: str) -> str:
    """Type and key, as a line of a file has them."""
    return key_of(name).with_suffix(".pub").read_text().strip()


def signer(who: str, key: str | None = None, options: str = f'namespaces="{APPROVES}"') -> str:
    """A line of a file of allowed signers."""
    return f"{who}@example.org {options}{' ' if options else ''}{public(key or who)}\n"


def signature(payload: bytes, key: str, namespace: str = APPROVES) -> str:
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key_of(key))]
    return subprocess.run(words, input=payload, check=True, capture_output=True).stdout.decode()


def signed_file(payload: bytes, armor: str) -> bytes:
    document = {"v": 1, "payload": base64.b64encode(payload).decode(), "signature": armor}
    return (json.dumps(document, indent=2) + "\n").encode()


def approval(lines: Iterable[str], key: str, *, namespace: str = APPROVES, broken: bool = False) -> tuple[str, bytes]:
    """The path and the bytes of an approval of these lines."""
    payload = "".join(f"{line}\n" for line in sorted(set(lines), key=str.encode)).encode()
    data = signed_file(payload, signature(payload if not broken else payload + b"x", key, namespace))
    return f"approvals/{hashlib.sha256(payload).hexdigest()}.{hashlib.sha256(data).hexdigest()[:16]}.json", data
