"""The address of a repository on a Gitea or Forgejo, from the remote's URL and the environment alone.

The environment names the server, which may be below a path. A remote on this machine names its own: there the token
stays on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from pointsman.forge.address import LOOPBACK, checked, path_on
from pointsman.forge.credentials import git_environment, token_in
from pointsman.forge.gitea.brand import Brand
from pointsman.patterns import pattern

_NAMED = pattern(r"/?(?P<owner>[A-Za-z0-9._-]+)/(?P<name>[A-Za-z0-9._-]+?)(\.git)?/?")


class Place(Struct, frozen=True):
    """One repository on one server. `server` is its web address, with no trailing slash."""

    server: str
    owner: str
    name: str

    @property
    def slug(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def api(self) -> str:
        return f"{self.server}/api/v1"


def url_of(brand: Brand, repository: str) -> str | None:
    """The URL of the repository that `[forge] repository` names; None without it, or without the server's variable."""
    server = os.environ.get(brand.address)
    return f"{checked(server, brand.address)}/{repository}" if server and repository else None


def place_of(brand: Brand, remote: str | None) -> Place | None:
    """The repository that a remote's URL names; None if it is not on the server of the environment."""
    if remote is None:
        return None
    server = checked(os.environ[brand.address], brand.address) if os.environ.get(brand.address) else _own(remote)
    path = path_on(server, remote) if server else None
    if server is None or path is None:
        return None
    below = urlsplit(server).path
    if "://" in remote and not remote.startswith("ssh://"):  # by ssh a repository has no path before it
        if not path.startswith(f"{below}/"):
            return None
        path = path.removeprefix(below)
    named = _NAMED.fullmatch(path)
    return Place(server, named["owner"], named["name"]) if named is not None else None


def _own(remote: str) -> str | None:
    """The server of a remote on this machine: its URL without the repository."""
    parts = urlsplit(remote) if remote.startswith("http://") else None
    if parts is None or parts.netloc.rpartition("@")[2].rpartition(":")[0] not in LOOPBACK:
        return None
    return f"http://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/').rpartition('/')[0].rpartition('/')[0]}"


def token_source(brand: Brand) -> Callable[[], str] | None:
    """A function that returns the token; None if the environment has none."""
    token = token_in(brand.tokens)
    return (lambda: token) if token else None


def credentials_for(brand: Brand, remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """A function that returns git's environment with the token for http; None if there is no token for it."""
    if remote is None or not remote.startswith(("https://", "http://")):
        return None
    place = place_of(brand, remote)
    source = token_source(brand) if place is not None else None
    if place is None or source is None:
        return None
    return git_environment(place.server, "x-access-token", source)  # a token is the password of any user
