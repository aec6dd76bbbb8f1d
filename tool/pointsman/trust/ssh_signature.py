"""SSH signatures as `ssh-keygen -Y sign` writes them (OpenSSH, PROTOCOL.sshsig): which key, and for what."""

from __future__ import annotations

import base64
import binascii
import hashlib

from msgspec import Struct

from pointsman.patterns import pattern

_ARMOR = pattern(
    r"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/]{1,76}={0,2}\n){1,200})-----END SSH SIGNATURE-----\n"
)
_TYPE = pattern(rb"(?:sk-)?(?:ssh|ecdsa)-[a-z0-9.@-]{1,60}")
MOST_BYTES = 16384  # of an armored signature; one by RSA with 16,384 bits has 5,700


class SshSignature(Struct, frozen=True):
    """What a signature says of itself. Nothing of it is proven yet."""

    key: bytes
    key_type: str
    namespace: str

    @property
    def public(self) -> str:
        """The key as a line of a file has it."""
        return f"{self.key_type} {base64.b64encode(self.key).decode()}"


def fingerprint(key: bytes) -> str:
    """A key as ssh-keygen names it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def read_signature(armor: str) -> SshSignature | None:
    """What an armored signature says of itself; None if it is none."""
    found = _ARMOR.fullmatch(armor) if len(armor) <= MOST_BYTES else None
    if found is None:
        return None
    try:
        blob = base64.b64decode(found[1].replace("\n", ""), validate=True)
    except (ValueError, binascii.Error):
        return None
    if blob[:10] != b"SSHSIG\0\0\0\x01":
        return None
    key, rest = _string(blob[10:])
    namespace, _ = _string(rest)
    key_type, _ = _string(key)
    if not _TYPE.fullmatch(key_type) or not namespace.isascii():
        return None
    return SshSignature(key, key_type.decode(), namespace.decode())


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The first string of SSH's format in `data`, and what follows it."""
    end = 4 + int.from_bytes(data[:4])
    return data[4:end], data[end:]
