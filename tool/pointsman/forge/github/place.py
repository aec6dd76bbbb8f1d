"""The address of a repository on GitHub, from the remote's URL and the environment alone.

No setting names a host, because anyone who can change a setting could then have the token sent there. The host is that
of GITHUB_SERVER_URL or GH_HOST (GitHub Enterprise), else github.com.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pointsman.errors import Problem

TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")  # the first one that is set is used, as in gh
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_NAME = r"[A-Za-z0-9._-]+"
_SCP = re.compile(rf"(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>/?{_NAME}/{_NAME}?)/?")


@dataclass(frozen=True, slots=True)
class Place:
    """One repository on one GitHub. `server` is its web address, with no trailing slash."""

    server: str
    owner: str
    name: str

    @property
    def slug(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def api(self) -> str:
        """The URL of its REST API."""
        if os.environ.get("GITHUB_API_URL") and os.environ.get("GITHUB_SERVER_URL"):  # a workflow has both
            return _checked(os.environ["GITHUB_API_URL"], "GITHUB_API_URL")
        scheme, _, host = self.server.partition("://")
        if host == "github.com" or host.endswith(".ghe.com"):
            return f"{scheme}://api.{host}"
        return f"{self.server}/api/v3"

    @property
    def graphql(self) -> str:
        """The URL of its GraphQL API."""
        if os.environ.get("GITHUB_GRAPHQL_URL") and os.environ.get("GITHUB_SERVER_URL"):
            return _checked(os.environ["GITHUB_GRAPHQL_URL"], "GITHUB_GRAPHQL_URL")
        return f"{self.api.removesuffix('/v3')}/graphql"


def server() -> str:
    """The web address of the GitHub that the token is for."""
    if os.environ.get("GITHUB_SERVER_URL"):
        return _checked(os.environ["GITHUB_SERVER_URL"], "GITHUB_SERVER_URL")
    if os.environ.get("GH_HOST"):
        return _checked(f"https://{os.environ['GH_HOST']}", "GH_HOST")
    return "https://github.com"


def _checked(url: str, variable: str) -> str:
    """`url` if a token may be sent there; Problem if not. http:// is allowed only on this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9.\[\]:-]+", parts.netloc):
        raise Problem(f"{variable} is not a URL such as https://github.example.com")
    if parts.scheme == "http" and parts.netloc.rpartition(":")[0] not in _LOOPBACK:
        raise Problem(f"{variable} is an http:// address, where others could read the token: use https://")
    return url.rstrip("/")


def place_of(remote: str | None) -> Place | None:
    """The repository that a remote's URL names; None if it is not on the GitHub of the environment."""
    if remote is None:
        return None
    at = server()
    host = urlsplit(at).netloc
    if "://" in remote:
        parts = urlsplit(remote)
        secure = parts.scheme == "ssh"
        same = (
            _without_ssh(parts.hostname) == _without_ssh(urlsplit(at).hostname)
            if secure
            else _netloc(remote) == _netloc(at)
        )
        if not same or (not secure and parts.scheme != urlsplit(at).scheme):
            return None
        path = parts.path
    else:
        found = _SCP.fullmatch(remote)
        if found is None or _without_ssh(found["host"]) != _without_ssh(host.partition(":")[0]):
            return None
        path = found["path"]
    named = re.fullmatch(rf"/?({_NAME})/({_NAME}?)(\.git)?/?", path)
    return Place(at, named[1], named[2]) if named is not None else None


def _without_ssh(host: str | None) -> str:
    """The host without "ssh.": ssh.github.com serves github.com where only port 443 is open."""
    return (host or "").lower().removeprefix("ssh.")


def _netloc(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2].lower()
