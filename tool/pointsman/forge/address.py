"""What the addresses of all forges have in common: the one host that gets the token, and which remotes are on it.

No setting names a host, because anyone who can change a setting could then have the token sent there.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pointsman.errors import Problem
from pointsman.patterns import pattern

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SCP = pattern(r"(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>/?[^:]+)")


def checked(url: str, variable: str) -> str:
    """`url` if a token may be sent there; Problem if not. http:// is allowed only on this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9.\[\]:-]+", parts.netloc):
        raise Problem(f"{variable} is not a URL such as https://github.example.com")
    if parts.scheme == "http" and parts.netloc.rpartition(":")[0] not in LOOPBACK:
        raise Problem(f"{variable} is an http:// address, where others could read the token: use https://")
    return url.rstrip("/")


def path_on(server: str, remote: str) -> str | None:
    """The path of a remote's URL, in whatever form it is written; None if it is not on the host of `server`."""
    if "://" in remote:
        parts = urlsplit(remote)
        if parts.scheme == "ssh":
            same = _without_ssh(parts.hostname) == _without_ssh(urlsplit(server).hostname)
        else:
            same = _netloc(remote) == _netloc(server) and parts.scheme == urlsplit(server).scheme
        return parts.path if same else None
    found = _SCP.fullmatch(remote)
    if found is None or _without_ssh(found["host"]) != _without_ssh(urlsplit(server).netloc.partition(":")[0]):
        return None
    return found["path"]


def _without_ssh(host: str | None) -> str:
    """The host of a forge: ssh.github.com and altssh.gitlab.com serve it where only port 443 is open."""
    return re.sub(r"^(alt)?ssh\.", "", (host or "").lower())


def _netloc(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2].lower()
