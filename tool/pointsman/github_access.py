"""Where a repository is on GitHub, and the token that opens it: from the remote's URL and the environment alone.

No setting names a host, for whoever may change a setting could have the token sent there. The token goes to one host:
that of GITHUB_SERVER_URL or GH_HOST (GitHub Enterprise), else github.com. Git gets it through its environment, so that
it stands in no configuration, no remote and no process's arguments.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pointsman.errors import Problem

TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")  # the first that is set counts, as with gh
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
        """Where its REST calls go."""
        if os.environ.get("GITHUB_API_URL") and os.environ.get("GITHUB_SERVER_URL"):  # a workflow has both
            return _checked(os.environ["GITHUB_API_URL"], "GITHUB_API_URL")
        scheme, _, host = self.server.partition("://")
        if host == "github.com" or host.endswith(".ghe.com"):
            return f"{scheme}://api.{host}"
        return f"{self.server}/api/v3"

    @property
    def graphql(self) -> str:
        """Where its GraphQL calls go."""
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
    """A URL that a token may be sent to; over http only on this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9.\[\]:-]+", parts.netloc):
        raise Problem(f"{variable} is not like https://github.example.com")
    if parts.scheme == "http" and parts.netloc.rpartition(":")[0] not in _LOOPBACK:
        raise Problem(f"{variable} is an http:// address: a token sent there can be read on its way, give https://")
    return url.rstrip("/")


def place_of(remote: str | None) -> Place | None:
    """The repository that a remote's URL names, None if it is none on the GitHub of the environment."""
    if remote is None:
        return None
    at = server()
    host = urlsplit(at).netloc
    if "://" in remote:
        parts = urlsplit(remote)
        secure = parts.scheme == "ssh"
        same = _bare(parts.hostname) == _bare(urlsplit(at).hostname) if secure else _netloc(remote) == _netloc(at)
        if not same or (not secure and parts.scheme != urlsplit(at).scheme):
            return None
        path = parts.path
    else:
        found = _SCP.fullmatch(remote)
        if found is None or _bare(found["host"]) != _bare(host.partition(":")[0]):
            return None
        path = found["path"]
    named = re.fullmatch(rf"/?({_NAME})/({_NAME}?)(\.git)?/?", path)
    return Place(at, named[1], named[2]) if named is not None else None


def _bare(host: str | None) -> str:
    """ssh.github.com answers for github.com where only port 443 is open."""
    return (host or "").lower().removeprefix("ssh.")


def _netloc(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def token_source(place: Place) -> Callable[[], str] | None:
    """What gives the token, anew where it has run out; None if the environment has none."""
    app, key = os.environ.get("POINTSMAN_APP_ID", ""), os.environ.get("POINTSMAN_APP_KEY", "")
    if app and key:
        from pointsman.github_client import Installation

        return Installation(place, app, key)
    for variable in TOKENS:
        token = os.environ.get(variable, "")
        if token and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Problem(f"{variable} has a space or a line break in it: set it anew")
        if token:
            return lambda: token
    return None


def git_environment(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """What git needs in its environment to be let in over https; None if nothing."""
    if remote is None or not remote.startswith(("https://", "http://")):
        return None
    place = place_of(remote)
    source = token_source(place) if place is not None else None
    if place is None or source is None:
        return None
    key = f"http.{place.server}/.extraHeader"

    def environment() -> Mapping[str, str]:
        basic = base64.b64encode(f"x-access-token:{source()}".encode()).decode()
        # The empty value drops what a checkout may have set: with two of these headers GitHub answers 400.
        return {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": key,
            "GIT_CONFIG_VALUE_0": "",
            "GIT_CONFIG_KEY_1": key,
            "GIT_CONFIG_VALUE_1": f"Authorization: Basic {basic}",
        }

    return environment
